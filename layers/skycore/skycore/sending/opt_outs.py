"""Opt-outs: learnt from events and refusals, respected before a message is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skycore import timestamps
from skycore.logs import log_exception, masked
from skycore.problems import Problem
from skycore.sending.idempotency import Sent
from skycore.sending.validation import check_new
from skycore.table import opt_outs

if TYPE_CHECKING:
    from datetime import datetime

    from skycore.sending.validation import Draft, Rules


BLACKLISTED = "E114"


def blacklisted(number: str) -> None:
    """Notes that Skycore refuses a number for every sender (E114).

    Never raises: the outcome of the call must not be lost for it, and Skycore refuses again.
    """
    try:
        opt_outs.stop(number, None, timestamps.now(), BLACKLISTED)
    except Exception as error:  # noqa: BLE001 - see above
        log_exception("opt-out not noted", error, number=masked(number))


def check(draft: Draft) -> datetime | None:
    """Raises Problem recipient_opted_out for a number that wants nothing from this sender.

    The one message after a stop that says `opt_out_confirmation` may go: then the moment is
    returned at which that was taken, for `give_back` if nothing is sent after all.
    """
    if draft.to is None or not opt_outs.suppressed([(draft.to, draft.sender)]):
        return None
    taken = None
    if draft.opt_out_confirmation:
        taken = opt_outs.confirm_once(draft.to, draft.sender, timestamps.now())
    if taken is None:
        raise opted_out()
    return taken


def foresee(draft: Draft) -> None:
    """Raises what `check` would, and takes nothing."""
    if draft.to is None or not opt_outs.suppressed([(draft.to, draft.sender)]):
        return
    if not (draft.opt_out_confirmation and opt_outs.may_confirm(draft.to, draft.sender)):
        raise opted_out()


def give_back(draft: Draft, taken: datetime | None) -> None:
    """Lets another message confirm the opt-out, because this one provably was not sent."""
    if draft.to is not None and taken is not None:
        opt_outs.give_back(draft.to, draft.sender, taken)


def opted_out() -> Problem:
    """The problem of a recipient who wants nothing from this sender."""
    detail = "the recipient has opted out of messages from this sender"
    return Problem("recipient_opted_out", detail)


def dry_run(draft: Draft, rules: Rules) -> Sent:
    """Everything but the call: what would be sent. Raises Problem as a send does."""
    check_new(draft, rules)
    foresee(draft)
    return Sent(
        200,
        {
            "dry_run": True,
            "action": draft.action.name,
            "to": draft.to,
            "from": draft.sender,
            "client_reference": draft.client_reference,
            "fields": draft.fields,
        },
    )
