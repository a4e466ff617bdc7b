"""Acquire slots for Skycore calls, within the account's limits and Skycore's pauses."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from skycore import metrics
from skycore.logs import log
from skycore.problems import Problem
from skycore.sending.idempotency import NOT_READY, before_the_call
from skycore.table.limiter import Limiter
from skycore.table.limits import BULK_WAIT_MS, SINGLE_WAIT_MS, Limits, Wait, usable

if TYPE_CHECKING:
    from collections.abc import Callable

    from skycore.table.limits import WindowName

TRIES = 3  # of a single call whose slot passed while its process was held up
PATIENCE_MS = 4_000  # that dispatch waits for slots; the rest of its time is for calls
ASK_AGAIN_MS = 200
MIN_REPLY_SECONDS = 5.0  # before the deadline, within which no request is written
HTTP_429_IS_LIKE = "E106"  # calls too close together; either may say for how long to wait


@dataclass(slots=True)
class Slot:
    """The moment from which one call may be made: without limits, now or the end of a pause."""

    rate_limiter: RateLimiter
    at_ms: int
    single: bool

    def is_usable(self) -> bool:
        """Return whether the call can still start in time; log it if the process was held up."""
        now = now_ms()
        if not self.rate_limiter.limits.any or usable(self.at_ms, now):
            return True
        log.warning("slot missed", extra={"late_ms": now - self.at_ms})
        return False

    def reacquire(self) -> None:
        """Take another slot for a second call of the same message.

        Raises Problem rate_limited: at once for a queued message, which can be requeued.
        """
        if not self.rate_limiter.limits.any:
            return
        if not self.single:
            raise rate_limited("second", 1)
        self.at_ms = self.rate_limiter.acquire().at_ms


@dataclass(slots=True)
class Turn:
    """The slot of a call, confirmed immediately before each of its requests is written.

    `deadline` (monotonic seconds) is that of the reply.
    """

    slot: Slot
    deadline: float = float("inf")
    began: float | None = field(default_factory=time.monotonic)
    used: bool = False

    def take(self) -> None:
        """Wait for the slot.

        Raises Problem rate_limited if none is left, and not_ready if the limiter fails or too
        little time is left for a reply: this request is not written then.
        """
        if not self.used:
            self.began = None  # nothing is called if no slot is left
        with before_the_call():
            wait_until(self.slot.at_ms)
            if self.used or not self.slot.is_usable():  # it passed while connecting
                self.slot.reacquire()
                if not self.slot.is_usable():
                    raise rate_limited("second", 1)
        if time.monotonic() > self.deadline - MIN_REPLY_SECONDS:
            raise Problem("not_ready", NOT_READY)
        self.used = True
        self.began = time.monotonic()


@dataclass(slots=True)
class RateLimiter:
    """Acquires slots for the calls of one process, and reports their results."""

    limits: Limits
    limiter: Limiter = field(default_factory=Limiter)

    def acquire(self) -> Slot:
        """Take a slot for a single call and wait for it, two seconds at most.

        If the process was held up until the slot had passed, take another, up to TRIES in all.
        Raises Problem rate_limited, with Retry-After, if there is none.
        """
        for _ in range(TRIES):
            result = self._take(1, bulk=False)
            if isinstance(result, Wait):
                metrics.count("LimiterFull", by=result.window)
                raise rate_limited(result.window, result.retry_after_s)
            wait_until(result[0])
            slot = self.slot(result[0], single=True)
            if slot.is_usable():
                return slot
        raise rate_limited("second", 1)

    def slot(self, at_ms: int, *, single: bool) -> Slot:
        """Return the slot of a call that may be made at `at_ms`."""
        return Slot(self, at_ms, single)

    def acquire_batch(
        self, count: int, count_again: Callable[[], int] | None = None
    ) -> tuple[int, ...] | Wait:
        """Take up to `count` slots for queued messages; return them, or when to ask again.

        Waits up to PATIENCE_MS for the first slot. After each wait `count_again` says how many to
        take, because connections do not stay open for long.
        """
        until = now_ms() + PATIENCE_MS
        while True:
            result = self._take(count, bulk=True)
            if not isinstance(result, Wait):
                return result
            # A slot is given out BULK_WAIT_MS ahead; after that moment, single calls may have it.
            ask_at = max(result.until_ms - BULK_WAIT_MS, now_ms() + ASK_AGAIN_MS)
            if ask_at > until:
                metrics.count("LimiterFull", by=result.window)
                return result
            wait_until(ask_at)
            count = count if count_again is None else count_again()

    def _take(self, count: int, *, bulk: bool) -> tuple[int, ...] | Wait:
        """Return the limiter's answer, and record its metrics."""
        began, wait = now_ms(), BULK_WAIT_MS if bulk else SINGLE_WAIT_MS
        result = self.limiter.take(self.limits, count=count, bulk=bulk, longest_wait_ms=wait)
        if isinstance(result, tuple) and self.limits.any:
            for slot in result:
                metrics.record("LimiterWaitSeconds", max(0, slot - began) / 1000)
        for name, percent in self.limiter.percent_left(self.limits).items():
            metrics.record(f"{name.capitalize()}Allowance", percent)
        return result

    def report_result(self, problem: Problem | None) -> Problem | None:
        """Report a call's result: a throttled one pauses everyone, a success ends the doubling.

        Return the problem with the limiter's `window` and Retry-After. Never raises, so that the
        result of the call is not lost.
        """
        try:
            if problem is None:
                self.limiter.on_success()
                return None
            if problem.code != "rate_limited" or "window" in problem.members:
                return problem  # not throttled, or by our own limits
            code, named = str(problem.members.get("skycore_code") or ""), problem.retry_after
            wait = self.limiter.on_throttled(self.limits, code or HTTP_429_IS_LIKE, named)
        except Exception as error:  # noqa: BLE001 - see above
            log.warning("limiter not updated", extra={"error": type(error).__name__})
            return problem
        # The pause for an HTTP 429 may be shorter than its Retry-After, which callers get.
        problem.retry_after = max(wait.retry_after_s, 0 if code else named or 0)
        problem.members["window"] = wait.window
        return problem


def rate_limited(window: WindowName, retry_after: int) -> Problem:
    """Return the problem of a call for which our own limits have no slot."""
    detail = f"the account's calls for this {window} are used up; nothing was sent"
    return Problem("rate_limited", detail, retry_after=retry_after, window=window)


def now_ms() -> int:
    """Return the time, in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def wait_until(slot_ms: int) -> None:
    """Sleep until a slot (milliseconds since 1970)."""
    ahead = slot_ms / 1000 - time.time()
    if ahead > 0:  # even a sleep of zero seconds yields the processor
        time.sleep(ahead)
