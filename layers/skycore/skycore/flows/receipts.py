"""What a postback says of its message moves the message's status."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skycore.storage import events, messages

if TYPE_CHECKING:
    from skycore.postbacks import Event
    from skycore.storage.messages import MessageRow


def apply_receipt(message_id: str, event: Event) -> None:
    """Moves the message to the status that the event tells, if that ranks above what it has.

    This also mends a row whose update to accepted was lost.
    """
    if not _move(message_id, event):
        return
    row = messages.get(message_id)
    if row is not None and not any(line.endswith(" accepted") for line in row.steps):
        # This receipt was quicker than our own note that Skycore accepted, which then is no news.
        apply_earlier_receipts(row, event.tracking_id)


def apply_earlier_receipts(row: MessageRow, tracking_id: str | None) -> None:
    """Applies receipts that came before anyone knew whose tracking id they carry."""
    for event in events.of_tracking_id(tracking_id) if tracking_id else ():
        _move(row.message_id, event)


def _move(message_id: str, event: Event) -> bool:
    step = event.status_step
    return step is not None and messages.receive(
        message_id, step, event.counterpart, event.received_at, tracking_id=event.tracking_id
    )
