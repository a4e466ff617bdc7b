"""Reply codes of the Skycore API, and what each means to an HTTP caller.

These are codes of replies. A few (E101, E102, E201, E999) also occur in postbacks, where they mean
something else; postbacks have a table of their own.
"""

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """A reply code: ``retry`` is ``no``, ``later`` or ``yes``, ``kind`` the family of the fault."""

    code: str
    area: str
    kind: str
    retry: str
    meaning: str

    @property
    def retryable(self) -> bool:
        """Return whether the same call may succeed when it is repeated later."""
        return self.retry != "no"


@dataclass(frozen=True, slots=True)
class ProblemKind:
    """An HTTP status, the stable problem code that goes with it, and whether to repeat."""

    status: int
    code: str
    retryable: bool


_RATE_LIMITED = ProblemKind(429, "rate_limited", retryable=True)
_ACCOUNT = ProblemKind(502, "skycore_account", retryable=False)
_PROBLEMS = {
    "E102": _ACCOUNT,  # no credentials
    "E103": _ACCOUNT,  # MD5 password wanted, or API blocked
    "E104": _ACCOUNT,  # wrong or revoked key
    "E105": _ACCOUNT,  # no API permission
    "E106": _RATE_LIMITED,  # calls too close together
    "E107": _ACCOUNT,  # action not permitted
    "E109": _ACCOUNT,  # API not switched on
    "E111": _ACCOUNT,  # sender not of this account
    "E112": _ACCOUNT,  # our address is not on the allow-list
    "E113": _RATE_LIMITED,  # throughput of the action
    "E120": _RATE_LIMITED,  # quota used up
    "E713": _ACCOUNT,  # billing
}
_OUTCOME_UNKNOWN = "E503"  # unspecified fault: a send may have gone out


def find_error(code: str) -> ErrorCode | None:
    """Return the reply code, in any letter case; None for one that is not documented."""
    return _by_code().get(code.strip().upper())


def all_errors() -> tuple[ErrorCode, ...]:
    """Return all documented reply codes, in order."""
    return tuple(_by_code().values())


def problem_for(code: str, *, effect: str) -> ProblemKind:
    """Return the HTTP problem of a reply code, for an action of this ``effect``.

    An undocumented code is a refusal that is not worth repeating.
    """
    key = code.strip().upper()
    if key == _OUTCOME_UNKNOWN:
        return ProblemKind(504, "outcome_unknown", retryable=effect == "read")
    if problem := _PROBLEMS.get(key):
        return problem
    error = find_error(key)
    return ProblemKind(422, "skycore_rejected", retryable=error is not None and error.retryable)


@cache
def _by_code() -> dict[str, ErrorCode]:
    path = Path(__file__).with_name("error_codes.csv")
    with path.open(encoding="utf-8", newline="") as file:
        return {row["code"]: ErrorCode(**row) for row in csv.DictReader(file)}
