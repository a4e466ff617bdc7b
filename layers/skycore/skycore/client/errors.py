"""Errors of calls to Skycore.

No message or repr here holds the API key, a message text, a number or a URL, so that any of these
may be logged. What the caller may see beyond that is in attributes.
"""

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from skycore.catalogue.actions import ProblemKind, find_error, problem_for

# What an HTTP status proves when the body has no Skycore reply: the request was not
# processed (RFC 9110, section 15.5; RFC 6585). Any other status proves nothing.
HTTP_PROBLEMS = {
    401: "skycore_account",
    403: "skycore_account",
    404: "skycore_account",
    405: "skycore_account",
    407: "skycore_account",
    413: "skycore_unreachable",
    421: "skycore_unreachable",
    429: "rate_limited",
    431: "skycore_unreachable",
}
MAX_FIELD_ERRORS = 20
_MAX_FIELD_NAME = 200  # characters
MAX_RETRY_AFTER = 3_600  # seconds; after that, a caller who must wait longer is refused again
_CODE = re.compile("[A-Za-z]{0,2}[0-9]{1,4}")  # such as E110
_PLAIN = re.compile(r"[a-z_]{1,40}(\[\d{1,3}\])?")
_THROTTLE = "throttle"
_SECONDS = re.compile(r"(\d{1,6})(\.\d+)?[ -]{0,3}(?:s|secs?|seconds?)\b", re.IGNORECASE)


def plain_code(code: str) -> str:
    """Return a code that looks like one of Skycore's, else an empty text; it may be logged."""
    return code if _CODE.fullmatch(code) else ""


class SkycoreError(Exception):
    """Anything that kept Skycore from doing what was asked, or from confirming that it did."""


@dataclasses.dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with one field.

    ``field`` is its path, such as ``slides[0].image``, cut to 200 characters: a caller may invent
    names. ``detail`` is for the caller only: it may name the caller's own number and must not be
    logged.
    """

    field: str
    detail: str = dataclasses.field(repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "field", self.field[:_MAX_FIELD_NAME])


class InvalidRequest(SkycoreError):  # noqa: N818 - it names an outcome
    """The request breaks a documented rule; it was not sent.

    ``errors`` names the bad fields, the first 20 if there are more.
    """

    def __init__(self, errors: Sequence[FieldError]) -> None:
        self.errors = list(errors[:MAX_FIELD_ERRORS])
        heads = dict.fromkeys(error.field.split(".")[0] for error in self.errors)
        names = [head for head in heads if _PLAIN.fullmatch(head)]
        super().__init__(f"not valid: {', '.join(names) or 'the request'}")


class CredentialsMissing(SkycoreError):  # noqa: N818 - it names an outcome
    """There is neither an API key nor a user with a password; nothing was sent.

    ``reason`` says what is wrong with what is stored, without quoting it.
    """

    def __init__(self, reason: str | None = None) -> None:
        self.reason = reason or "no Skycore API key is set"
        super().__init__(f"no credentials for Skycore: {self.reason}")


class NotSent(SkycoreError):  # noqa: N818 - it names an outcome
    """Nothing that does anything reached Skycore; the same call may be repeated.

    ``reason`` says why, usually that no connection was made.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"nothing was sent to Skycore: {reason}")


class NotReady(NotSent):
    """The call could not be prepared on our side: nothing was sent, and Skycore was not called."""


class HttpRefused(SkycoreError):  # noqa: N818 - it names an outcome
    """An HTTP error without a Skycore reply proves that nothing was done.

    ``status`` is the HTTP status, ``problem`` the code of the answer (``HTTP_PROBLEMS``), and
    ``retry_after`` the whole seconds of its Retry-After, None without one.
    """

    def __init__(self, status: int, retry_after: str | None = None) -> None:
        self.status = status
        self.problem = HTTP_PROBLEMS[status]
        self.retry_after = _seconds(retry_after) if retry_after else None
        super().__init__(f"Skycore was not reached: HTTP {status}")


def _seconds(retry_after: str) -> int | None:
    """Return the seconds of a Retry-After header, a number or an HTTP date; None for others."""
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return min(max(1, int(text[:9])), MAX_RETRY_AFTER)
    try:
        moment = parsedate_to_datetime(text)
        wait = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - datetime.now(UTC)
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(1, math.ceil(wait.total_seconds())), MAX_RETRY_AFTER)


class OutcomeUnknown(SkycoreError):  # noqa: N818 - it names an outcome
    """Skycore may or may not have done it; repeating a send may send it twice.

    ``reason`` is a fixed phrase or an HTTP status, which callers and operators may see.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"Skycore's answer is unknown: {reason}")


class Refused(SkycoreError):  # noqa: N818 - it names an outcome
    """Skycore answered that it did not do it.

    ``code`` is Skycore's reply code, empty when it gave none or one that does not look like a code;
    ``info`` its own words, which may hold numbers; ``fields`` the other elements of the reply by
    JSON name.
    """

    def __init__(
        self,
        code: str,
        info: str = "",
        fields: Mapping[str, Any] | None = None,
        *,
        effect: str = "send",
    ) -> None:
        self.code = code
        self.info = info
        self.fields = dict(fields or {})
        self.effect = effect
        error = find_error(code)
        meaning = f"{error.code}, {error.meaning}" if error else "an undocumented code or none"
        super().__init__(f"Skycore refused: {meaning}")

    @property
    def problem(self) -> ProblemKind:
        """The problem that answers this over HTTP."""
        return problem_for(self.code, effect=self.effect)

    @property
    def retry_after(self) -> int | None:
        """Whole seconds to wait, where a throttling reply names them in its text, else None."""
        error = find_error(self.code)
        if error is None or error.kind != _THROTTLE:
            return None
        named = _SECONDS.search(self.info)
        if named is None:
            return None
        return max(1, int(named[1]) + (1 if float(named[2] or 0) else 0))
