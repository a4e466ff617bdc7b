"""Opt-outs: learnt from events and refusals, respected before a message is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skycore import times
from skycore.logs import log, masked
from skycore.problems import Problem
from skycore.storage import suppression

if TYPE_CHECKING:
    from skycore.postbacks import Event

BLACKLISTED = "E114"


def learn(event: Event) -> None:
    """Notes what an event says about its number's wishes; safe to repeat, in any order.

    N302 concerns a sender only when the person asked for it (SOURCE MO): any other source took
    the number off one campaign. N301 lifts.
    """
    data, moment = event.data, times.from_text(event.time)
    code, number = data.get("code"), event.counterpart
    if number is None:
        return
    sender: str | None
    wish: str | None
    if code == "N211":
        sender, wish = data.get("to"), data.get("opt_out")
    elif code == "N302" and str(data.get("source") or "").strip().upper() == "MO":
        sender, wish = data.get("shortcode"), "stop"
    elif code == "N301":
        sender, wish = data.get("shortcode"), "start"
    else:
        return
    if wish == "stop" and suppression.stop(number, sender, moment, str(code)):
        log.info("opted out", extra={"number": masked(number), "code": code})
    if wish == "start" and suppression.start(number, sender, moment):
        log.info("opted in", extra={"number": masked(number), "code": code})


def blacklisted(number: str) -> None:
    """Notes that Skycore refuses a number for every sender (E114)."""
    suppression.stop(number, None, times.now(), BLACKLISTED)


def check(number: str | None, sender: str | None, *, confirmation: bool) -> None:
    """Raises Problem recipient_opted_out for a number that wants nothing from this sender.

    The one message after a stop that says `opt_out_confirmation` may go.
    """
    if number is None or not suppression.is_suppressed(number, sender):
        return
    if confirmation and suppression.confirm_once(number, sender, times.now()):
        return
    detail = "the recipient has opted out of messages from this sender"
    raise Problem("recipient_opted_out", detail)
