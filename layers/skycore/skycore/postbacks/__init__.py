"""Skycore's postbacks: from the body of a request to the events that subscribers get.

The names below are loaded when they are first used: only ``read_postback`` and ``read_again`` need
the parsers, and every function that has keys to make needs ``tracking_key``.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from skycore.postbacks.envelope import event_json, message_attributes
    from skycore.postbacks.event import Event, cloudevent, step_event
    from skycore.postbacks.identity import digits, tracking_key, tracking_key_of_event_id
    from skycore.postbacks.read import read_again, read_postback
    from skycore.postbacks.telling import unparsed_event

__all__ = [
    "Event",
    "cloudevent",
    "digits",
    "event_json",
    "message_attributes",
    "read_again",
    "read_postback",
    "step_event",
    "tracking_key",
    "tracking_key_of_event_id",
    "unparsed_event",
]

_HOMES = {
    "cloudevent": "event",
    "event_json": "envelope",
    "message_attributes": "envelope",
    "read_again": "read",
    "read_postback": "read",
    "step_event": "event",
    "unparsed_event": "telling",
    "Event": "event",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES.get(name, 'identity')}"), name)
    globals()[name] = value
    return value
