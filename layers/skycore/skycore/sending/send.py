"""POST /messages: send one message to Skycore, at most once, and record the outcome."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from skycore.logs import bind_message
from skycore.metrics import count_rejections
from skycore.problems import Problem
from skycore.sending import idempotency, opt_outs
from skycore.sending.delivery import FINAL_PROBLEMS, check_time_left, deliver
from skycore.sending.idempotency import SendResult, check_idempotency_key, replay_result
from skycore.sending.new_messages import new_message
from skycore.sending.opt_outs import dry_run
from skycore.sending.validation import check_sendable, parse_message
from skycore.table import messages

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from skycore.sending.delivery import SendContext
    from skycore.sending.validation import Draft, SendPolicy
    from skycore.table.messages import MessageRow


@count_rejections()
def send(
    body: Mapping[str, Any],
    *,
    caller: str,
    key: str | None,
    policy: SendPolicy,
    context: SendContext,
    deadline: float,
) -> SendResult:
    """Send one message before `deadline` (monotonic seconds); the row is written before the call.

    Raises Problem for every answer other than 201 (200 for a dry run). Final problems are kept
    under `key`; any other proves that nothing was sent, and frees the key.
    """
    check_idempotency_key(key)
    draft = parse_message(body, policy)
    if draft.dry_run:
        return dry_run(draft, policy)
    message_id = idempotency.message_id(caller, key)
    bind_message(message_id=message_id)
    row = new_message(draft, "sending", message_id=message_id, body=body, days=policy.days)
    try:
        existing = messages.create(row)
    except BaseException:
        _free(row, draft, None)  # the table may have it all the same, and no call was made
        raise
    if existing is not None:
        return replay_result(existing, row.fingerprint)
    taken = None
    try:
        check_sendable(draft, policy)
        taken = opt_outs.check(draft)
        slot = context.rate_limiter.acquire()
        check_time_left(deadline)
    except BaseException:
        _free(row, draft, taken)  # whatever happened, no call was made
        raise
    try:
        accepted = deliver(row, draft, context=context, slot=slot, deadline=deadline)
    except Problem as problem:
        context.pause.report(draft.action, problem)
        if problem.code not in FINAL_PROBLEMS:
            problem.members.pop("message_id", None)  # its row is gone, its key is free
            _free(row, draft, taken)
        raise
    context.pause.report(draft.action, None)
    return SendResult(201, accepted)


def _free(row: MessageRow, draft: Draft, taken: datetime | None) -> None:
    messages.delete_unsent(row)
    opt_outs.release_confirmation(draft, taken)
