"""One call to Skycore: what it needs, and what its outcome means."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from skycore import metrics
from skycore.aws.secrets import Secret
from skycore.catalogue.errors import find_error
from skycore.client.client import SkycoreClient
from skycore.client.errors import CredentialsMissing, NotSent, OutcomeUnknown, Refused
from skycore.client.request import Credentials
from skycore.logs import log, log_exception, redact_secret
from skycore.problems import Problem
from skycore.sending import opt_outs, outcomes
from skycore.sending.account_pause import AccountPause, cause_of
from skycore.sending.rate_limit import RateLimiter
from skycore.sending.validation import SendPolicy
from skycore.settings import load
from skycore.table.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Mapping

    from skycore.catalogue.actions import Action
    from skycore.client.reply import Reply
    from skycore.sending.rate_limit import Slot
    from skycore.sending.validation import Draft
    from skycore.table.messages import MessageRow

MIN_CALL_SECONDS = 10.0  # that a call of Skycore must have left


# Answers that stand: the message may be, or will never be, at Skycore. Any other problem proves
# that nothing was sent.
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
    """Skycore's reply to prepared `fields`, got before `deadline` (monotonic seconds).

    Raises Problem: skycore_unreachable, skycore_rejected, rate_limited, skycore_account or
    outcome_unknown.
    """
    known: dict[str, Any] = {"message_id": message_id}
    began, called = time.monotonic(), True
    try:
        return skycore.call(
            action,
            fields,
            prepared=True,
            deadline=deadline,
            transport=transport,
            before=slot.check,
            again=slot.reacquire,
        )
    except NotSent as error:
        problem = Problem("skycore_unreachable", "no connection to Skycore was made", **known)
        problem.cause = cause_of(error)
        _log(action, problem, error.reason, message_id)
    except CredentialsMissing as error:
        called = False
        detail = "no Skycore API key is set; run python -m ops --stack NAME set-key"
        problem = Problem("skycore_account", detail, **known)
        problem.cause = cause_of(error)
        _log(action, problem, str(error), message_id)
    except Refused as error:
        problem = _refusal(error, known)
        problem.cause = cause_of(error)
        _log(action, problem, error.code, message_id)
    except OutcomeUnknown as error:
        # The reason is one of our own phrases or an HTTP status: it quotes nothing of the call.
        problem = Problem(
            "outcome_unknown",
            f"Skycore gave no clear answer ({error.reason}); it may have taken the request",
            retryable=action.effect == "read",
            **known,
        )
        problem.cause = cause_of(error)
        _log(action, problem, error.reason, message_id)
    finally:
        if called:
            metrics.record("SkycoreSeconds", time.monotonic() - began)
    metrics.count("AccountErrors", problem.code == "skycore_account")
    raise problem


def _refusal(error: Refused, known: Mapping[str, Any]) -> Problem:
    known_code = find_error(error.code)
    meaning = known_code.meaning if known_code else "Skycore refused the request"
    kept = known["message_id"] is not None and error.problem.code in FINAL_PROBLEMS
    if kept and error.problem.retryable:
        meaning += "; a later try, under a new Idempotency-Key, may succeed"
    return Problem(
        error.problem.code,
        meaning,
        retryable=error.problem.retryable,
        retry_after=error.retry_after,
        skycore_code=error.code or None,
        **known,
    )


def _log(action: Action, problem: Problem, reason: str, message_id: str | None) -> None:
    log.warning(
        "Skycore call failed",
        extra={
            "action": action.name,
            "problem": problem.code,
            "reason": reason,
            "message_id": message_id,
        },
    )


@dataclass(frozen=True, slots=True)
class SendContext:
    """What a call needs: the client, the account's limits, and the queue for outcomes to repair."""

    skycore: SkycoreClient
    rate_limiter: RateLimiter
    repair_queue: str
    days: int
    pause: AccountPause = field(default_factory=AccountPause)


@dataclass(frozen=True)
class SendSettings:
    """The environment of every function that calls Skycore."""

    table_name: str
    skycore_url: str
    api_key_secret: str
    send_queue_url: str
    default_region: str
    allowed_country_codes: str
    event_retention_days: int
    max_calls_per_second: int
    max_calls_per_minute: int
    max_calls_per_day: int
    priority_share: int

    def policy(self) -> SendPolicy:
        """What the stack says of any message."""
        return SendPolicy.of(
            self.default_region, self.allowed_country_codes, self.event_retention_days
        )


@cache
def send_settings() -> SendSettings:
    """The environment, read once. Raises SettingsError that lists what is missing."""
    return load(SendSettings)


@cache
def send_context() -> SendContext:
    """The way to Skycore, made once per process: kept connections, one limiter."""
    known = send_settings()
    limits = Limits(
        known.max_calls_per_second,
        known.max_calls_per_minute,
        known.max_calls_per_day,
        known.priority_share,
    )
    return SendContext(
        skycore=skycore_client(known.skycore_url, known.api_key_secret),
        rate_limiter=RateLimiter(limits),
        repair_queue=known.send_queue_url,
        days=known.event_retention_days,
    )


@cache
def skycore_client(url: str, secret_name: str) -> SkycoreClient:
    """A client with kept connections; a refused key is read from the secret afresh."""
    secret = Secret(secret_name)

    def credentials(refresh: bool) -> Credentials:
        try:
            values = secret.values(not_older_than=0) if refresh else secret.values()
            return _credentials(next(values, ""))
        except Exception as error:
            log_exception("Skycore key not read", error)  # the client tells only that
            raise

    return SkycoreClient(url, credentials)


def _credentials(text: str) -> Credentials:
    """Credentials from a secret's text: a JSON object, or the bare API key."""
    text = text.strip()
    if not text.startswith("{"):
        return Credentials(api_key=text or None)
    try:
        value = json.loads(text)
    except ValueError:
        return Credentials()
    known = {name: str(value[name]) for name in ("api_key", "user", "password") if value.get(name)}
    credentials = Credentials(**known)
    redact_secret(*known.values(), *credentials.elements.values())
    return credentials


def check_time_left(deadline: float) -> None:
    """Raise Problem skycore_unreachable if too little time is left before `deadline` for a call.

    If the table was slow, Skycore's answer would come too late to be read. Then nothing is sent,
    which is better than an unknown outcome.
    """
    if time.monotonic() > deadline - MIN_CALL_SECONDS:
        raise Problem("skycore_unreachable", "no time was left for the call; nothing was sent")


def deliver(
    row: MessageRow, draft: Draft, *, context: SendContext, slot: Slot, deadline: float
) -> dict[str, Any]:
    """Call Skycore for a row in `sending` and record the outcome; return the body of the 201.

    No call starts once `slot` has grown too old for the limits: that is rate_limited.

    Raises Problem. One that stands (KEPT) is in the row; for any other the row is as it was, for
    the caller to free or to put back.
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
        if problem.members.get("skycore_code") == opt_outs.BLOCKED_CODE and draft.to:
            opt_outs.record_blocked(draft.to)
        if problem.code in FINAL_PROBLEMS:
            outcomes.record_outcome(
                row, problem, days=context.days, repair_queue=context.repair_queue
            )
        raise
    context.rate_limiter.report_result(None)
    for one in reply.recipients:
        if one.get("error_code") == opt_outs.BLOCKED_CODE and one.get("to"):
            opt_outs.record_blocked(str(one["to"]))
    known: dict[str, Any] = {"days": context.days, "repair_queue": context.repair_queue}
    none_taken = _none_taken(reply, row.message_id)
    if none_taken is not None:
        outcomes.record_outcome(row, none_taken, **known)
        outcomes.record_recipients(row, reply, **known, deadline=deadline)
        raise none_taken
    return outcomes.record_accepted(row, reply, **known, deadline=deadline)


def _none_taken(reply: Reply, message_id: str) -> Problem | None:
    """The problem of a reply that tells several recipients and accepted none for certain."""
    recipients = reply.recipients
    outcomes = {one["outcome"] for one in recipients}
    if not recipients or "accepted" in outcomes:
        return None
    if "unknown" in outcomes:
        detail = "Skycore's answer does not say of every recipient that it was refused"
        return Problem("outcome_unknown", detail, message_id=message_id)
    code = next((one["error_code"] for one in recipients if one.get("error_code")), None)
    detail = "Skycore refused every recipient"
    return Problem("skycore_rejected", detail, skycore_code=code, message_id=message_id)
