"""Send queued messages to Skycore, each at most once however often the queue names it.

A batch's messages take their slots from the limits together and go out side by side. A message
that has to wait does so as a delayed copy, or parked in the table if it is for long or while the
account is paused. Waiting never counts as a failed delivery of the queue.
"""

from __future__ import annotations

import json
import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from skycore import metrics, serializers, timestamps
from skycore.aws.queues import send as put_in_queue
from skycore.catalogue.actions import find_action
from skycore.logs import bind_message, log, log_exception
from skycore.metrics import count_rejection
from skycore.problems import Problem
from skycore.sending import opt_outs, outcomes
from skycore.sending.account_pause import ACTION_CODES, describe
from skycore.sending.delivery import call_skycore, check_time_left, deliver
from skycore.sending.new_messages import new_attempt
from skycore.sending.outcomes import mark_expired_or_unknown
from skycore.sending.rate_limit import wait_until
from skycore.sending.validation import Draft
from skycore.table import messages, parking, queue_transitions
from skycore.table.limits import Wait

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from skycore.sending.delivery import SendContext
    from skycore.table.messages import MessageRow

MAX_DELAY_SECONDS = 900  # seconds, the most that SQS delays a message
BACKOFF = (15, 60, 240, 900)  # seconds after each real try that failed; then the dead-letter queue
MAX_TRIES = len(BACKOFF) + 1
NOT_EARLY = timedelta(seconds=2)  # that a delayed copy may come before its time
SOON_SECONDS = 15  # until a message asks again while calls go one at a time
LAST_SECONDS = 60  # that a message which failed lets others go first
PROBE_ACTION = "getMmsIds"  # reads, and needs no fields


@dataclass(frozen=True, slots=True)
class Queues:
    """The send queue, and where messages go that failed too often."""

    send: str
    dead: str


@dataclass(frozen=True, slots=True)
class _Queued:
    """A message of the queue that is to be sent now."""

    queue_id: str
    row: MessageRow


def dispatch(
    bodies: Mapping[str, str], *, context: SendContext, queues: Queues, deadline: float
) -> list[str]:
    """Sends what the queue's messages (by queue id) name, before `deadline` (monotonic seconds).

    Returns the queue ids that must come again because of a failure of ours.
    """
    failed: list[str] = []
    ready: list[_Queued] = []
    named: set[str] = set()
    for queue_id, body in bodies.items():
        try:
            check_time_left(deadline)
            row = _ready(json.loads(body), context, queues, deadline)
        except Exception as error:  # noqa: BLE001 - one bad message must not hold up the others
            log_exception("queued message not read", error)
            failed.append(queue_id)
            continue
        if row is not None and row.message_id not in named:
            named.add(row.message_id)
            ready.append(_Queued(queue_id, row))
    if ready:
        try:
            failed += _send_all(ready, context, queues, deadline)
        except Exception as error:  # noqa: BLE001 - what is dealt with already stays so
            log_exception("limits not read", error)
            failed += [one.queue_id for one in ready]
    return failed


def _ready(
    body: Mapping[str, Any], context: SendContext, queues: Queues, deadline: float
) -> MessageRow | None:
    """The row of a message that is to be sent now; None if there is nothing to send now."""
    if "mend" in body:
        outcome = outcomes.Outcome.from_json(body["mend"])
        outcomes.apply_outcome(outcome, context.days)
        return None
    if "probe" in body:
        _probe(context, deadline)
        return None
    row = messages.get(body["message_id"])
    if row is not None and queue_transitions.is_dead_lettered(row):
        if not body.get("set_aside"):
            # dispatch died before the dead-letter queue had it, or this is one copy of two.
            _dead_letter(row.message_id, queues)
            return None
        if not queue_transitions.requeue_dead_letter(row, timestamps.now()):
            row = messages.get(row.message_id)  # another copy, or a write whose answer was lost
    if row is None or row.request is None or row.status != "queued":
        log.info("nothing to send", extra={"message_id": body["message_id"]})
        return None
    if serializers.status_of(row, timestamps.now()) == "expired":
        mark_expired_or_unknown(row, "expired")
        return None
    if row.not_before and timestamps.from_text(row.not_before) - timestamps.now() > NOT_EARLY:
        # Another copy of a message that waits after a failed try: it must not use up the tries.
        _wait(row, timestamps.from_text(row.not_before), queues)
        return None
    return row


def _send_all(
    ready: Sequence[_Queued], context: SendContext, queues: Queues, deadline: float
) -> list[str]:
    admitted = context.pause.admit([one.row for one in ready])
    go = [one for one in ready if admitted[one.row.message_id] == "send"]
    slots, seconds = _slots(len(go), context)
    slot_of = dict(zip((one.row.message_id for one in go), slots, strict=False))
    now = timestamps.now()
    waits = {
        "send": now + timedelta(seconds=seconds),
        "soon": now + timedelta(seconds=SOON_SECONDS),
        "park": now + parking.PAUSED_FOR,
    }
    futures = []
    with ThreadPoolExecutor(max_workers=len(ready)) as pool:
        for one in ready:
            id_ = one.row.message_id
            work: Callable[[], None] = partial(_wait, one.row, waits[admitted[id_]], queues)
            if id_ in slot_of:
                work = partial(_send_one, one.row, slot_of[id_], context, queues, deadline)
            futures.append(pool.submit(_guarded, one, work))
    return [queue_id for future in futures if (queue_id := future.result()) is not None]


def _slots(count: int, context: SendContext) -> tuple[Sequence[int], int]:
    """Up to `count` slots of the limits, and the seconds to wait for more."""
    if not count:
        return (), 0
    result = context.rate_limiter.acquire_batch(count)
    return ((), result.retry_after_s) if isinstance(result, Wait) else (result, 1)


def _guarded(one: _Queued, work: Callable[[], None]) -> str | None:
    """None once the queue's message is dealt with; its id if it must come again."""
    bind_message(message_id=one.row.message_id)
    try:
        work()
    except Exception as error:  # noqa: BLE001 - the queue gives it again
        log_exception("queued message not sent", error, message_id=one.row.message_id)
        return one.queue_id
    return None


def _wait(row: MessageRow, until: datetime, queues: Queues) -> None:
    """Let a queued message wait: as a delayed copy if that is soon over, else parked.

    Delayed copies are spread a little, so that not all that wait come at once.
    """
    seconds = (until - timestamps.now()).total_seconds()
    if seconds > MAX_DELAY_SECONDS:
        parking.park(row, until)
        return
    queue_transitions.mark_dispatched(row)
    spread = random.uniform(0, min(60, 1 + seconds / 4))  # noqa: S311 - jitter, not a secret
    delay = min(MAX_DELAY_SECONDS, max(0, round(seconds + spread)))
    put_in_queue(queues.send, queue_transitions.queue_body(row), delay=delay)


def _send_one(
    row: MessageRow, slot_ms: int, context: SendContext, queues: Queues, deadline: float
) -> None:
    """Sends one message at its slot. All that can be done before the slot is done before it."""
    kept = messages.unpack(row.request or b"")
    action = find_action(kept["action"])
    if action is None:
        raise LookupError("a queued message names an action that this release does not know")
    draft = Draft(
        action, kept["fields"], row.client_reference, opt_out_confirmation=kept["confirmation"]
    )
    try:
        taken = None if row.confirmation else opt_outs.check(draft)
    except Problem as problem:
        count_rejection(problem)
        outcomes.record_outcome(row, problem, days=context.days, repair_queue=context.repair_queue)
        return
    if taken is not None:
        queue_transitions.mark_confirmation(row.message_id)
    check_time_left(deadline)
    if not queue_transitions.claim(row, new_attempt(), timestamps.now()):
        return  # another copy has it, or it is late and sweep says so
    wait_until(slot_ms)
    slot = context.rate_limiter.slot(slot_ms, single=False)
    try:
        deliver(row, draft, context=context, slot=slot, deadline=deadline)
    except Problem as problem:
        count_rejection(problem)
        own = context.pause.report(action, problem, row)
        if problem.code in {"skycore_unreachable", "skycore_account", "rate_limited"}:
            if problem.cause is not None and not own:
                _let_others_go_first(row, problem, problem.cause, context, queues)
            else:
                _retry_or_dead_letter(row, problem, queues)
    else:
        context.pause.report(action, None, row)


def _let_others_go_first(
    row: MessageRow, problem: Problem, cause: str, context: SendContext, queues: Queues
) -> None:
    """Requeue a message whose call says that no message can be sent now. It is no try of its own.

    If others succeed and the message fails in the same way again, that is one.
    """
    now = timestamps.now()
    code = problem.members.get("skycore_code")
    queue_transitions.requeue(
        row,
        tries=int(row.tries),
        not_before=now,
        code=str(code) if code else None,
        detail=f"nothing was sent, and queued messages wait: {describe(cause)}",
        keep_line=False,
        failed_for=cause,
    )
    paused = context.pause.is_paused(row.action)
    _wait(row, now + (parking.PAUSED_FOR if paused else timedelta(seconds=LAST_SECONDS)), queues)


def _probe(context: SendContext, deadline: float) -> None:
    """Ask Skycore for something that sends nothing, to see whether it answers again."""
    action = find_action(PROBE_ACTION)
    if action is None or not context.pause.claim_probe():
        return
    problem: Problem | None = None
    try:
        slot = context.rate_limiter.acquire()
        call_skycore(context.skycore, action, {}, slot=slot, deadline=deadline)
    except Problem as error:
        problem = error
    if problem is not None and problem.cause in ACTION_CODES:
        problem = None  # this action is forbidden, but Skycore answered
    context.pause.report(action, problem)


def _retry_or_dead_letter(row: MessageRow, problem: Problem, queues: Queues) -> None:
    """Puts a message back that provably was not sent; after five real tries, aside."""
    tries, wait, real = int(row.tries), problem.retry_after or 1, problem.code != "rate_limited"
    code: str | None = row.code  # of the call before this one
    why: str | None = row.detail
    if real:
        tries += 1
        wait = BACKOFF[min(tries, len(BACKOFF)) - 1]
        told = problem.members.get("skycore_code")
        code = str(told) if told else None
        calls = "1 call" if tries == 1 else f"{tries} calls"
        why = f"{calls} failed and nothing was sent; the last: {problem.detail}"
    if tries < MAX_TRIES:
        not_before = timestamps.now() + timedelta(seconds=wait)
        queue_transitions.requeue(
            row,
            tries=tries,
            not_before=not_before,
            code=code,
            detail=why,
            keep_line=real,
            failed_for=problem.cause,
        )
        _wait(row, not_before, queues)
        return
    queue_transitions.dead_letter(row, code=code, detail=why)
    _dead_letter(row.message_id, queues)
    metrics.count("SetAside")
    log.error(
        "queued message set aside",
        extra={"message_id": row.message_id, "problem": problem.code, "tries": tries},
    )


def _dead_letter(message_id: str, queues: Queues) -> None:
    """Into the dead-letter queue. Whoever moves it back from there has it tried again."""
    put_in_queue(queues.dead, json.dumps({"message_id": message_id, "set_aside": True}))
