"""What a postback says of its message moves the message's status."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skycore import metrics, times
from skycore.storage import events, messages

if TYPE_CHECKING:
    from datetime import datetime

    from skycore.postbacks import Event
    from skycore.storage.messages import MessageRow


def apply_receipt(message_id: str, event: Event) -> None:
    """Moves the message to the status that the event tells, if that ranks above what it has.

    This also mends a row whose update to accepted was lost.
    """
    row = _move(message_id, event)
    if row is None:
        return
    if _accepted_at(row) is None:
        # This receipt was quicker than our own note that Skycore accepted, which then is no news.
        apply_earlier_receipts(row, event.tracking_id)
    else:
        _measure(row, event)


def apply_earlier_receipts(row: MessageRow, tracking_id: str | None) -> None:
    """Applies receipts that came before anyone knew whose tracking id they carry."""
    for event in events.of_tracking_id(tracking_id) if tracking_id else ():
        if _move(row.message_id, event) is not None:
            _measure(row, event)


def _measure(row: MessageRow, event: Event) -> None:
    accepted_at = _accepted_at(row)
    if event.status_step == "delivered" and accepted_at is not None:
        taken = (event.received_at - accepted_at).total_seconds()
        metrics.record("DeliverySeconds", max(0.0, taken))


def _accepted_at(row: MessageRow) -> datetime | None:
    line = next((line for line in row.steps if line.endswith(" accepted")), None)
    return times.from_text(line.split(" ", 1)[0]) if line else None


def _move(message_id: str, event: Event) -> MessageRow | None:
    """The message's row as the event made it; None if the event changed nothing."""
    step = event.status_step
    if step is None:
        return None
    return messages.receive(
        message_id, step, event.counterpart, event.received_at, tracking_id=event.tracking_id
    )
