"""Request bodies to events."""

from datetime import datetime

from skycore.postbacks.bounds import UnreadableError
from skycore.postbacks.event import Event
from skycore.postbacks.layers import read_body
from skycore.postbacks.notification import Fields, notifications
from skycore.postbacks.telling import event_of, unparsed_event


def read_postback(body: bytes, received_at: datetime) -> list[Event]:
    """Every event that a request body tells, at least one, whatever the bytes are.

    What cannot be read is an unparsed event; nothing is raised. Repeats inside the body are
    returned once. `received_at` is the time of arrival.
    """
    try:
        found = [node for root in read_body(body) for node in notifications(root)]
    except UnreadableError as error:
        return [unparsed_event(body, received_at, str(error))]
    events: dict[str, Event] = {}
    for number, node in enumerate(found, 1):
        try:
            event = event_of(Fields(node), received_at, is_json=node.is_json)
        except UnreadableError as error:
            if len(found) == 1:
                return [unparsed_event(body, received_at, str(error))]
            place = f"notification {number} of {len(found)}: {error}"
            event = unparsed_event(body + place.encode(), received_at, place)
        events.setdefault(event.id, event)
    return list(events.values())
