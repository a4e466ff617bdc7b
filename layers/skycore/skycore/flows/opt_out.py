"""Opt-outs: learnt from events and refusals, respected before a message is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skycore import times
from skycore.logs import log, log_exception, masked
from skycore.problems import Problem
from skycore.storage import suppression

if TYPE_CHECKING:
    from datetime import datetime

    from skycore.flows.compose import Draft
    from skycore.postbacks import Event

BLACKLISTED = "E114"


def learn(event: Event) -> None:
    """Notes what an event says about its number's wishes; safe to repeat, in any order.

    N302 concerns a sender only when the person asked for it (SOURCE MO): any other source took
    the number off one campaign. N301 lifts. What the table can never hold is logged and passed
    over, because the event must be told all the same; raises the table's other errors.
    """
    data, moment = event.data, times.from_text(event.time)
    code, number = data.get("code"), event.counterpart
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
        if wish == "stop" and suppression.stop(number, sender, moment, str(code)):
            log.info("opted out", extra={"number": masked(number), "code": code})
        if wish == "start" and suppression.start(number, sender, moment):
            log.info("opted in", extra={"number": masked(number), "code": code})
    except ValueError as error:
        log_exception("opt-out not noted", error, event_id=event.id)


def blacklisted(number: str) -> None:
    """Notes that Skycore refuses a number for every sender (E114).

    Never raises: the outcome of the call must not be lost for it, and Skycore refuses again.
    """
    try:
        suppression.stop(number, None, times.now(), BLACKLISTED)
    except Exception as error:  # noqa: BLE001 - see above
        log_exception("opt-out not noted", error, number=masked(number))


def check(draft: Draft) -> datetime | None:
    """Raises Problem recipient_opted_out for a number that wants nothing from this sender.

    The one message after a stop that says `opt_out_confirmation` may go: then the moment is
    returned at which that was taken, for `give_back` if nothing is sent after all.
    """
    if draft.to is None or not suppression.suppressed([(draft.to, draft.sender)]):
        return None
    taken = None
    if draft.opt_out_confirmation:
        taken = suppression.confirm_once(draft.to, draft.sender, times.now())
    if taken is None:
        raise opted_out()
    return taken


def foresee(draft: Draft) -> None:
    """Raises what `check` would, and takes nothing."""
    if draft.to is None or not suppression.suppressed([(draft.to, draft.sender)]):
        return
    if not (draft.opt_out_confirmation and suppression.may_confirm(draft.to, draft.sender)):
        raise opted_out()


def give_back(draft: Draft, taken: datetime | None) -> None:
    """Lets another message confirm the opt-out, because this one provably was not sent."""
    if draft.to is not None and taken is not None:
        suppression.give_back(draft.to, draft.sender, taken)


def opted_out() -> Problem:
    """The problem of a recipient who wants nothing from this sender."""
    detail = "the recipient has opted out of messages from this sender"
    return Problem("recipient_opted_out", detail)
