"""POST /messages with `Prefer: respond-async`: write the row, then queue the message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from skycore import metrics, serializers, timestamps
from skycore.aws import queues
from skycore.logs import bind_message
from skycore.metrics import count_rejections
from skycore.problems import Problem
from skycore.sending import idempotency, opt_outs
from skycore.sending.idempotency import (
    SendResult,
    check_idempotency_key,
    is_still_queued,
    replay_result,
)
from skycore.sending.new_messages import not_queued_problem, queued_row
from skycore.sending.opt_outs import dry_run
from skycore.sending.validation import check_sendable, parse_message
from skycore.table import messages, queue_transitions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from skycore.sending.validation import Draft, SendPolicy
    from skycore.table.messages import MessageRow


@count_rejections()
def enqueue(
    body: Mapping[str, Any], *, caller: str, key: str | None, queue_url: str, policy: SendPolicy
) -> SendResult:
    """Queues one message; 202 once its row and the queue hold it. Raises Problem."""
    check_idempotency_key(key)
    draft = parse_message(body, policy)
    if draft.dry_run:
        return dry_run(draft, policy)
    row = queued_row(draft, body, idempotency.message_id(caller, key), policy.days)
    bind_message(message_id=row.message_id)
    refusal = _refusal(draft, policy)
    # What is refused gets no row, not even for a moment: sweep would queue one that is left behind.
    existing = messages.create(row) if refusal is None else messages.get(row.message_id)
    if existing is not None:
        return _repeated(existing, row, queue_url)
    if refusal is not None:
        raise refusal
    taken = None
    try:
        taken = opt_outs.check(draft)
        if taken is not None:
            queue_transitions.mark_confirmation(row.message_id)
        lost = queues.send_many(queue_url, [queue_transitions.queue_body(row)])
    except BaseException:
        messages.delete_unsent(row)
        opt_outs.release_confirmation(draft, taken)
        raise
    # A queue that gave no answer may have it: then dispatch may have taken the message by now.
    if lost and messages.delete_unsent(row):
        opt_outs.release_confirmation(draft, taken)
        raise not_queued_problem()
    metrics.count("Queued")
    return SendResult(202, serializers.message(row, timestamps.now()))


def _repeated(existing: MessageRow, row: MessageRow, queue_url: str) -> SendResult:
    """The answer to a call under the key of a message that is there.

    If that still waits it goes into the queue again, for a call that died before the queue had it:
    dispatch sends a message once, however often the queue names it. If the queue does not take it
    now, sweep sees to it. Raises Problem in_progress if the first call ends now, in vain.
    """
    if is_still_queued(existing, row) and not queue_transitions.take_over(
        existing.message_id, row.attempt
    ):
        left = messages.get(existing.message_id)
        if left is None:
            raise Problem("in_progress", "this message is being queued right now", retry_after=1)
        existing = left
    if not is_still_queued(existing, row):
        return replay_result(existing, row.fingerprint)
    queues.send_many(queue_url, [queue_transitions.queue_body(row)])
    return SendResult(202, serializers.message(existing, timestamps.now()), replayed=True)


def _refusal(draft: Draft, policy: SendPolicy) -> Problem | None:
    """Why the message could not be sent if it is new."""
    try:
        check_sendable(draft, policy)
    except Problem as problem:
        return problem
    return None
