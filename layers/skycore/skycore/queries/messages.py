"""One message with its timeline, one event with its raw body; and cancelling a queued message."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from skycore import serializers, timestamps
from skycore.problems import Problem
from skycore.serializers import event_envelope, owners_of
from skycore.table import events, messages, pagination, queue_transitions
from skycore.table.models import Row
from skycore.table.pagination import TimeRange

if TYPE_CHECKING:
    from skycore.table.messages import MessageRow

MAX_ID_LENGTH = 256  # characters of a message's id; a longer one may not fit into a key


def get_message(message_id: str) -> dict[str, Any]:
    """The message, its status and its timeline. Raises Problem message_not_found."""
    row = messages.get(message_id) if len(message_id) <= MAX_ID_LENGTH else None
    if row is None:
        raise Problem("message_not_found", "there is no message with this id")
    told = events.of_message(row)
    view = {
        **serializers.message(row, timestamps.now()),
        "timeline": serializers.timeline(row, told),
    }
    if view["status"] == "unknown":
        view["possible_match"] = possible_matches(row)
    return view


def cancel(message_id: str) -> dict[str, Any]:
    """Cancels a message that is still queued.

    Raises Problem: message_not_found, or not_cancellable once it has left the queue.
    """
    get_message(message_id)
    if not queue_transitions.cancel(message_id, timestamps.now()):
        raise Problem("not_cancellable", "the message has left the queue", message_id=message_id)
    return get_message(message_id)


def get_event(event_id: str, *, source: str) -> dict[str, Any]:
    """One event as subscribers got it, with the postback's whole raw body as base64.

    Raises Problem event_not_found.
    """
    stored = events.get(event_id)
    if stored is None:
        raise Problem("event_not_found", "there is no event with this id")
    envelope = event_envelope(stored, owners_of([stored.event]), source)
    return {**envelope, "raw": base64.b64encode(stored.raw).decode()}


LOOK_AHEAD = timedelta(hours=24)  # after the call; a receipt that is later tells nothing
MAX_EVENTS = 500  # events of the number that are looked at, the earliest


def possible_matches(row: MessageRow) -> list[dict[str, Any]]:
    """Receipts to the message's number, after its call, whose tracking id nobody owns."""
    if not row.to:
        return []
    called = timestamps.from_text(row.created_at)
    span = TimeRange("event", called, called + LOOK_AHEAD, None)
    keys = pagination.earliest(Row.by_number, pagination.by_month(row.to), span, MAX_EVENTS)
    told = [stored.event for stored in events.get_by_keys(keys).values()]
    receipts = [event for event in told if event.status_step and event.tracking_id]
    owned = messages.messages_by_tracking_id({str(event.tracking_id) for event in receipts})
    return [
        {
            "tracking_id": event.tracking_id,
            "event": event.event,
            "time": event.time,
            "event_id": event.id,
        }
        for event in sorted(receipts, key=lambda event: event.received_at)
        if event.tracking_id not in owned
    ]
