"""Request bodies to events."""

import re
from datetime import datetime

from skycore.postbacks.bounds import UnreadableError
from skycore.postbacks.event import Event
from skycore.postbacks.layers import read_body
from skycore.postbacks.node import Node
from skycore.postbacks.notification import Fields, notifications
from skycore.postbacks.telling import event_of, unparsed_event

FAULT = "a fault of ours in reading it: "
_PLACE = re.compile(r"notification (\d+) of (\d+): ")


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


def read_again(body: bytes, received_at: datetime, error: str) -> list[Event]:
    """What a postback that was kept as unparsed, for the reason `error`, tells now instead.

    Empty while it still cannot be read. Of a body with several notifications it is the one that
    the reason names.
    """
    try:
        events = _each(body, received_at)
    except Exception:  # noqa: BLE001 - unreadable, or a fault of ours
        return []
    place = _PLACE.match(error)
    if place and int(place[2]) == len(events):
        events = [events[int(place[1]) - 1]]
    return events if any(not event.unparsed for event in events) else []


def _events(body: bytes, received_at: datetime) -> list[Event]:
    events: dict[str, Event] = {}
    for event in _each(body, received_at):
        events.setdefault(event.id, event)
    return list(events.values())


def _each(body: bytes, received_at: datetime) -> list[Event]:
    """One event for each notification in the body, in order."""
    found = [node for root in read_body(body) for node in notifications(root)]
    if len(found) == 1:
        return [_event(found[0], received_at)]
    events = []
    for number, node in enumerate(found, 1):
        try:
            events.append(_event(node, received_at))
        except UnreadableError as error:
            place = f"notification {number} of {len(found)}: {error}"
            events.append(unparsed_event(body + place.encode(), received_at, place))
    return events


def _event(node: Node, received_at: datetime) -> Event:
    return event_of(Fields(node), received_at, is_json=node.is_json)
