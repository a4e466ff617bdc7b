"""Apply postbacks: delivery receipts to message statuses, opt-outs to the table."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from skycore import metrics, timestamps
from skycore.catalogue.statuses import RANKS
from skycore.logs import log, log_exception, mask_number
from skycore.phone_numbers import SHORTEST_ENDING, canonical_number, ending_of, received_forms
from skycore.table import events, messages, opt_outs
from skycore.table.messages import MessageRow

if TYPE_CHECKING:
    from datetime import datetime

    from skycore.postbacks.event import Event
    from skycore.table.messages import TrackingRow


def apply_receipt(owner: TrackingRow, event: Event) -> str | None:
    """Move the owner's message to the status that the event reports, if that ranks above its own.

    Return the message's status if this call knows it. This also repairs a row whose update to
    accepted was lost.
    """
    row = _move(owner.message_id, event, shared=owner.shared)
    if row is None:
        return None
    if _accepted_at(row) is None:
        # The acceptance is not recorded, so earlier receipts found no message; apply them now.
        apply_earlier_receipts(row)
        return None
    _measure(row, event)
    return row.status


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
    shared one moves the message to the same number, and none if its number cannot be read; a
    campaign's message, which has no number, stays as it is. Earlier releases did not record
    `shared` (None): then only the recipients of one call may share it.
    """
    step, tracking_id = event.status_step, event.tracking_id
    if step is None:
        return None
    to, parent = MessageRow.to, MessageRow.parent
    its_own = to.exists()
    if shared is not False:
        forms = received_forms(event.data.get("to"))
        ending = ending_of(forms[-1]) if forms else ""
        if len(ending) >= SHORTEST_ENDING:
            same_number = to.is_in(*forms) | to.contains(ending)
            its_own = same_number if shared else same_number | (its_own & parent.does_not_exist())
        elif shared:
            return None
    # One of several recipients, whose number Skycore did not give, has a tracking id of its own.
    its_own |= to.does_not_exist() & parent.exists()
    condition = (MessageRow.rank < RANKS[step]) & its_own
    # `attribute | value` is if_not_exists in PynamoDB: a tracking id that is there stays.
    repaired = {} if tracking_id is None else {"tracking_id": MessageRow.tracking_id | tracking_id}
    return messages.transition_if(
        message_id, step, event.received_at, condition, own=False, attributes=repaired
    )


def record_opt_outs(event: Event) -> None:
    """Record what an event says about its number's opt-out; safe to repeat, in any order.

    N301 and N302 concern a sender only if the person asked for it (SOURCE MO or WEB): any other
    source put the number on one campaign or took it off. A stop counts for every shortcode that its
    SHORTCODE may list. What the table can never hold is logged and passed over, because the event
    must be published all the same; raises the table's other errors.
    """
    data, number = event.data, event.subscriber_number
    code = data.get("code")
    if not number:
        return
    source = str(data.get("source") or "").strip().upper()
    try:
        if code in {"N211", "N401"}:
            _record_words(event, number, _sender(data.get("to")))
        elif code == "N302" and _BY_PERSON & set(_NO_WORD.split(source)):
            for sender in _shortcodes(data.get("shortcode")):
                _record_stop(event, number, sender)
        elif code == "N301" and source in _BY_PERSON and data.get("shortcode"):
            _record_start(event, number, str(_sender(data["shortcode"])))
    except ValueError as error:
        log_exception("opt-out not recorded", error, event_id=event.id)


_BY_PERSON = {"MO", "WEB"}
_NO_WORD = re.compile(r"[\W_]+")


def _shortcodes(written: str | None) -> set[str | None]:
    """Return the senders that the SHORTCODE of an opt-out names; None stands for all senders."""
    if not written:
        return {None}
    listed = (part for part in re.split(r"[,;|/\s]+", written) if part)
    numbers = {canonical_number(one) for one in (written, *listed)} - {None}
    return numbers or {written if opt_outs.is_sender(written) else None}


def _sender(written: str | None) -> str | None:
    """Return a sender as opt-outs are kept: a number's canonical form, or a name."""
    return canonical_number(written) or written


def _record_words(event: Event, number: str, sender: str | None) -> None:
    """Record the STOP or START that a person sent to a sender.

    A stop to a number that this stack never sent from answers a message whose sender was
    replaced on the way, so it counts for all senders.
    """
    match event.data.get("opt_out"):
        case "stop":
            is_ours = sender is not None and opt_outs.is_sender(sender)
            _record_stop(event, number, sender if is_ours else None)
        case "start" if sender is not None:
            _record_start(event, number, sender)


def _record_stop(event: Event, number: str, sender: str | None) -> None:
    """Record a stop, at its credible time or else at its arrival."""
    code, moment = str(event.data.get("code")), event.credible_at or event.received_at
    if opt_outs.record_opt_out(number, sender, moment, code):
        log.info("opted out", extra={"number": mask_number(number), "code": code})


def _record_start(event: Event, number: str, sender: str) -> None:
    """Record a start, at its credible time or else early enough that no stop is lost.

    It never counts later than it arrived.
    """
    moment = event.credible_at
    if moment is None:
        earliest = event.received_at - timestamps.MAX_BEHIND
        moment = min(event.stated_at or earliest, earliest)
    moment = min(moment, event.received_at)
    if opt_outs.record_opt_in(number, sender, moment):
        code = event.data.get("code")
        log.info("opted in", extra={"number": mask_number(number), "code": code})
