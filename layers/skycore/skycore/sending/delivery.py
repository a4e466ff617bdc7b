"""Call Skycore for a message, and turn its answer into an outcome or a problem."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from skycore import metrics, timestamps
from skycore.aws.secrets import Secret
from skycore.catalogue.actions import find_error
from skycore.client.client import SkycoreClient
from skycore.client.errors import (
    CredentialsMissing,
    HttpRefused,
    NotReady,
    NotSent,
    OutcomeUnknown,
    Refused,
)
from skycore.client.request import Credentials
from skycore.keyed_hash import read_secret
from skycore.logs import log, log_exception, mask_number, redact_secret
from skycore.problems import Problem
from skycore.sending import outcomes
from skycore.sending.account_pause import AccountPause, cause_of
from skycore.sending.idempotency import NOT_READY, before_the_call
from skycore.sending.policy import PolicySettings
from skycore.sending.rate_limit import RateLimiter, Turn
from skycore.settings import load
from skycore.table import opt_outs
from skycore.table.limits import Limits
from skycore.table.pauses import UNKNOWN_OUTCOMES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from skycore.catalogue.actions import Action
    from skycore.client.reply import Reply
    from skycore.sending.policy import QuietHours
    from skycore.sending.rate_limit import Slot
    from skycore.sending.validation import Draft
    from skycore.table.messages import MessageRow

MIN_CALL_SECONDS = 10.0  # before the deadline, within which no call to Skycore starts
BLOCKED_CODE = "E114"

# Problems that a repeat gets again: Skycore refused the message, or may have it. Any other problem
# proves that nothing was sent.
FINAL_PROBLEMS = frozenset({"skycore_rejected", "outcome_unknown"})


def call_skycore(
    skycore: SkycoreClient,
    action: Action,
    fields: Mapping[str, Any],
    *,
    slot: Slot,
    deadline: float,
    message_id: str | None = None,
    transport: Literal["post", "get"] = "post",
) -> Reply:
    """Return Skycore's reply to prepared `fields`, received before `deadline` (monotonic seconds).

    `slot` is waited for, and replaced if it has passed, once the connection is open. Raises
    Problem: skycore_unreachable, skycore_rejected, rate_limited, skycore_account, not_ready or
    outcome_unknown. With a `message_id`, the problem names it.
    """
    check_time_left(deadline)
    turn = Turn(slot, deadline)
    try:
        return skycore.call(
            action,
            fields,
            prepared=True,
            deadline=deadline,
            transport=transport,
            before_write=turn.take,
        )
    except (CredentialsMissing, NotReady) as error:
        problem, reason = _problem_before_call(error, message_id), error.reason
        turn.began = None  # Skycore was not called
    except NotSent as error:
        detail = "could not connect to Skycore; nothing was sent"
        problem = Problem("skycore_unreachable", detail, message_id=message_id)
        problem.cause, reason = cause_of(error), error.reason
    except HttpRefused as error:
        detail = f"Skycore's server refused the request (HTTP {error.status}); nothing was sent"
        problem = Problem(
            error.problem, detail, retry_after=error.retry_after, message_id=message_id
        )
        problem.cause, reason = cause_of(error), f"HTTP {error.status}"
    except Refused as error:
        problem = _problem_of_refusal(error, message_id)
        problem.cause, reason = cause_of(error), error.code or "undocumented code"
    except OutcomeUnknown as error:
        # The reason is a fixed phrase or an HTTP status: it quotes nothing of the call.
        problem = Problem(
            "outcome_unknown",
            f"Skycore gave no clear answer ({error.reason}); it may have taken the request",
            retryable=action.effect == "read",
            message_id=message_id,
        )
        problem.cause, reason = cause_of(error), error.reason
    finally:
        if turn.began is not None:
            metrics.record("SkycoreSeconds", time.monotonic() - turn.began)
    _log(action.name, problem, reason, message_id)
    raise problem


def get_ready(skycore: SkycoreClient, deadline: float, count: int = 1) -> int:
    """Prepare for `count` calls, as far as that takes no slot: credentials, and connections.

    Return how many calls may take a slot: those that have a connection. If there is none, one call
    may, which tries again and reports why. Raises Problem skycore_account or not_ready.
    """
    with before_the_call():
        read_secret()  # of the hashes under which opt-outs may be
    try:
        return skycore.ready(deadline=deadline, count=count) or 1
    except (CredentialsMissing, NotReady) as error:
        problem = _problem_before_call(error, None)
        _log(None, problem, error.reason, None)
        raise problem from None


def _problem_before_call(error: CredentialsMissing | NotReady, message_id: str | None) -> Problem:
    if isinstance(error, NotReady):
        return Problem("not_ready", NOT_READY, message_id=message_id)
    detail = f"{error.reason}; run python -m ops --stack NAME set-key"
    problem = Problem("skycore_account", detail, message_id=message_id)
    problem.cause = cause_of(error)
    return problem


def _problem_of_refusal(error: Refused, message_id: str | None) -> Problem:
    """Return the problem of an error code in Skycore's reply."""
    error_code = find_error(error.code)
    detail = error_code.meaning if error_code else "Skycore refused the request"
    final = message_id is not None and error.problem.code in FINAL_PROBLEMS
    if final and error.problem.retryable:
        detail += "; a later try, under a new Idempotency-Key, may succeed"
    return Problem(
        error.problem.code,
        detail,
        retryable=error.problem.retryable,
        retry_after=error.retry_after,
        skycore_code=error.code or None,
        message_id=message_id,
    )


def _log(action: str | None, problem: Problem, reason: str, message_id: str | None) -> None:
    metrics.count("AccountErrors", problem.code == "skycore_account")
    log.warning(
        "Skycore call failed",
        extra={
            "action": action,
            "problem": problem.code,
            "reason": reason,
            "message_id": message_id,
        },
    )


@dataclass(frozen=True, slots=True)
class SendContext:
    """What a send needs: the client, the rate limiter, and the queue for outcomes to repair.

    `days` is how long rows are kept, `daily_ceiling` how many messages a number may get in a UTC
    day (0: any number).
    """

    skycore: SkycoreClient
    rate_limiter: RateLimiter
    repair_queue: str
    days: int
    pause: AccountPause = field(default_factory=AccountPause)
    quiet_hours: QuietHours | None = None  # of queued messages
    daily_ceiling: int = 0


@dataclass(frozen=True, slots=True)
class Queues:
    """URLs of the send queue and of its dead-letter queue."""

    send: str
    dead: str


@dataclass(frozen=True, kw_only=True)
class SendSettings(PolicySettings):
    """The environment of every function that calls Skycore."""

    table_name: str
    skycore_url: str
    api_key_secret: str
    send_queue_url: str
    max_calls_per_second: int
    max_calls_per_minute: int
    max_calls_per_day: int
    priority_share: int
    max_per_recipient_per_day: int = 0  # not in the environment of the previous release


@cache
def send_context() -> SendContext:
    """Return the context of this process, made once: kept connections, one rate limiter."""
    settings = load(SendSettings)
    limits = Limits(
        settings.max_calls_per_second,
        settings.max_calls_per_minute,
        settings.max_calls_per_day,
        settings.priority_share,
    )
    return SendContext(
        skycore=skycore_client(settings.skycore_url, settings.api_key_secret),
        rate_limiter=RateLimiter(limits),
        repair_queue=settings.send_queue_url,
        days=settings.event_retention_days,
        quiet_hours=settings.policy.quiet_hours,
        daily_ceiling=settings.max_per_recipient_per_day,
    )


@cache
def skycore_client(url: str, secret_name: str) -> SkycoreClient:
    """Return a client that keeps its connections and reads a refused API key again."""
    secret = Secret(secret_name)

    def credentials(refresh: bool) -> Credentials:
        try:
            values = secret.values(not_older_than=0) if refresh else secret.values()
            stored = Credentials.parse(next(values, ""))
        except CredentialsMissing:
            if not secret.is_text:
                reason = "the secret with the API key is binary and not text"
                raise CredentialsMissing(reason) from None
            raise
        except Exception as error:
            log_exception("Skycore key not read", error)  # the client raises without the cause
            raise
        redact_secret(*stored.elements.values(), stored.password)
        return stored

    return SkycoreClient(url, credentials)


def check_time_left(deadline: float) -> None:
    """Raise Problem not_ready if too little time is left before `deadline` for a call.

    After a slow table, the function would end before Skycore answers. Sending nothing is better
    than an unknown outcome. The problem has no cause, because Skycore was not called.
    """
    if time.monotonic() > deadline - MIN_CALL_SECONDS:
        raise Problem("not_ready", "no time was left for the call; nothing was sent")


def deliver(
    row: MessageRow, draft: Draft, *, context: SendContext, slot: Slot, deadline: float
) -> dict[str, Any]:
    """Call Skycore for a row in `sending` and record the outcome; return the body of the 201.

    Raises Problem. One of FINAL_PROBLEMS is recorded in the row. For any other the row is
    unchanged, for the caller to delete or to requeue; a `slot` that passed before the call is
    rate_limited.
    """
    try:
        reply = call_skycore(
            context.skycore,
            draft.action,
            draft.fields,
            slot=slot,
            deadline=deadline,
            message_id=row.message_id,
        )
    except Problem as problem:
        context.rate_limiter.report_result(problem)
        if problem.code == "outcome_unknown":
            _record_sender(draft)
        if problem.members.get("skycore_code") == BLOCKED_CODE and draft.to:
            _record_blocked(draft.to, draft.sender)
        if problem.code in FINAL_PROBLEMS:
            outcomes.record_outcome(
                row, problem, days=context.days, repair_queue=context.repair_queue
            )
        raise
    context.rate_limiter.report_result(None)
    _record_sender(draft)
    for recipient in reply.recipients:
        if recipient.get("error_code") == BLOCKED_CODE and recipient.get("to"):
            _record_blocked(str(recipient["to"]), draft.sender)
    recording: dict[str, Any] = {"days": context.days, "repair_queue": context.repair_queue}
    all_refused = _problem_if_all_refused(reply, row.message_id)
    if all_refused is not None:
        outcomes.record_outcome(row, all_refused, **recording)
        outcomes.record_recipients(row, reply, **recording, deadline=deadline)
        raise all_refused
    return outcomes.record_accepted(row, reply, **recording, deadline=deadline)


def _record_sender(draft: Draft) -> None:
    """Record that this stack sends from this sender, so that an opt-out to it counts for it alone.

    Never raises: without the record, an opt-out counts for all senders.
    """
    if draft.sender is None:
        return
    try:
        opt_outs.record_sender(draft.sender)
    except Exception as error:  # noqa: BLE001 - see above
        log_exception("sender not recorded", error)


def _record_blocked(number: str, sender: str | None) -> None:
    """Record that Skycore refuses a number for every sender (E114).

    Never raises: the outcome of the call must not be lost, and Skycore would refuse again.
    """
    try:
        opt_outs.record_blocked(number, sender, timestamps.now(), BLOCKED_CODE)
    except Exception as error:  # noqa: BLE001 - see above
        log_exception("opt-out not recorded", error, number=mask_number(number))


def _problem_if_all_refused(reply: Reply, message_id: str) -> Problem | None:
    """Return the problem of a reply that lists recipients, none of them as accepted, else None."""
    recipients = reply.recipients
    results = {recipient["outcome"] for recipient in recipients}
    if not recipients or "accepted" in results:
        return None
    if "unknown" in results:
        detail = "Skycore's reply does not say that it refused every recipient"
        problem = Problem("outcome_unknown", detail, message_id=message_id)
        problem.cause = UNKNOWN_OUTCOMES
        return problem
    codes = (recipient.get("error_code") for recipient in recipients)
    code = next(filter(None, codes), None)
    detail = "Skycore refused every recipient"
    return Problem("skycore_rejected", detail, skycore_code=code, message_id=message_id)
