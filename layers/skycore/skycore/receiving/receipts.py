"""Apply postbacks: delivery receipts to message statuses, opt-outs to the table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skycore import metrics, timestamps
from skycore.catalogue.statuses import RANKS
from skycore.logs import log, log_exception, mask_number
from skycore.table import events, messages, opt_outs
from skycore.table.messages import MessageRow

if TYPE_CHECKING:
    from datetime import datetime

    from skycore.postbacks.event import Event
    from skycore.table.messages import TrackingRow


def apply_receipt(owner: TrackingRow, event: Event) -> None:
    """Move the owner's message to the status that the event reports, if that ranks above its own.

    This also repairs a row whose update to accepted was lost.
    """
    row = _move(owner.message_id, event, shared=owner.shared)
    if row is None:
        return
    if _accepted_at(row) is None:
        # This receipt was quicker than our own record that Skycore accepted the message.
        apply_earlier_receipts(row)
    else:
        _measure(row, event)


def apply_earlier_receipts(row: MessageRow) -> None:
    """Apply receipts that came before their tracking id was known to be this message's."""
    if row.to is None and row.parent is None:
        return  # a campaign's message, which no receipt moves
    received = [event for event in events.of_message(row) if event.status_step]
    if not received:
        return
    owner = messages.messages_by_tracking_id([str(row.tracking_id)]).get(str(row.tracking_id))
    for event in received:
        moved = _move(row.message_id, event, shared=owner.shared if owner else None)
        if moved is not None:
            _measure(moved, event)


def _measure(row: MessageRow, event: Event) -> None:
    accepted_at = _accepted_at(row)
    if event.status_step == "delivered" and accepted_at is not None:
        taken = (event.received_at - accepted_at).total_seconds()
        metrics.record("DeliverySeconds", max(0.0, taken))


def _accepted_at(row: MessageRow) -> datetime | None:
    line = next((line for line in row.steps if line.endswith(" accepted")), None)
    return timestamps.from_text(line.split(" ", 1)[0]) if line else None


def _move(message_id: str, event: Event, *, shared: bool | None) -> MessageRow | None:
    """Return the message's row as the event moved it; None if the event changed nothing.

    The row gets the tracking id too, in case the update to accepted was lost. A tracking id that
    is not `shared` is the message's own, however the postback writes the number. A receipt of a
    shared one moves the message to the same number; a campaign's message, which has no number,
    stays as it is. Earlier releases did not record `shared` (None): then only the recipients of
    one call may share it.
    """
    step, number, tracking_id = event.status_step, event.subscriber_number, event.tracking_id
    if step is None:
        return None
    to, parent = MessageRow.to, MessageRow.parent
    its_own = to.exists() if number is None or shared is False else to == number
    if shared is None:
        its_own |= to.exists() & parent.does_not_exist()
    # One of several recipients, whose number Skycore did not give, has a tracking id of its own.
    its_own |= to.does_not_exist() & parent.exists()
    condition = (MessageRow.rank < RANKS[step]) & its_own
    repaired = {} if tracking_id is None else {"tracking_id": MessageRow.tracking_id | tracking_id}
    return messages.transition_if(
        message_id, step, event.received_at, condition, own=False, attributes=repaired
    )


def record_opt_outs(event: Event) -> None:
    """Notes what an event says about its number's wishes; safe to repeat, in any order.

    N302 concerns a sender only when the person asked for it (SOURCE MO): any other source took
    the number off one campaign. N301 lifts. What the table can never hold is logged and passed
    over, because the event must be told all the same; raises the table's other errors.
    """
    data, moment = event.data, timestamps.from_text(event.time)
    code, number = data.get("code"), event.subscriber_number
    if not number:
        return
    sender: str | None
    wish: str | None
    if code in {"N211", "N401"}:
        sender, wish = data.get("to"), data.get("opt_out")
    elif code == "N302" and str(data.get("source") or "").strip().upper() == "MO":
        sender, wish = data.get("shortcode"), "stop"
    elif code == "N301":
        sender, wish = data.get("shortcode"), "start"
    else:
        return
    try:
        if wish == "stop" and opt_outs.record_opt_out(number, sender, moment, str(code)):
            log.info("opted out", extra={"number": mask_number(number), "code": code})
        if wish == "start" and opt_outs.record_opt_in(number, sender, moment):
            log.info("opted in", extra={"number": mask_number(number), "code": code})
    except ValueError as error:
        log_exception("opt-out not noted", error, event_id=event.id)
