"""Send queued messages to Skycore, each at most once however often the queue names it.

The messages of a batch acquire their slots together and are sent in parallel. A message that has to
wait is queued again as a delayed copy, or parked in the table if that is for long. Then SQS deletes
the original, so that waiting never counts as a failed delivery.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from skycore import serializers, timestamps
from skycore.catalogue.actions import find_action
from skycore.logs import bind_message, log, log_exception
from skycore.metrics import count_rejection
from skycore.problems import Problem
from skycore.sending import outcomes
from skycore.sending.account_pause import ACTION_CODES
from skycore.sending.delivery import (
    FINAL_PROBLEMS,
    call_skycore,
    check_time_left,
    deliver,
    get_ready,
)
from skycore.sending.idempotency import new_attempt
from skycore.sending.outcomes import mark_expired_or_unknown
from skycore.sending.retry import dead_letter, not_sent, wait
from skycore.sending.validation import Draft, check_opt_out, count_for_recipient
from skycore.table import messages, parking, queue_transitions
from skycore.table.limits import Wait

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from skycore.sending.delivery import Queues, SendContext
    from skycore.table.messages import MessageRow

NOT_EARLY = timedelta(seconds=2)  # by which a delayed copy may arrive before its time
ON_TIME = timedelta()  # a scheduled message is never early
SOON = timedelta(seconds=15)  # until a message asks again while calls go one at a time
PROBE_ACTION = "getMmsIds"  # reads, and needs no fields


def dispatch(
    bodies: Mapping[str, str], *, context: SendContext, queues: Queues, deadline: float
) -> list[str]:
    """Send the messages that `bodies` (by queue id) name, before `deadline` (monotonic seconds).

    Return the queue ids whose handling failed, for SQS to deliver again.
    """
    failed: list[str] = []
    ready: dict[str, MessageRow] = {}  # what is to be sent now, by queue id
    named: set[str] = set()
    for queue_id, body in bodies.items():
        try:
            check_time_left(deadline)
            row = _row_to_send(json.loads(body), context, queues, deadline)
        except Exception as error:  # noqa: BLE001 - one bad message must not hold up the others
            log_exception("queued message not read", error)
            failed.append(queue_id)
            continue
        if row is not None and row.message_id not in named:
            named.add(row.message_id)
            ready[queue_id] = row
    if ready:
        try:
            failed += _send_all(ready, context, queues, deadline)
        except Exception as error:  # noqa: BLE001 - what is done already stays done
            log_exception("limits or pause not read", error)
            failed += ready
    return failed


def _row_to_send(
    body: Mapping[str, Any], context: SendContext, queues: Queues, deadline: float
) -> MessageRow | None:
    """Return the row of a message that is to be sent now; None if there is nothing to send."""
    if "mend" in body:
        outcome = outcomes.Outcome.from_json(body["mend"])
        outcomes.apply_outcome(outcome, context.days)
        body = {"message_id": outcome.message_id}  # it may wait again, or be dead-lettered
    if "probe" in body:
        _probe_by_read(context, deadline)
        return None
    row = messages.get(body["message_id"])
    if row is not None and queue_transitions.is_dead_lettered(row):
        if not body.get("set_aside"):
            dead_letter(row.message_id, queues)  # dispatch had ended before that, or it did it
            return None
        if not queue_transitions.requeue_dead_letter(row, timestamps.now()):
            row = messages.get(row.message_id)  # another copy requeued it, or the answer was lost
    if row is None or row.request is None or row.status != "queued":
        log.info("nothing to send", extra={"message_id": body["message_id"]})
        return None
    if serializers.status_of(row, timestamps.now()) == "expired":
        mark_expired_or_unknown(row, "expired")
        return None
    until = _waits_until(row, context)
    if until is not None:
        wait(row, until, queues)
        return None
    return row


def _waits_until(row: MessageRow, context: SendContext) -> datetime | None:
    """Return when the message may be sent, if that is not now."""
    now = timestamps.now()
    if row.not_before is not None:
        # Scheduled, or another copy of a message that waits after a failed call: that must not use
        # up its tries.
        not_before = timestamps.from_text(row.not_before)
        if not_before - now > (ON_TIME if row.not_before == row.send_at else NOT_EARLY):
            return not_before
    if context.quiet_hours is None or not row.to:
        return None
    request = messages.unpack(row.request or b"")
    # The previous release queued no messages that ignore quiet hours, but confirmations.
    if request.get("ignores_quiet_hours", request["confirmation"]):
        return None
    free = context.quiet_hours.next_free(row.to, now)
    return free if free > now else None


def _send_all(
    ready: Mapping[str, MessageRow], context: SendContext, queues: Queues, deadline: float
) -> list[str]:
    """Send what may go and gets a slot now; the rest waits. Return the queue ids that failed."""
    admitted = context.pause.admit(list(ready.values()))
    go = [row.message_id for row in ready.values() if admitted[row.message_id] == "send"]
    not_ready, slots, slot_wait = _acquire(len(go), context, deadline)
    slot_of = dict(zip(go, slots, strict=False))
    waits = {"send": slot_wait, "soon": SOON, "park": parking.PAUSED_FOR}
    now = timestamps.now()
    futures = []
    with ThreadPoolExecutor(max_workers=len(ready)) as pool:
        for queue_id, row in ready.items():
            id_ = row.message_id
            work: Callable[[], None] = partial(wait, row, now + waits[admitted[id_]], queues)
            if id_ in slot_of:
                work = partial(_send_queued, row, slot_of[id_], context, queues, deadline)
            elif not_ready is not None and admitted[id_] == "send":
                work = partial(_postpone, row, not_ready, context, queues)
            futures.append(pool.submit(_guarded, queue_id, row, work))
    return [failed for future in futures if (failed := future.result()) is not None]


def _postpone(row: MessageRow, problem: Problem, context: SendContext, queues: Queues) -> None:
    """Queue a message again, for a problem that every call would have now."""
    action = find_action(row.action)
    if action is not None and _claim(row, context):
        count_rejection(problem)
        not_sent(row, action, problem, context, queues)


def _acquire(
    count: int, context: SendContext, deadline: float
) -> tuple[Problem | None, Sequence[int], timedelta]:
    """Return up to `count` slots, one for each open connection, and how long to wait for more.

    If no call could be made now, return the problem instead: then no slot is taken.
    """
    if not count:
        return None, (), timedelta()
    connect = partial(get_ready, context.skycore, deadline, count)
    try:
        result = context.rate_limiter.acquire_batch(connect(), connect)
    except Problem as problem:
        return problem, (), timedelta()
    if isinstance(result, Wait):
        return None, (), timedelta(seconds=result.retry_after_s)
    return None, result, timedelta(seconds=1)


def _guarded(queue_id: str, row: MessageRow, work: Callable[[], None]) -> str | None:
    """Do the work for a queued message; return its queue id if that failed, else None."""
    bind_message(message_id=row.message_id, caller=row.caller)
    try:
        work()
    except Exception as error:  # noqa: BLE001 - SQS delivers it again
        log_exception("queued message not sent", error, message_id=row.message_id)
        return queue_id
    return None


def _send_queued(
    row: MessageRow, slot_ms: int, context: SendContext, queues: Queues, deadline: float
) -> None:
    """Send one message at its slot; everything else, connecting too, is done before."""
    request = messages.unpack(row.request or b"")
    action = find_action(request["action"])
    if action is None:
        raise LookupError("a queued message names an action that this release does not know")
    draft = Draft(
        action,
        request["fields"],
        row.client_reference,
        opt_out_confirmation=request["confirmation"],
    )
    try:
        confirmed_at = None if row.confirmation else check_opt_out(draft)
    except Problem as problem:
        count_rejection(problem)
        outcomes.record_outcome(row, problem, days=context.days, repair_queue=context.repair_queue)
        return
    if confirmed_at is not None:
        queue_transitions.mark_confirmation(row.message_id)
    if (next_day := count_for_recipient(row, context.daily_ceiling)) is not None:
        wait(row, next_day, queues)
        return
    check_time_left(deadline)
    if not _claim(row, context):
        return  # another copy claimed it, or it has expired and sweep marks it
    slot = context.rate_limiter.slot(slot_ms, single=False)
    try:
        deliver(row, draft, context=context, slot=slot, deadline=deadline)
    except Problem as problem:
        count_rejection(problem)
        if problem.code not in FINAL_PROBLEMS:
            not_sent(row, action, problem, context, queues)
        else:
            context.pause.report(action, problem, row)
    else:
        context.pause.report(action, None, row)


def _probe_by_read(context: SendContext, deadline: float) -> None:
    """Ask Skycore for something that sends nothing, to see whether it answers again."""
    action = find_action(PROBE_ACTION)
    if action is None or not context.pause.claim_probe():
        return
    problem: Problem | None = None
    try:
        get_ready(context.skycore, deadline)
        slot = context.rate_limiter.acquire()
        call_skycore(context.skycore, action, {}, slot=slot, deadline=deadline)
    except Problem as error:
        problem = error
    context.rate_limiter.report_result(problem)
    if problem is not None and problem.cause in ACTION_CODES:
        problem = None  # this action is forbidden, but Skycore answered
    context.pause.report(action, problem)


def _claim(row: MessageRow, context: SendContext) -> bool:
    """Claim a message; if the table gives no answer, requeue it, in case the claim is stored."""
    attempt = new_attempt()
    try:
        return queue_transitions.claim(row, attempt, timestamps.now())
    except Exception:
        row.attempt = attempt
        before = {"tries": int(row.tries), "code": row.code, "detail": row.detail}
        now = timestamps.now()
        outcomes.record_requeued(row, repair_queue=context.repair_queue, not_before=now, **before)
        raise
