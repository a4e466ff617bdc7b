"""A check of the deployed stack, and what it found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ops.doctor.deployment import Deployment

type Level = Literal["ok", "warning", "problem", "not_checked"]


class NotChecked(Exception):  # noqa: N818 - not an error: a check that has no answer here
    """The check cannot be made here; its text is the reason."""


@dataclass(frozen=True)
class Finding:
    """Something that is not as it should be, and what to do about it."""

    detail: str
    fix: str
    warning: bool = False

    @property
    def level(self) -> Level:
        """How bad it is."""
        return "warning" if self.warning else "problem"


@dataclass(frozen=True)
class Check:
    """One row of the table of checks.

    `holds` is what is true if `find` yields nothing. `only_aws` is the reason why the local stack
    cannot answer. `probes` marks a check that calls the stack's own API; --no-probe skips it.
    """

    name: str
    holds: str
    find: Callable[[Deployment], Iterable[Finding]]
    only_aws: str = ""
    probes: bool = False


@dataclass(frozen=True)
class Outcome:
    """The result of one check."""

    check: Check
    findings: tuple[Finding, ...] = ()
    reason: str = ""  # why it was not checked

    @property
    def result(self) -> Level:
        """The result in one word."""
        if any(not finding.warning for finding in self.findings):
            return "problem"
        if self.reason:
            return "not_checked"
        return "warning" if self.findings else "ok"
