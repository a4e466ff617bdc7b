"""What can go wrong, as exceptions.

SkycoreError
├── NoAnswer               the connection failed or timed out
└── Problem                the API answered with problem details (RFC 9457); `code` is stable
    ├── InvalidRequest     the request must change: its fields, number, size or key
    ├── Forbidden          not signed, badly signed or not allowed
    ├── NotFound           no such message or action
    ├── InProgress         a request with this Idempotency-Key is in progress
    ├── NotCancellable     the message can no longer be cancelled
    ├── RecipientOptedOut  the person wants nothing from this sender
    ├── SkycoreRejected    Skycore refused this message; `skycore_code` says why
    ├── RateLimited        a limit is used up; `retry_after` says until when
    ├── AccountProblem     the Skycore account needs attention
    ├── Unavailable        nothing was sent; try again later
    ├── OutcomeUnknown     Skycore may have taken the message: never send it again
    └── GatewayFailure     a function crashed: repeat only with the same Idempotency-Key
"""

from __future__ import annotations

from typing import Any


class SkycoreError(Exception):
    """Any failure of a call. `idempotency_key` is the key that it was sent with."""

    idempotency_key: str | None = None
    retry_after: float | None = None  # seconds

    def may_repeat(self, *, repeatable: bool) -> bool:
        """Return whether the request may be sent again; `repeatable`: twice is harmless."""
        raise NotImplementedError


class NoAnswer(SkycoreError):
    """No answer came. `sent`: the request may have arrived."""

    def __init__(self, detail: str, *, sent: bool) -> None:
        super().__init__(detail)
        self.sent = sent

    def may_repeat(self, *, repeatable: bool) -> bool:
        return repeatable or not self.sent


class Problem(SkycoreError):
    """An error answer. `body` has all members, those that this version does not know included."""

    def __init__(self, body: dict[str, Any], status: int, retry_after: float | None = None) -> None:
        self.body = body
        self.status = status
        self.code: str = body.get("code", "")
        self.detail: str = body.get("detail", "")
        self.retryable: bool = body.get("retryable") is True
        self.retry_after = retry_after
        self.skycore_code: str | None = body.get("skycore_code")
        self.message_id: str | None = body.get("message_id")
        self.errors: list[dict[str, str]] = body.get("errors") or []
        fields = "".join(f"; {error.get('field')} {error.get('detail')}" for error in self.errors)
        super().__init__(f"{self.status} {self.code}: {self.detail}{fields}")

    def may_repeat(self, *, repeatable: bool) -> bool:
        if self.code == "skycore_rejected":
            return False  # the same key gets the same answer
        return self.retryable or (repeatable and self.code == "gateway_failure")


class InvalidRequest(Problem): ...


class Forbidden(Problem): ...


class NotFound(Problem): ...


class InProgress(Problem): ...


class NotCancellable(Problem): ...


class RecipientOptedOut(Problem): ...


class SkycoreRejected(Problem): ...


class RateLimited(Problem): ...


class AccountProblem(Problem): ...


class Unavailable(Problem): ...


class OutcomeUnknown(Problem): ...


class GatewayFailure(Problem): ...


# A code that is not here is a plain Problem.
BY_CODE: dict[str, type[Problem]] = {
    "invalid_json": InvalidRequest,
    "invalid_request": InvalidRequest,
    "too_large": InvalidRequest,
    "country_not_allowed": InvalidRequest,
    "quiet_hours": InvalidRequest,
    "gateway_refused": InvalidRequest,
    "forbidden": Forbidden,
    "unknown_action": NotFound,
    "message_not_found": NotFound,
    "event_not_found": NotFound,
    "in_progress": InProgress,
    "not_cancellable": NotCancellable,
    "recipient_opted_out": RecipientOptedOut,
    "idempotency_key_reused": InvalidRequest,
    "skycore_rejected": SkycoreRejected,
    "rate_limited": RateLimited,
    "ceiling_reached": RateLimited,
    "skycore_account": AccountProblem,
    "skycore_unreachable": Unavailable,
    "not_ready": Unavailable,
    "not_queued": Unavailable,
    "outcome_unknown": OutcomeUnknown,
    "gateway_failure": GatewayFailure,
}


def problem(body: Any, status: int, retry_after: str | None = None) -> Problem:
    """Return the problem of an answer; without a usable body its HTTP status decides."""
    if not isinstance(body, dict) or not isinstance(body.get("code"), str):
        code = "gateway_failure" if status >= 500 else "gateway_refused"
        code = {403: "forbidden", 429: "rate_limited"}.get(status, code)
        detail = f"HTTP {status} without problem details"
        body = {"code": code, "detail": detail, "retryable": status == 429}
    seconds = float(retry_after) if retry_after and retry_after.isdecimal() else None
    return BY_CODE.get(body["code"], Problem)(body, status, seconds)
