"""Send queued messages to Skycore, each at most once however often the queue names it.

The messages of a batch acquire their slots together and are sent in parallel. A message without a
slot is queued again as a delayed copy before SQS deletes the original, so that waiting, even for a
day's limit, never counts as a failed delivery.
"""

from __future__ import annotations

import json
import random
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from skycore import metrics, serializers, timestamps
from skycore.aws import queues as sqs
from skycore.catalogue.actions import find_action
from skycore.logs import bind_message, log, log_exception
from skycore.metrics import count_rejection
from skycore.problems import RETRY_AFTER, Problem
from skycore.sending import outcomes
from skycore.sending.delivery import FINAL_PROBLEMS, check_time_left, deliver, get_ready
from skycore.sending.idempotency import new_attempt
from skycore.sending.outcomes import mark_expired_or_unknown
from skycore.sending.validation import Draft, check_opt_out
from skycore.table import messages, queue_transitions
from skycore.table.limits import Wait

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from skycore.sending.delivery import SendContext
    from skycore.table.messages import MessageRow

MAX_DELAY_SECONDS = 900  # the longest delay of a message in SQS
BACKOFF = (15, 60, 240, 900)  # seconds after each failed call; then the dead-letter queue
_NO_TRY = frozenset({"rate_limited", "not_ready"})  # problems that are not the message's
MAX_TRIES = len(BACKOFF) + 1
NOT_EARLY = timedelta(seconds=2)  # by which a delayed copy may arrive before its time


@dataclass(frozen=True, slots=True)
class Queues:
    """URLs of the send queue and of its dead-letter queue."""

    send: str
    dead: str


@dataclass(frozen=True, slots=True)
class _Queued:
    """A message that is to be sent now, and its id in the queue."""

    queue_id: str
    row: MessageRow


def dispatch(
    bodies: Mapping[str, str], *, context: SendContext, queues: Queues, deadline: float
) -> list[str]:
    """Send the messages that `bodies` (by queue id) name, before `deadline` (monotonic seconds).

    Return the queue ids whose handling failed, for SQS to deliver again.
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
        except Exception as error:  # noqa: BLE001 - what is done already stays done
            log_exception("limits not read", error)
            failed += [queued.queue_id for queued in ready]
    return failed


def _ready(body: Mapping[str, Any], context: SendContext, queues: Queues) -> MessageRow | None:
    """Return the row of a message that is to be sent now; None if there is nothing to send."""
    if "mend" in body:
        outcome = outcomes.Outcome.from_json(body["mend"])
        outcomes.apply_outcome(outcome, context.days)
        return None
    row = messages.get(body["message_id"])
    if row is not None and queue_transitions.is_dead_lettered(row):
        if not body.get("set_aside"):
            # dispatch ended before the dead-letter queue had it, or this is the second copy.
            _dead_letter(row.message_id, queues)
            return None
        if not queue_transitions.requeue_dead_letter(row, timestamps.now()):
            # Another copy requeued it, or the answer to the write was lost.
            row = messages.get(row.message_id)
    if row is None or row.request is None or row.status != "queued":
        log.info("nothing to send", extra={"message_id": body["message_id"]})
        return None
    if serializers.status_of(row, timestamps.now()) == "expired":
        mark_expired_or_unknown(row, "expired")
        return None
    early = timestamps.from_text(row.not_before) - timestamps.now() if row.not_before else NOT_EARLY
    if early > NOT_EARLY:
        # Another copy of a message that waits after a failed call: it must not use up its tries.
        _requeue(row, round(early.total_seconds()), queues)
        return None
    return row


def _send_all(
    ready: Sequence[_Queued], context: SendContext, queues: Queues, deadline: float
) -> list[str]:
    """Send what gets a slot now, and queue the rest again. Return the queue ids that failed."""
    not_ready = None
    try:
        get_ready(context.skycore, deadline)
    except Problem as problem:
        not_ready = problem
    with ThreadPoolExecutor(max_workers=len(ready)) as pool:
        if not_ready is not None:  # no message can be sent, so none takes a slot
            futures = [
                pool.submit(_guarded, _postpone, queued, not_ready, queues) for queued in ready
            ]
        else:
            futures = _submit_all(pool, ready, context, queues, deadline)
    return [queue_id for future in futures if (queue_id := future.result()) is not None]


def _submit_all(
    pool: ThreadPoolExecutor,
    ready: Sequence[_Queued],
    context: SendContext,
    queues: Queues,
    deadline: float,
) -> list[Future[str | None]]:
    result = context.rate_limiter.acquire_batch(len(ready))
    slots = () if isinstance(result, Wait) else result
    wait = result.retry_after_s if isinstance(result, Wait) else 1
    return [
        *(
            pool.submit(_guarded, _send_queued, queued, slot, context, queues, deadline)
            for queued, slot in zip(ready, slots, strict=False)
        ),
        *(
            pool.submit(_guarded, _wait_for_limits, queued, wait, queues)
            for queued in ready[len(slots) :]
        ),
    ]


def _postpone(queued: _Queued, problem: Problem, queues: Queues) -> None:
    """Queue a message again, for a problem that every call would have now."""
    if queue_transitions.claim(queued.row, new_attempt(), timestamps.now()):
        count_rejection(problem)
        _retry_or_dead_letter(queued.row, problem, queues)


def _guarded(work: Any, queued: _Queued, *arguments: Any) -> str | None:
    """Do the work for a queued message; return its queue id if that failed, else None."""
    bind_message(message_id=queued.row.message_id)
    try:
        work(queued, *arguments)
    except Exception as error:  # noqa: BLE001 - SQS delivers it again
        log_exception("queued message not sent", error, message_id=queued.row.message_id)
        return queued.queue_id
    return None


def _wait_for_limits(queued: _Queued, seconds: int, queues: Queues) -> None:
    queue_transitions.mark_dispatched(queued.row)
    _requeue(queued.row, seconds, queues)


def _requeue(row: MessageRow, seconds: int, queues: Queues) -> None:
    """Queue a delayed copy; a random extra delay keeps copies from arriving all at once."""
    spread = random.uniform(0, min(60, 1 + seconds / 4))  # noqa: S311 - jitter, not a secret
    delay = min(MAX_DELAY_SECONDS, round(seconds + spread))
    sqs.send(queues.send, json.dumps({"message_id": row.message_id}), delay=delay)


def _send_queued(
    queued: _Queued, slot_ms: int, context: SendContext, queues: Queues, deadline: float
) -> None:
    """Send one message at its slot; everything else, connecting too, is done before."""
    row = queued.row
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
    check_time_left(deadline)
    if not queue_transitions.claim(row, new_attempt(), timestamps.now()):
        return  # another copy claimed it, or it has expired and sweep marks it
    slot = context.rate_limiter.slot(slot_ms, single=False)
    try:
        deliver(row, draft, context=context, slot=slot, deadline=deadline)
    except Problem as problem:
        count_rejection(problem)
        if problem.code not in FINAL_PROBLEMS:
            _retry_or_dead_letter(row, problem, queues)


def _retry_or_dead_letter(row: MessageRow, problem: Problem, queues: Queues) -> None:
    """Queue a message again that was not sent; after five failed calls, dead-letter it."""
    tries = int(row.tries)
    wait = problem.retry_after or RETRY_AFTER
    called = problem.code not in _NO_TRY
    code: str | None = row.code  # of the call before this one
    detail: str | None = row.detail
    if called:
        tries += 1
        wait = BACKOFF[min(tries, len(BACKOFF)) - 1]
        skycore_code = problem.members.get("skycore_code")
        code = str(skycore_code) if skycore_code else None
        calls = "1 call" if tries == 1 else f"{tries} calls"
        detail = f"{calls} failed and nothing was sent; the last: {problem.detail}"
    if tries < MAX_TRIES:
        not_before = timestamps.now() + timedelta(seconds=wait)
        queue_transitions.requeue(
            row, tries=tries, not_before=not_before, code=code, detail=detail, keep_line=called
        )
        _requeue(row, wait, queues)
        return
    queue_transitions.dead_letter(row, code=code, detail=detail)
    _dead_letter(row.message_id, queues)
    metrics.count("SetAside")
    log.error(
        "queued message dead-lettered",
        extra={"message_id": row.message_id, "problem": problem.code, "tries": tries},
    )


def _dead_letter(message_id: str, queues: Queues) -> None:
    """Send the message to the dead-letter queue; redriving it from there queues it again."""
    sqs.send(queues.dead, json.dumps({"message_id": message_id, "set_aside": True}))
