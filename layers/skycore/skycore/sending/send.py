"""Requests that are answered at once: send or queue a message, or call another action."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from skycore import metrics, serializers, timestamps
from skycore.aws import queues
from skycore.client.errors import FieldError, InvalidRequest
from skycore.client.report import report_link
from skycore.client.validation import prepare
from skycore.logs import bind_message, log, log_exception
from skycore.metrics import count_rejections
from skycore.problems import Problem, validation_problem
from skycore.sending import idempotency
from skycore.sending.delivery import FINAL_PROBLEMS, call_skycore, deliver, get_ready
from skycore.sending.idempotency import (
    SendResult,
    before_the_call,
    check_idempotency_key,
    new_message,
    queued_row,
    take_over_or_replay,
    unqueued_problem,
    unsent_problem,
)
from skycore.sending.validation import (
    check_ceiling,
    check_countries,
    check_opt_out,
    check_queueable,
    check_sendable,
    dry_run,
    get_action,
    parse_message,
    uncount_for_recipient,
)
from skycore.table import audit, messages, models, queue_transitions

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from skycore.catalogue.actions import Action
    from skycore.client.client import SkycoreClient
    from skycore.client.report import Report
    from skycore.sending.delivery import SendContext
    from skycore.sending.policy import SendPolicy
    from skycore.sending.rate_limit import RateLimiter
    from skycore.sending.validation import Draft
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
    """Send one message to Skycore, at most once, before `deadline` (monotonic seconds).

    The message's row is written before the call, and its outcome after it. Return 201, or 200 for
    a dry run. Raises Problem for any other answer: a final problem stays under the idempotency
    `key`; any other proves that nothing was sent, and frees the key.
    """
    check_idempotency_key(key, required=policy.require_key)
    draft = parse_message(body, policy)
    if draft.dry_run:
        return dry_run(draft, policy, queued=False)
    message_id = idempotency.message_id(caller, key)
    bind_message(message_id=message_id, caller=caller)
    row = new_message(
        draft, "sending", message_id=message_id, body=body, days=policy.days, caller=caller
    )
    try:
        with before_the_call():
            existing = messages.create(row)
    except Problem:
        _release(row, None, context.repair_queue)  # the table may have stored the row
        raise
    if existing is not None:
        return _repeated(existing, row, context.repair_queue)
    confirmed_at = None
    try:
        with before_the_call():
            check_sendable(draft, policy)
            confirmed_at = check_opt_out(draft)
            check_ceiling(row, context.daily_ceiling)
            get_ready(context.skycore, deadline)
            slot = context.rate_limiter.acquire()
        accepted = deliver(row, draft, context=context, slot=slot, deadline=deadline)
    except Problem as problem:
        if problem.code not in FINAL_PROBLEMS:
            problem.members.pop("message_id", None)  # its row is gone, its key is free
            uncount_for_recipient(row, context.daily_ceiling)
            _release(row, confirmed_at, context.repair_queue)
        elif key is not None:
            problem.retryable = False  # the key only replays it: a later try needs a new key
        context.pause.report(draft.action, problem)
        raise
    context.pause.report(draft.action, None)
    return SendResult(201, accepted)


def _release(
    row: MessageRow, confirmed_at: datetime | None, repair_queue: str
) -> dict[str, idempotency.Release]:
    """Free the key of a message that was not sent, and its confirmation of an opt-out."""
    confirmed = {row.message_id: confirmed_at}
    return idempotency.release([row], repair_queue=repair_queue, confirmed=confirmed)


@count_rejections()
def enqueue(
    body: Mapping[str, Any], *, caller: str, key: str | None, queue_url: str, policy: SendPolicy
) -> SendResult:
    """Queue or schedule one message; return 202 once the table, and the queue, have it.

    Raises Problem for every other answer, as `send` does.
    """
    check_idempotency_key(key, required=policy.require_key)
    draft = parse_message(body, policy)
    if draft.dry_run:
        return dry_run(draft, policy, queued=True)
    message_id = idempotency.message_id(caller, key)
    with before_the_call():
        row = queued_row(draft, body, message_id, policy.days, caller=caller)
    bind_message(message_id=row.message_id, caller=caller)
    refusal, confirmed_at = _refusal(draft, policy), None
    try:
        with before_the_call():
            # A refused message never gets a row: sweep would queue one that is left behind.
            existing = messages.create(row) if refusal is None else messages.get(row.message_id)
            if existing is None and refusal is not None:
                raise refusal
            confirmed_at = None if existing else check_opt_out(draft)
            if confirmed_at is not None:
                queue_transitions.mark_confirmation(row.message_id)
    except Problem as problem:
        released = _release(row, confirmed_at, queue_url) if refusal is None else {}
        raise unsent_problem(row, released, problem) from None
    if existing is not None:
        return _repeated(existing, row, queue_url)
    parked = models.is_parked(row.state)  # sweep queues it when it is due
    if not parked and queues.send_many(queue_url, [queue_transitions.queue_body(row)]):
        unqueued = unqueued_problem(row, _release(row, confirmed_at, queue_url))
        if unqueued is not None:
            raise unqueued
    metrics.count("Queued")
    log.info("message queued", extra={"action": row.action})
    return SendResult(202, serializers.message(row, timestamps.now()))


def _repeated(existing: MessageRow, row: MessageRow, queue_url: str) -> SendResult:
    """Return the answer to a call whose id belongs to the `existing` message.

    If the queue refuses a message that is queued again, sweep queues it later.
    """
    with before_the_call():
        sent, waits = take_over_or_replay(existing, row)
    if waits:
        queues.send_many(queue_url, [queue_transitions.queue_body(row)])
    return sent


def _refusal(draft: Draft, policy: SendPolicy) -> Problem | None:
    """Return the problem that a new message would have; None if it can be sent."""
    try:
        check_queueable(draft, policy)
    except Problem as problem:
        return problem
    return None


def call_action(
    name: str,
    body: Mapping[str, Any],
    *,
    identity: Mapping[str, str | None],
    context: SendContext,
    policy: SendPolicy,
    deadline: float,
) -> dict[str, Any]:
    """Call an action that sends nothing; return the fields of Skycore's reply.

    `body` holds the action's fields, and may choose the `transport`: `post`, or `get` for an
    action that only reads, because URLs end up in logs. `identity` (`caller`, `session`, `address`)
    is logged, and recorded with an action that changes the account. Raises Problem.
    """
    action = get_action(name)
    if action.effect == "send":
        detail = f"must be an action that sends nothing; POST {action.name} to /messages"
        raise validation_problem([FieldError("action", detail)])
    fields = dict(body)
    transport: Literal["post", "get"] = fields.pop("transport", "post")
    if transport not in ("post", "get") or (transport == "get" and action.effect != "read"):
        detail = "must be post, or get for an action that only reads"
        raise validation_problem([FieldError("transport", detail)])
    try:
        prepared = prepare(action, fields, default_region=policy.region)
    except InvalidRequest as error:
        raise validation_problem(error.errors) from None
    check_countries(action, prepared, policy)
    with before_the_call():
        get_ready(context.skycore, deadline)
        slot = context.rate_limiter.acquire()
    _record_action(action, identity, policy.days)
    try:
        reply = call_skycore(
            context.skycore, action, prepared, slot=slot, deadline=deadline, transport=transport
        )
    except Problem as problem:
        context.rate_limiter.report_result(problem)
        context.pause.report(action, problem)
        raise
    context.rate_limiter.report_result(None)
    context.pause.report(action, None)
    return reply.fields


def _record_action(action: Action, identity: Mapping[str, str | None], days: int) -> None:
    """Log who calls an action; record it if it changes the account. Never raises."""
    log.info("action called", extra={"action": action.name, **identity})
    if action.effect == "read":
        return
    try:
        audit.record_change(action.name, identity, days=days)
    except Exception as error:  # noqa: BLE001 - the log line has it
        log_exception("change not recorded", error, action=action.name)


def fetch_report(
    skycore: SkycoreClient,
    rate_limiter: RateLimiter,
    since: datetime,
    until: datetime,
    *,
    deadline: float,
) -> Report:
    """Return Skycore's report of the messages sent from `since` to `until` (UTC).

    `deadline` is in monotonic seconds. Raises Problem, also for a reply without a link, and the
    client's errors for the report's file.
    """
    fields = {"start_date": f"{since:%Y-%m-%d %H:%M:%S}", "end_date": f"{until:%Y-%m-%d %H:%M:%S}"}
    action = get_action("getSendingStatus")
    with before_the_call():
        get_ready(skycore, deadline)
        slot = rate_limiter.acquire()
    reply = call_skycore(skycore, action, fields, slot=slot, deadline=deadline)
    link = report_link(reply)
    if link is None:
        raise Problem("outcome_unknown", "Skycore's reply has no link to a report", retryable=True)
    return skycore.fetch_report(link, deadline=deadline)
