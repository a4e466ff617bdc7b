"""Apply postbacks: delivery receipts to message statuses, opt-outs to the table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skycore import metrics, timestamps
from skycore.logs import log, log_exception, mask_number
from skycore.table import events, messages, opt_outs

if TYPE_CHECKING:
    from datetime import datetime

    from skycore.postbacks.event import Event
    from skycore.table.messages import MessageRow


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
    for event in events.by_tracking_id(tracking_id) if tracking_id else ():
        if _move(row.message_id, event) is not None:
            _measure(row, event)


def _measure(row: MessageRow, event: Event) -> None:
    accepted_at = _accepted_at(row)
    if event.status_step == "delivered" and accepted_at is not None:
        taken = (event.received_at - accepted_at).total_seconds()
        metrics.record("DeliverySeconds", max(0.0, taken))


def _accepted_at(row: MessageRow) -> datetime | None:
    line = next((line for line in row.steps if line.endswith(" accepted")), None)
    return timestamps.from_text(line.split(" ", 1)[0]) if line else None


def _move(message_id: str, event: Event) -> MessageRow | None:
    """The message's row as the event made it; None if the event changed nothing."""
    step = event.status_step
    if step is None:
        return None
    return messages.apply_receipt(
        message_id, step, event.subscriber_number, event.received_at, tracking_id=event.tracking_id
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
