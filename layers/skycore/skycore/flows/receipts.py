"""What a postback says of its message moves the message's status."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skycore.storage import events, messages
from skycore.storage.messages import MessageRow

if TYPE_CHECKING:
    from skycore.postbacks import Event


def apply_receipt(message_id: str, event: Event) -> None:
    """Moves the message to the status that the event tells, if that ranks above what it has.

    A campaign's recipients may share one tracking id: a receipt that names another number than
    the message's does not concern it, and a message without a number of its own, which is a
    campaign's, stays accepted.
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
    step, number = event.status_step, event.counterpart
    # One of several recipients, whose number Skycore did not give, has a tracking id of its own.
    one_of_several = MessageRow.to.does_not_exist() & MessageRow.parent.exists()
    its_own = MessageRow.to.exists() if number is None else MessageRow.to == number
    return step is not None and messages.move(
        message_id, step, moment=event.received_at, own=False, only_if=its_own | one_of_several
    )
