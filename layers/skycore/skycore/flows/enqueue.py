"""Messages that are answered before they are sent: rows first, then the send queue."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from skycore import metrics, times
from skycore.aws import queue
from skycore.flows import ledger, opt_out, views
from skycore.flows.compose import check_new, compose
from skycore.flows.refusals import counted_refusals
from skycore.flows.send import Sent, check_key, dry_run, replay
from skycore.logs import about
from skycore.messages import idempotency
from skycore.problems import Problem
from skycore.storage import messages, queued

if TYPE_CHECKING:
    from collections.abc import Mapping

    from skycore.flows.compose import Draft, Rules
    from skycore.storage.messages import MessageRow


LONGEST_WAIT = timedelta(days=14)  # without expires_at; for so long SQS keeps what nobody takes
MOST_DAYS = 3650  # that a row outlives its queue's retention for an `expires_at` far ahead


@counted_refusals()
def enqueue(
    body: Mapping[str, Any], *, caller: str, key: str | None, queue_url: str, rules: Rules
) -> Sent:
    """Queues one message; 202 once its row and the queue hold it. Raises Problem."""
    check_key(key)
    draft = compose(body, rules)
    if draft.dry_run:
        return dry_run(draft, rules)
    row = queued_row(draft, body, idempotency.message_id(caller, key), rules.days)
    about(message_id=row.message_id)
    refusal = _refusal(draft, rules)
    # What is refused gets no row, not even for a moment: sweep would queue one that is left behind.
    existing = messages.create(row) if refusal is None else messages.get(row.message_id)
    if existing is not None:
        return _repeated(existing, row, queue_url)
    if refusal is not None:
        raise refusal
    taken = None
    try:
        taken = opt_out.check(draft)
        if taken is not None:
            queued.mark_confirmation(row.message_id)
        lost = queue.send_many(queue_url, [queued.queue_body(row)])
    except BaseException:
        messages.release(row)
        opt_out.give_back(draft, taken)
        raise
    # A queue that gave no answer may have it: then dispatch may have taken the message by now.
    if lost and messages.release(row):
        opt_out.give_back(draft, taken)
        raise not_queued()
    metrics.count("Queued")
    return Sent(202, views.message(row, times.now()))


def _repeated(existing: MessageRow, row: MessageRow, queue_url: str) -> Sent:
    """The answer to a call under the key of a message that is there.

    If that still waits it goes into the queue again, for a call that died before the queue had it:
    dispatch sends a message once, however often the queue names it. If the queue does not take it
    now, sweep sees to it. Raises Problem in_progress if the first call ends now, in vain.
    """
    if is_still_queued(existing, row) and not queued.hold(existing.message_id, row.attempt):
        left = messages.get(existing.message_id)
        if left is None:
            raise Problem("in_progress", "this message is being queued right now", retry_after=1)
        existing = left
    if not is_still_queued(existing, row):
        return replay(existing, row.fingerprint)
    queue.send_many(queue_url, [queued.queue_body(row)])
    return Sent(202, views.message(existing, times.now()), replayed=True)


def _refusal(draft: Draft, rules: Rules) -> Problem | None:
    """Why the message could not be sent if it is new."""
    try:
        check_new(draft, rules)
    except Problem as problem:
        return problem
    return None


def not_queued() -> Problem:
    """The problem of a queue that did not take a message."""
    return Problem("not_queued", "the queue did not take the message; nothing will be sent")


def queued_row(draft: Draft, body: Mapping[str, Any], message_id: str, days: int) -> MessageRow:
    """The row of a message that waits, with all that dispatch needs to send it."""
    request = messages.pack(
        {
            "action": draft.action.name,
            "fields": draft.fields,
            "confirmation": draft.opt_out_confirmation,
        }
    )
    now = times.now()
    deadline = draft.expires_at or now + LONGEST_WAIT
    return ledger.new_message(
        draft,
        "queued",
        message_id=message_id,
        body=body,
        # The row must not be gone when the message's turn comes.
        days=days + min(MOST_DAYS, max(0, (deadline - now).days) + 1),
        deadline=deadline,
        request=request,
    )


def is_still_queued(existing: MessageRow, row: MessageRow) -> bool:
    """Whether `existing` is the same message and waits to be sent."""
    same = existing.fingerprint == row.fingerprint
    return same and views.status_of(existing, times.now()) == "queued"
