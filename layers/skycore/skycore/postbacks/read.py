"""Request bodies to events."""

import re
from datetime import datetime

from skycore.postbacks.bounds import MAX_NOTIFICATIONS, UnreadableError
from skycore.postbacks.event import Event
from skycore.postbacks.layers import read_body
from skycore.postbacks.node import Node
from skycore.postbacks.notification import Fields, notifications
from skycore.postbacks.telling import event_of, unparsed_event

FAULT = "a fault of ours in reading it: "
_PLACE = re.compile(r"notifications? (\d+(?:, \d+)*) of (\d+): ")


def read_postback(body: bytes, received_at: datetime) -> list[Event]:
    """Every event that a request body tells, at least one, whatever the bytes are.

    What cannot be read is one unparsed event; nothing is raised. Repeats inside the body are
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

    Empty while it still cannot be read. Of a body with several notifications it is those that
    the reason names; those of them that still cannot be read are again one unparsed event.
    """
    try:
        told = _each(body, received_at)
    except Exception:  # noqa: BLE001 - unreadable, or a fault of ours
        return []
    place = _PLACE.match(error)
    if place and int(place[2]) == len(told):
        wanted = {int(number) for number in place[1].split(", ")}
    else:
        wanted = set(range(1, len(told) + 1))
    events = _together(body, received_at, told, wanted)
    return events if any(not event.unparsed for event in events) else []


def _events(body: bytes, received_at: datetime) -> list[Event]:
    told = _each(body, received_at)
    if not any(isinstance(one, Event) for one in told):
        raise UnreadableError(f"none of {len(told)} notifications can be read: {told[0]}")
    events: dict[str, Event] = {}
    for event in _together(body, received_at, told, set(range(1, len(told) + 1))):
        events.setdefault(event.id, event)
    return list(events.values())


def _each(body: bytes, received_at: datetime) -> list[Event | UnreadableError]:
    """For each notification in the body, in order, its event or why there is none."""
    found = [node for root in read_body(body) for node in notifications(root)]
    if len(found) > MAX_NOTIFICATIONS:
        raise UnreadableError(f"more than {MAX_NOTIFICATIONS} notifications")
    if len(found) == 1:
        return [_event(found[0], received_at)]
    told: list[Event | UnreadableError] = []
    for node in found:
        try:
            told.append(_event(node, received_at))
        except UnreadableError as error:
            told.append(error)
    return told


def _together(
    body: bytes, received_at: datetime, told: list[Event | UnreadableError], wanted: set[int]
) -> list[Event]:
    """The wanted notifications' events, and one unparsed event for all that cannot be read.

    One, because each takes the whole body to wherever events go.
    """
    events: list[Event] = []
    faults: list[str] = []
    for number, one in enumerate(told, 1):
        if number not in wanted:
            continue
        if isinstance(one, Event):
            events.append(one)
            continue
        if not faults:
            first, why = len(events), one
        faults.append(str(number))
    if faults:
        several = "s" if len(faults) > 1 else ""
        place = f"notification{several} {', '.join(faults)} of {len(told)}: {why}"
        events.insert(first, unparsed_event(body + place.encode(), received_at, place))
    return events


def _event(node: Node, received_at: datetime) -> Event:
    return event_of(Fields(node), received_at, is_json=node.is_json)
