"""Queued messages go to Skycore, each at most once however often the queue names it.

A batch's messages take their slots from the limits together and go out side by side. What has no
slot now is put back as a delayed copy before the original is deleted, so that waiting, even for a
day's limit, never counts as a failed delivery of the queue.
"""

from __future__ import annotations

import json
import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from skycore import metrics, serializers, timestamps
from skycore.aws.queues import send as put_in_queue
from skycore.catalogue.actions import find_action
from skycore.logs import bind_message, log, log_exception
from skycore.metrics import count_rejection
from skycore.problems import Problem
from skycore.sending import outcomes
from skycore.sending.delivery import check_time_left, deliver
from skycore.sending.idempotency import new_attempt
from skycore.sending.outcomes import mark_expired_or_unknown
from skycore.sending.rate_limit import wait_until
from skycore.sending.validation import Draft, check_opt_out
from skycore.table import messages, queue_transitions
from skycore.table.limits import Wait

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from skycore.sending.delivery import SendContext
    from skycore.table.messages import MessageRow

MAX_DELAY_SECONDS = 900  # seconds, the most that SQS delays a message
BACKOFF = (15, 60, 240, 900)  # seconds after each real try that failed; then the dead-letter queue
MAX_TRIES = len(BACKOFF) + 1
NOT_EARLY = timedelta(seconds=2)  # that a delayed copy may come before its time


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
            row = _ready(json.loads(body), context, queues)
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


def _ready(body: Mapping[str, Any], context: SendContext, queues: Queues) -> MessageRow | None:
    """The row of a message that is to be sent now; None if there is nothing to send now."""
    if "mend" in body:
        outcome = outcomes.Outcome.from_json(body["mend"])
        outcomes.apply_outcome(outcome, context.days)
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
    early = timestamps.from_text(row.not_before) - timestamps.now() if row.not_before else NOT_EARLY
    if early > NOT_EARLY:
        # Another copy of a message that waits after a failed try: it must not use up the tries.
        _requeue(row, round(early.total_seconds()), queues)
        return None
    return row


def _send_all(
    ready: Sequence[_Queued], context: SendContext, queues: Queues, deadline: float
) -> list[str]:
    result = context.rate_limiter.acquire_batch(len(ready))
    slots = () if isinstance(result, Wait) else result
    wait = result.retry_after_s if isinstance(result, Wait) else 1
    with ThreadPoolExecutor(max_workers=len(ready)) as pool:
        futures = [
            pool.submit(_guarded, _send_one, one, slot, context, queues, deadline)
            for one, slot in zip(ready, slots, strict=False)
        ]
        futures += [
            pool.submit(_guarded, _wait_for_limits, one, wait, queues)
            for one in ready[len(slots) :]
        ]
    return [queue_id for future in futures if (queue_id := future.result()) is not None]


def _guarded(work: Any, one: _Queued, *arguments: Any) -> str | None:
    """None once the queue's message is dealt with; its id if it must come again."""
    bind_message(message_id=one.row.message_id)
    try:
        work(one, *arguments)
    except Exception as error:  # noqa: BLE001 - the queue gives it again
        log_exception("queued message not sent", error, message_id=one.row.message_id)
        return one.queue_id
    return None


def _wait_for_limits(one: _Queued, seconds: int, queues: Queues) -> None:
    queue_transitions.mark_dispatched(one.row)
    _requeue(one.row, seconds, queues)


def _requeue(row: MessageRow, seconds: int, queues: Queues) -> None:
    """A delayed copy, spread a little so that not all that wait come at once."""
    spread = random.uniform(0, min(60, 1 + seconds / 4))  # noqa: S311 - jitter, not a secret
    delay = min(MAX_DELAY_SECONDS, round(seconds + spread))
    put_in_queue(queues.send, json.dumps({"message_id": row.message_id}), delay=delay)


def _send_one(
    one: _Queued, slot_ms: int, context: SendContext, queues: Queues, deadline: float
) -> None:
    """Sends one message at its slot. All that can be done before the slot is done before it."""
    row = one.row
    kept = messages.unpack(row.request or b"")
    action = find_action(kept["action"])
    if action is None:
        raise LookupError("a queued message names an action that this release does not know")
    draft = Draft(
        action, kept["fields"], row.client_reference, opt_out_confirmation=kept["confirmation"]
    )
    try:
        taken = None if row.confirmation else check_opt_out(draft)
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
        if problem.code in {"skycore_unreachable", "skycore_account", "rate_limited"}:
            _retry_or_dead_letter(row, problem, queues)


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
            row, tries=tries, not_before=not_before, code=code, detail=why, keep_line=real
        )
        _requeue(row, wait, queues)
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
