"""Request bodies to events."""

from datetime import datetime

from skycore.postbacks.bounds import UnreadableError
from skycore.postbacks.event import Event
from skycore.postbacks.layers import read_body
from skycore.postbacks.node import Node
from skycore.postbacks.notification import Fields, notifications
from skycore.postbacks.telling import event_of, unparsed_event

FAULT = "a fault of ours in reading it: "


def read_postback(body: bytes, received_at: datetime) -> list[Event]:
    """Every event that a request body tells, at least one, whatever the bytes are.

    What cannot be read is an unparsed event; nothing is raised. Repeats inside the body are
    returned once. `received_at` is the time of arrival.
    """
    try:
        return _events(body, received_at)
    except UnreadableError as error:
        return [unparsed_event(body, received_at, str(error))]
    except Exception as error:  # noqa: BLE001 - kept and read again after a fix, not lost
        return [unparsed_event(body, received_at, FAULT + type(error).__name__)]


def _events(body: bytes, received_at: datetime) -> list[Event]:
    found = [node for root in read_body(body) for node in notifications(root)]
    if len(found) == 1:
        return [_event(found[0], received_at)]
    events: dict[str, Event] = {}
    for number, node in enumerate(found, 1):
        try:
            event = _event(node, received_at)
        except UnreadableError as error:
            place = f"notification {number} of {len(found)}: {error}"
            event = unparsed_event(body + place.encode(), received_at, place)
        events.setdefault(event.id, event)
    return list(events.values())


def _event(node: Node, received_at: datetime) -> Event:
    return event_of(Fields(node), received_at, is_json=node.is_json)
