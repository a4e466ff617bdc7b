"""Define every error answer in one table, as problem details (RFC 9457)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from skycore.client.errors import FieldError

MAX_ERRORS = 20  # fields that one problem names
RETRY_AFTER = 5  # seconds, where nothing says more
TITLES: dict[str, tuple[int, str, bool]] = {
    # code: (HTTP status, title, whether the same request may be repeated by a machine)
    "invalid_json": (400, "The body is not a JSON object", False),
    "unknown_action": (404, "No such Skycore action", False),
    "message_not_found": (404, "No such message", False),
    "event_not_found": (404, "No such event", False),
    "in_progress": (409, "A request with this Idempotency-Key is in progress", True),
    "not_cancellable": (409, "The message can no longer be cancelled", False),
    "too_large": (413, "Too large", False),
    "invalid_request": (422, "The request is invalid", False),
    "recipient_opted_out": (422, "The recipient has opted out", False),
    "quiet_hours": (422, "The message expires during quiet hours", False),
    "country_not_allowed": (422, "This country is not allowed", False),
    "ceiling_reached": (422, "The recipient has reached the daily limit", True),
    "idempotency_key_reused": (422, "The Idempotency-Key was used for another request", False),
    "skycore_rejected": (422, "Skycore refused the request", False),
    "rate_limited": (429, "A call limit was reached", True),
    "skycore_account": (502, "The Skycore account needs attention", False),
    "skycore_unreachable": (503, "Skycore could not be reached; nothing was sent", True),
    "not_ready": (503, "A service of this stack failed; nothing was sent", True),
    "not_queued": (503, "The message could not be queued", True),
    "not_stored": (503, "The postback could not be queued", True),
    "gateway_failure": (500, "The function failed", False),
    "outcome_unknown": (504, "Skycore may have accepted the request", False),
}


class Problem(Exception):  # noqa: N818 - the RFC's word
    """An error answer. Its text is the code alone, so that a log never quotes a request."""

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        retryable: bool | None = None,
        retry_after: int | None = None,
        **members: object,
    ) -> None:
        super().__init__(code)
        self.code = code
        self.status, self.title, by_default = TITLES[code]
        self.detail = detail
        self.retryable = by_default if retryable is None else retryable
        self.retry_after = retry_after
        self.cause: str | None = None  # what it says about all messages: see `account_pause`
        self.members = {name: value for name, value in members.items() if value is not None}

    def body(self) -> dict[str, Any]:
        """Return the members of the problem details."""
        return {
            "type": f"urn:skycore:problem:{self.code}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            "retryable": self.retryable,
            **self.members,
        }

    def headers(self) -> dict[str, str]:
        """Return Retry-After, in seconds, exactly when the request may be repeated."""
        return {"Retry-After": str(self.retry_after or RETRY_AFTER)} if self.retryable else {}


def validation_problem(errors: Sequence[FieldError]) -> Problem:
    """Return the problem that names the invalid fields, 20 at most."""
    rows = [{"field": error.field, "detail": error.detail} for error in errors[:MAX_ERRORS]]
    count = "1 field is" if len(rows) == 1 else f"{len(rows)} fields are"
    return Problem("invalid_request", f"{count} invalid", errors=rows)
