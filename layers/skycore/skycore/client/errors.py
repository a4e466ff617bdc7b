"""What can go wrong when Skycore is asked for something.

No message or repr here holds the API key, a message text, a number or a URL, so that any of these
may be logged. What the caller may see beyond that is in attributes.
"""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any

from skycore.catalogue.errors import ProblemKind, find_error, problem_for

_PLAIN = re.compile(r"[a-z_]{1,40}(\[\d{1,3}\])?")
_THROTTLE = "throttle"
_SECONDS = re.compile(r"(\d{1,6})(\.\d+)?[ -]{0,3}(?:s|secs?|seconds?)\b", re.IGNORECASE)


class SkycoreError(Exception):
    """Anything that kept Skycore from doing what was asked, or from telling us that it did."""


@dataclasses.dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with one field.

    ``field`` is its path, such as ``slides[0].image``. ``detail`` is for the caller only: it may
    name the caller's own number and must not be logged.
    """

    field: str
    detail: str = dataclasses.field(repr=False)


class InvalidRequest(SkycoreError):  # noqa: N818 - it names an outcome
    """The request breaks a documented rule; it was not sent. ``errors`` names every bad field."""

    def __init__(self, errors: Sequence[FieldError]) -> None:
        self.errors = list(errors)
        heads = dict.fromkeys(error.field.split(".")[0] for error in self.errors)
        names = [head for head in heads if _PLAIN.fullmatch(head)]
        super().__init__(f"not valid: {', '.join(names) or 'the request'}")


class CredentialsMissing(SkycoreError):  # noqa: N818 - it names an outcome
    """There is neither an API key nor a user with a password; nothing was sent."""

    def __init__(self) -> None:
        super().__init__("no credentials for Skycore: set an API key, or a user and a password")


class NotSent(SkycoreError):  # noqa: N818 - it names an outcome
    """Nothing that does anything reached Skycore; the same call may be repeated.

    ``reason`` says why, mostly that no connection was made.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"nothing was sent to Skycore: {reason}")


class OutcomeUnknown(SkycoreError):  # noqa: N818 - it names an outcome
    """Skycore may or may not have done it; repeating a send may send it twice.

    ``reason`` is a phrase of our own, or an HTTP status: callers and operators are shown it.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"Skycore's answer is unknown: {reason}")


class Refused(SkycoreError):  # noqa: N818 - it names an outcome
    """Skycore answered that it did not do it.

    ``code`` is Skycore's reply code as it came, empty when it gave none; ``info`` its own words,
    which may hold numbers; ``fields`` the other elements of the reply by JSON name.
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
        """How this is told over HTTP."""
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
