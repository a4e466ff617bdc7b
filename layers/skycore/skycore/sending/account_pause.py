"""The account pause as one process applies it: what may be sent now, and what calls resulted in.

`dispatch` asks before it sends (`admit`), and everything that calls Skycore reports what came of
it (`report`). Only queued messages wait; a synchronous send is always tried.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from skycore import timestamps
from skycore.client.errors import (
    CredentialsMissing,
    HttpRefused,
    NotReady,
    NotSent,
    OutcomeUnknown,
    Refused,
)
from skycore.logs import log, log_exception
from skycore.table import pauses
from skycore.table.pauses import ACCOUNT, NO_PAUSES, UNKNOWN_OUTCOMES, Pause, Pauses

if TYPE_CHECKING:
    from collections.abc import Callable

    from skycore.catalogue.actions import Action
    from skycore.client.errors import SkycoreError
    from skycore.problems import Problem
    from skycore.table.messages import MessageRow

TRIES = 10  # of a write, while other processes change the item first
KNOWN_FOR_S = 5.0  # that a process trusts what it read, to end a pause by a synchronous success
ACCOUNT_CODES = frozenset({"E102", "E104", "E105", "E112", "E713"})
ACTION_CODES = frozenset({"E103", "E107", "E109"})
HTTP_STATUSES = frozenset({401, 403, 404, 405, 407})

type Admission = Literal["send", "soon", "park"]


def cause_of(error: SkycoreError) -> str | None:
    """Return what an error says about all messages; None if it concerns its call alone."""
    match error:
        case NotReady():
            return None  # a fault of our own
        case NotSent():
            return "no_connection"
        case CredentialsMissing():
            return "no_key"
        case OutcomeUnknown():
            return UNKNOWN_OUTCOMES
        case HttpRefused(status=status) if status in HTTP_STATUSES:
            return f"HTTP {status}"
        case Refused(code=code) if code.upper() in ACCOUNT_CODES | ACTION_CODES:
            return code.upper()
        case Refused(problem=kind) if kind.code == "outcome_unknown":
            return UNKNOWN_OUTCOMES
    return None


@dataclass(slots=True)
class AccountPause:
    """One process's view of the shared item. Threads may share it."""

    _seen: Pauses = field(default=NO_PAUSES)
    _seen_at: float = float("-inf")

    def admit(self, rows: list[MessageRow]) -> dict[str, Admission]:
        """Return for each message, by id, whether to send it now, to wait shortly, or to park it.

        Raises PynamoDB's errors.
        """
        self._read(consistent=True)
        # A message that failed before goes last: others show whether it was its own fault.
        ordered = sorted(rows, key=lambda row: row.failed_for is not None)
        return {row.message_id: self._admit(row) for row in ordered}

    def _admit(self, row: MessageRow) -> Admission:
        scopes = (ACCOUNT, row.action)
        # No call is claimed in one scope for a message that has to wait in the other.
        waits = next((s for s in scopes if not self._may_claim(s)), None) or next(
            (s for s in scopes if not self.claim(s, is_send=True)), None
        )
        if waits is None:
            return "send"
        if not self._seen.of(waits).paused:
            return "soon"
        self._change(waits, lambda pause: pauses.list_next(pause, row.message_id))
        return "park"

    def _may_claim(self, scope: str) -> bool:
        return pauses.claim(self._seen.of(scope), _now(), is_send=True) is not None

    def claim(self, scope: str, *, is_send: bool) -> bool:
        """Claim the next call of a scope whose calls go one at a time; True where they do not."""
        return self._change(scope, lambda pause: pauses.claim(pause, _now(), is_send=is_send))

    def claim_probe(self) -> bool:
        """Claim the probe of a pause after unknown outcomes; False if none is due."""
        self._read(consistent=True)
        pause = self._seen.of(ACCOUNT)
        due = pause.paused and pause.cause == UNKNOWN_OUTCOMES
        return due and self.claim(ACCOUNT, is_send=False)

    def report(
        self, action: Action, problem: Problem | None, row: MessageRow | None = None
    ) -> bool:
        """Report the result of a call; `row` is the queued message that it was for, if any.

        Returns whether a failure is the message's own, and so counts as one of its tries. Never
        raises: the answer to the call must not be lost for it.
        """
        try:
            return self._report(action, problem, row)
        except Exception as error:  # noqa: BLE001 - see above
            log_exception("account pause not updated", error)
            return False

    def _report(self, action: Action, problem: Problem | None, row: MessageRow | None) -> bool:
        is_send = action.effect == "send"
        if time.monotonic() - self._seen_at > KNOWN_FOR_S:
            self._read(consistent=False)
        if problem is None or problem.code == "skycore_rejected":
            for scope in (ACCOUNT, action.name):
                self._change(scope, lambda p: pauses.succeeded(p, _now(), is_send=is_send))
            return False
        cause = problem.cause
        if cause is None or (cause == UNKNOWN_OUTCOMES and not is_send):
            return cause is None and problem.code in {"skycore_account", "skycore_unreachable"}
        if cause == UNKNOWN_OUTCOMES:
            self._change(ACCOUNT, lambda p: pauses.unknown(p, _now()))
            return False
        return self._failed(action.name if cause in ACTION_CODES else ACCOUNT, cause, row)

    def _failed(self, scope: str, cause: str, row: MessageRow | None) -> bool:
        own = False
        failed_for = row.failed_for if row else None
        failed_at = _epoch(row.failed_at) if row else 0

        def rule(pause: Pause) -> Pause:
            nonlocal own
            own = pauses.is_own_failure(pause, cause, failed_for, failed_at)
            if own:
                return pauses.failed_alone(pause, cause)
            return pauses.failed(pause, cause, _now(), row.message_id if row else None)

        self._change(scope, rule)
        return own

    def is_paused(self, action: str) -> bool:
        """Return whether queued messages of an action wait, as far as this process knows."""
        return self._seen.of(ACCOUNT).paused or self._seen.of(action).paused

    def _change(self, scope: str, rule: Callable[[Pause], Pause | None]) -> bool:
        """Write what `rule` makes of a scope's pause.

        Returns False if it returns None, or if others always wrote first.
        """
        for number in range(TRIES):
            seen = self._seen  # other threads of this process may replace it
            before = seen.of(scope)
            after = rule(before)
            if after is None or after == before:
                return after is not None
            written = pauses.write(seen, scope, after)
            if written is not None:
                self._seen, self._seen_at = written, time.monotonic()
                _log(scope, before, after)
                return True
            time.sleep(random.uniform(0, 0.01 * 2**number))  # noqa: S311 - jitter, not a secret
            self._read(consistent=True)
        return False

    def _read(self, *, consistent: bool) -> None:
        self._seen, self._seen_at = pauses.read(consistent=consistent), time.monotonic()


def _log(scope: str, before: Pause, after: Pause) -> None:
    known = {"scope": scope, "cause": after.cause}
    if after.paused and not before.paused:
        log.error("queued messages paused", extra=known)
    elif before.paused and not after.paused:
        log.warning("queued messages resumed", extra=known)


def _now() -> int:
    return int(timestamps.now().timestamp())


def _epoch(text: str | None) -> int:
    return int(timestamps.from_text(text).timestamp()) if text else 0
