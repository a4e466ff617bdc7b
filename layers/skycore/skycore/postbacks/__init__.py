"""Skycore's postbacks: from the body of a request to the events that subscribers get."""

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
