"""Requests that are answered at once: send or queue a message, or call another action."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from skycore import metrics, serializers, timestamps
from skycore.aws import queues
from skycore.client.errors import FieldError, InvalidRequest
from skycore.client.report import report_link
from skycore.client.validation import prepare
from skycore.logs import bind_message, log_exception
from skycore.metrics import count_rejections
from skycore.problems import Problem, validation_problem
from skycore.sending import idempotency
from skycore.sending.delivery import (
    FINAL_PROBLEMS,
    before_the_call,
    call_skycore,
    check_time_left,
    deliver,
    get_ready,
)
from skycore.sending.idempotency import (
    SendResult,
    check_idempotency_key,
    is_still_queued,
    new_message,
    not_queued_problem,
    queued_row,
    replay_result,
)
from skycore.sending.validation import (
    check_countries,
    check_opt_out,
    check_sendable,
    dry_run,
    get_action,
    parse_message,
    release_confirmation,
)
from skycore.table import messages, queue_transitions

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from skycore.client.client import SkycoreClient
    from skycore.client.report import Report
    from skycore.sending.delivery import SendContext
    from skycore.sending.rate_limit import RateLimiter
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
    """Send one message to Skycore, at most once, before `deadline` (monotonic seconds).

    The message's row is written before the call, and its outcome after it. Return 201, or 200 for
    a dry run. Raises Problem for any other answer: a final problem stays under the idempotency
    `key`; any other proves that nothing was sent, and frees the key.
    """
    check_idempotency_key(key)
    draft = parse_message(body, policy)
    if draft.dry_run:
        return dry_run(draft, policy)
    message_id = idempotency.message_id(caller, key)
    bind_message(message_id=message_id)
    row = new_message(draft, "sending", message_id=message_id, body=body, days=policy.days)
    with before_the_call():
        try:
            existing = messages.create(row)
        except BaseException:
            _free(row, draft, None)  # the table may have stored the row, and no call was made
            raise
    if existing is not None:
        return replay_result(existing, row.fingerprint)
    confirmed_at = None
    with before_the_call():
        try:
            check_sendable(draft, policy)
            confirmed_at = check_opt_out(draft)
            get_ready(context.skycore, deadline)
            slot = context.rate_limiter.acquire()
            check_time_left(deadline)
        except BaseException as error:
            if isinstance(error, Problem) and error.cause is not None:
                context.pause.report(draft.action, error)
            _free(row, draft, confirmed_at)  # no call was made
            raise
    try:
        accepted = deliver(row, draft, context=context, slot=slot, deadline=deadline)
    except Problem as problem:
        context.pause.report(draft.action, problem)
        if problem.code not in FINAL_PROBLEMS:
            problem.members.pop("message_id", None)  # its row is gone, its key is free
            try:
                _free(row, draft, confirmed_at)
            except Exception as error:  # noqa: BLE001 - the answer to the call is the problem
                log_exception("unsent message not deleted", error)
        raise
    context.pause.report(draft.action, None)
    return SendResult(201, accepted)


def _free(row: MessageRow, draft: Draft, confirmed_at: datetime | None) -> None:
    """Delete the row of a message that was not sent, and release its opt-out confirmation."""
    messages.delete_unsent(row)
    release_confirmation(draft, confirmed_at)


@count_rejections()
def enqueue(
    body: Mapping[str, Any], *, caller: str, key: str | None, queue_url: str, policy: SendPolicy
) -> SendResult:
    """Queue one message; return 202 once the table and the queue have it.

    Raises Problem for every other answer, as `send` does.
    """
    check_idempotency_key(key)
    draft = parse_message(body, policy)
    if draft.dry_run:
        return dry_run(draft, policy)
    row = queued_row(draft, body, idempotency.message_id(caller, key), policy.days)
    bind_message(message_id=row.message_id)
    refusal = _refusal(draft, policy)
    # A refused message never gets a row: sweep would queue one that is left behind.
    try:
        existing = messages.create(row) if refusal is None else messages.get(row.message_id)
    except BaseException:
        _free(row, draft, None)  # sweep would queue a row that the table has stored
        with before_the_call():
            raise
    if existing is not None:
        return _repeated(existing, row, queue_url)
    if refusal is not None:
        raise refusal
    confirmed_at = None
    try:
        confirmed_at = check_opt_out(draft)
        if confirmed_at is not None:
            queue_transitions.mark_confirmation(row.message_id)
        unqueued = queues.send_many(queue_url, [queue_transitions.queue_body(row)])
    except BaseException:
        _free(row, draft, confirmed_at)
        with before_the_call():
            raise
    # A queue that did not answer may have the message, and dispatch may have claimed it by now.
    if unqueued and messages.delete_unsent(row):
        release_confirmation(draft, confirmed_at)
        raise not_queued_problem()
    metrics.count("Queued")
    return SendResult(202, serializers.message(row, timestamps.now()))


def _repeated(existing: MessageRow, row: MessageRow, queue_url: str) -> SendResult:
    """Return the answer to a call whose key belongs to the `existing` message.

    A message that is still queued is queued again, in case the first call ended before the queue
    had it: dispatch sends a message once, however often the queue names it. If the queue refuses
    it, sweep queues it later. Raises Problem in_progress if the first call is failing now.
    """
    if is_still_queued(existing, row) and not queue_transitions.take_over(
        existing.message_id, row.attempt
    ):
        current = messages.get(existing.message_id)
        if current is None:
            raise Problem("in_progress", "this message is being queued right now", retry_after=1)
        existing = current
    if not is_still_queued(existing, row):
        return replay_result(existing, row.fingerprint)
    queues.send_many(queue_url, [queue_transitions.queue_body(row)])
    return SendResult(202, serializers.message(existing, timestamps.now()), replayed=True)


def _refusal(draft: Draft, policy: SendPolicy) -> Problem | None:
    """Return the problem that a new message would have; None if it can be sent."""
    try:
        check_sendable(draft, policy)
    except Problem as problem:
        return problem
    return None


def call_action(
    name: str, body: Mapping[str, Any], *, context: SendContext, policy: SendPolicy, deadline: float
) -> dict[str, Any]:
    """Call an action that sends nothing; return the fields of Skycore's reply.

    `body` holds the action's fields, and may choose the `transport`: `post`, or `get` for an
    action that only reads, because URLs end up in logs. Raises Problem.
    """
    action = get_action(name)
    if action.effect == "send":
        detail = f'{action.name} sends; POST it to /messages with "action": "{action.name}"'
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
        raise Problem("outcome_unknown", "Skycore's reply links to no report", retryable=True)
    return skycore.fetch_report(link, deadline=deadline)
