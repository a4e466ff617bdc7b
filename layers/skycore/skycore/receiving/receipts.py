"""Apply postbacks: delivery receipts to message statuses, opt-outs to the table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skycore import metrics, timestamps
from skycore.client.numbers import canonical_number
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
        message_id, step, event.data.get("to"), event.received_at, tracking_id=event.tracking_id
    )


def record_opt_outs(event: Event) -> None:
    """Note what an event says about its number's opt-out; safe to repeat, in any order.

    N301 and N302 concern a sender only if the person asked for it (SOURCE MO or WEB): any other
    source put the number on one campaign or took it off. What the table can never hold is logged
    and passed over, because the event must be published all the same; raises the table's other
    errors.
    """
    data, number = event.data, event.subscriber_number
    code = data.get("code")
    if not number:
        return
    shortcode = _sender(data.get("shortcode"))
    by_person = str(data.get("source") or "").strip().upper() in {"MO", "WEB"}
    try:
        if code in {"N211", "N401"}:
            _record_words(event, number, _sender(data.get("to")))
        elif code == "N302" and by_person:
            _record_stop(event, number, shortcode)
        elif code == "N301" and by_person and shortcode:
            _record_start(event, number, shortcode)
    except ValueError as error:
        log_exception("opt-out not noted", error, event_id=event.id)


def _sender(written: str | None) -> str | None:
    """Return a sender as opt-outs are kept: a number's canonical form, or a name."""
    return canonical_number(written) or written


def _record_words(event: Event, number: str, sender: str | None) -> None:
    """Note what a person wrote to a sender.

    A stop to a number that this stack never sent from answers a message whose sender was
    replaced on the way, so it counts for all senders.
    """
    match event.data.get("opt_out"):
        case "stop":
            known = sender is not None and opt_outs.is_sender(sender)
            _record_stop(event, number, sender if known else None)
        case "start" if sender is not None:
            _record_start(event, number, sender)


def _record_stop(event: Event, number: str, sender: str | None) -> None:
    """Note a stop: at its credible time, else at its arrival."""
    code, moment = str(event.data.get("code")), event.credible_at or event.received_at
    if opt_outs.record_opt_out(number, sender, moment, code):
        log.info("opted out", extra={"number": mask_number(number), "code": code})


def _record_start(event: Event, number: str, sender: str) -> None:
    """Note a start: at its credible time, else so early that no stop is lost to a wrong clock."""
    moment = event.credible_at
    if moment is None:
        earliest = event.received_at - timestamps.MAX_BEHIND
        moment = min(event.stated_at or earliest, earliest)
    if opt_outs.record_opt_in(number, sender, moment):
        code = event.data.get("code")
        log.info("opted in", extra={"number": mask_number(number), "code": code})
