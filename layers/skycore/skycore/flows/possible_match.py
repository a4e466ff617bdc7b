"""Receipts that may belong to a message whose outcome is unknown; only a person decides."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from skycore import times
from skycore.storage import events, listing, messages
from skycore.storage.listing import Span
from skycore.storage.table import Row

if TYPE_CHECKING:
    from skycore.storage.messages import MessageRow

LOOK_AHEAD = timedelta(hours=24)  # after the call; a receipt that is later tells nothing
MOST = 500  # events of the number that are looked at, the earliest


def possible_matches(row: MessageRow) -> list[dict[str, Any]]:
    """Receipts to the message's number, after its call, whose tracking id nobody owns."""
    if not row.to:
        return []
    called = times.from_text(row.created_at)
    span = Span("event", called, called + LOOK_AHEAD, None)
    keys = listing.earliest(Row.by_number, listing.months_of(row.to), span, MOST)
    told = [stored.event for stored in events.by_keys(keys).values()]
    receipts = [event for event in told if event.status_step and event.tracking_id]
    owned = messages.pointers({str(event.tracking_id) for event in receipts})
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
