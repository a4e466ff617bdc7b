"""Requeue, park or dead-letter a queued message that was not sent.

A message that waits for up to 15 minutes is a delayed copy in the send queue; one that waits for
longer is parked in the table. After five failed calls it goes to the dead-letter queue.
"""

from __future__ import annotations

import json
import math
import random
from datetime import timedelta
from typing import TYPE_CHECKING

from skycore import metrics, timestamps
from skycore.aws import queues as sqs
from skycore.logs import log
from skycore.problems import RETRY_AFTER
from skycore.sending import outcomes
from skycore.table import parking, pauses, queue_transitions
from skycore.table.models import MAX_DELAY_SECONDS

if TYPE_CHECKING:
    from datetime import datetime

    from skycore.catalogue.actions import Action
    from skycore.problems import Problem
    from skycore.sending.delivery import Queues, SendContext
    from skycore.table.messages import MessageRow

BACKOFF = (15, 60, 240, 900)  # seconds after each failed call; then the dead-letter queue
_NO_TRY = frozenset({"rate_limited", "not_ready"})  # problems that are not the message's
MAX_TRIES = len(BACKOFF) + 1


def wait(row: MessageRow, until: datetime, queues: Queues) -> None:
    """Postpone a queued message: as a delayed copy if the wait is short, else parked.

    A random extra delay keeps copies from arriving all at once.
    """
    seconds = (until - timestamps.now()).total_seconds()
    if seconds > MAX_DELAY_SECONDS:
        parking.park(row, until)
        return
    queue_transitions.mark_dispatched(row)
    spread = random.uniform(0, min(60, 1 + seconds / 4))  # noqa: S311 - jitter, not a secret
    delay = min(MAX_DELAY_SECONDS, max(0, math.ceil(seconds + spread)))
    sqs.send(queues.send, queue_transitions.queue_body(row), delay=delay)


def not_sent(
    row: MessageRow, action: Action, problem: Problem, context: SendContext, queues: Queues
) -> None:
    """Requeue a claimed message whose call sent nothing."""
    own = context.pause.report(action, problem, row)
    if problem.cause is None or own:
        _retry_or_dead_letter(row, problem, context, queues)
    else:
        _let_others_go_first(row, problem, problem.cause, context, queues)


def _let_others_go_first(
    row: MessageRow, problem: Problem, cause: str, context: SendContext, queues: Queues
) -> None:
    """Requeue a message whose failure concerns all messages, without using up a try."""
    now = timestamps.now()
    code = problem.members.get("skycore_code")
    requeued = outcomes.record_requeued(
        row,
        repair_queue=context.repair_queue,
        tries=int(row.tries),
        not_before=now,
        code=str(code) if code else None,
        detail=f"nothing was sent, and queued messages wait: {pauses.describe(cause)}",
        keep_line=False,
        failed_for=cause,
    )
    if requeued:
        paused = context.pause.is_paused(row.action)
        wait(row, now + (parking.PAUSED_FOR if paused else parking.LAST), queues)


def _retry_or_dead_letter(
    row: MessageRow, problem: Problem, context: SendContext, queues: Queues
) -> None:
    """Requeue a message that was not sent; after five failed calls, dead-letter it."""
    tries, called = int(row.tries), problem.code not in _NO_TRY
    seconds = problem.retry_after or RETRY_AFTER
    code: str | None = row.code  # of the call before this one
    detail: str | None = row.detail
    if called:
        tries += 1
        seconds = BACKOFF[min(tries, len(BACKOFF)) - 1]
        skycore_code = problem.members.get("skycore_code")
        code = str(skycore_code) if skycore_code else None
        calls = "1 call" if tries == 1 else f"{tries} calls"
        detail = f"{calls} failed and nothing was sent; the last: {problem.detail}"
    if tries < MAX_TRIES:
        not_before = timestamps.now() + timedelta(seconds=seconds)
        requeued = outcomes.record_requeued(
            row,
            repair_queue=context.repair_queue,
            tries=tries,
            not_before=not_before,
            code=code,
            detail=detail,
            keep_line=called,
            failed_for=problem.cause,
        )
        if requeued:
            wait(row, not_before, queues)
        return
    why = {"code": code, "detail": detail}
    if outcomes.record_dead_letter(
        row, repair_queue=context.repair_queue, days=context.days, **why
    ):
        dead_letter(row.message_id, queues)
    metrics.count("SetAside")
    log.error(
        "queued message dead-lettered",
        extra={"message_id": row.message_id, "problem": problem.code, "tries": tries},
    )


def dead_letter(message_id: str, queues: Queues) -> None:
    """Send the message to the dead-letter queue; redriving it from there queues it again."""
    sqs.send(queues.dead, json.dumps({"message_id": message_id, "set_aside": True}))
