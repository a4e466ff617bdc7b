"""Opt-outs: checked before a message is sent, recorded when Skycore reports one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skycore import timestamps
from skycore.logs import log_exception, mask_number
from skycore.problems import Problem
from skycore.sending.idempotency import SendResult
from skycore.sending.validation import check_sendable
from skycore.table import opt_outs

if TYPE_CHECKING:
    from datetime import datetime

    from skycore.sending.validation import Draft, SendPolicy


BLOCKED_CODE = "E114"


def record_blocked(number: str) -> None:
    """Notes that Skycore refuses a number for every sender (E114).

    Never raises: the outcome of the call must not be lost for it, and Skycore refuses again.
    """
    try:
        opt_outs.record_opt_out(number, None, timestamps.now(), BLOCKED_CODE)
    except Exception as error:  # noqa: BLE001 - see above
        log_exception("opt-out not noted", error, number=mask_number(number))


def record_sender(draft: Draft) -> None:
    """Note that this stack sends from the message's sender, so that a stop to it is a stop to it.

    Never raises, as `record_blocked`: without the note a stop counts for all senders.
    """
    if draft.sender is None:
        return
    try:
        opt_outs.record_sender(draft.sender)
    except Exception as error:  # noqa: BLE001 - see above
        log_exception("sender not noted", error)


def check(draft: Draft) -> datetime | None:
    """Raises Problem recipient_opted_out for a number that wants nothing from this sender.

    The one message after a stop that says `opt_out_confirmation` may go: then the moment is
    returned at which that was taken, for `give_back` if nothing is sent after all.
    """
    if draft.to is None or not opt_outs.opted_out([(draft.to, draft.sender)]):
        return None
    taken = None
    if draft.opt_out_confirmation:
        taken = opt_outs.claim_confirmation(draft.to, draft.sender, timestamps.now())
    if taken is None:
        raise opted_out_problem()
    return taken


def check_only(draft: Draft) -> None:
    """Raises what `check` would, and takes nothing."""
    if draft.to is None or not opt_outs.opted_out([(draft.to, draft.sender)]):
        return
    if not (draft.opt_out_confirmation and opt_outs.can_confirm(draft.to, draft.sender)):
        raise opted_out_problem()


def release_confirmation(draft: Draft, taken: datetime | None) -> None:
    """Lets another message confirm the opt-out, because this one provably was not sent."""
    if draft.to is not None and taken is not None:
        opt_outs.release_confirmation(draft.to, draft.sender, taken)


def opted_out_problem() -> Problem:
    """The problem of a recipient who wants nothing from this sender."""
    detail = "the recipient has opted out of messages from this sender"
    return Problem("recipient_opted_out", detail)


def dry_run(draft: Draft, policy: SendPolicy) -> SendResult:
    """Everything but the call: what would be sent. Raises Problem as a send does."""
    check_sendable(draft, policy)
    check_only(draft)
    return SendResult(
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
