"""The limiter: who takes a call writes its one item, on the condition that nobody did since.

A call costs one conditional write as long as this process was the last to write. A write that
another was quicker than brings back what that one wrote, and is tried again from there; and it
lays out the next slots in a list, from which many can draw without seeing each other's writes.
Processes share nothing but the item, so what it says holds for the whole account.
"""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

from skycore.logs import log
from skycore.table import limiter_item
from skycore.table import limits as rules
from skycore.table.limits import Granted, Limits, Remaining, Wait

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from skycore.table.limit_state import State, WindowName
    from skycore.table.limiter_item import Ahead, Seen

TRIES = 40  # of a write, and no more after TRYING_MS
TRYING_MS = 2_000
FIRST_BACKOFF_S = 0.004  # doubles up to LONGEST_BACKOFF_S; the wait is random below it
LONGEST_BACKOFF_S = 0.1
PAUSE_KNOWN_FOR_MS = 5_000  # without limits the item is read for pauses only, at most so often
BEATEN = "the limiter's item was always written by another; try again"
PASSED_MS = 10  # that a slot may be drawn late: a quarter of the reserve that PACE leaves
CROWDED_MS = 10_000  # after another was quicker, so long slots are laid out in a list


class Limiter:
    """One process's side of the limiter. It remembers the item as it last saw it.

    Threads may share it: each works from one `Seen` and writes only in place of that one.
    """

    def __init__(
        self,
        clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._seen = limiter_item.NOTHING
        self._seen_at = 0  # milliseconds; 0: never
        self._beaten_at = 0  # when another was quicker to write

    def take(
        self, limits: Limits, *, count: int = 1, bulk: bool = False, longest_wait_ms: int = 0
    ) -> Granted | Wait:
        """Takes up to `count` calls: the slots of at least one, or when to ask again.

        The caller sleeps until a slot and makes its call then, at most USABLE_MS late. Slots lie
        at most `longest_wait_ms` ahead. What is taken and not used is lost for its window.
        Raises botocore's errors (ClientError for what DynamoDB refuses).
        """

        def taken(seen: Seen) -> tuple[State, Granted | Wait]:
            return rules.take(
                seen.state,
                self._clock(),
                limits,
                count=count,
                bulk=bulk,
                longest_wait_ms=longest_wait_ms,
            )

        if not limits.any:
            if not 0 <= self._clock() - self._seen_at < PAUSE_KNOWN_FOR_MS:
                self._read(consistent=False)
            return taken(self._seen)[1]
        for_singles = (limits, longest_wait_ms) if count == 1 and not bulk else None
        fresh, may_draw = False, bool(for_singles)
        for _ in self._rounds():
            granted = None
            if isinstance(result := taken(self._seen)[1], Wait):
                if fresh:
                    return result
                # What is remembered may be old, and the moment told would be too early.
                self._read(consistent=True)
            elif may_draw and self._may_have_slots():
                granted, may_draw = self._draw(limits, longest_wait_ms), False
            else:
                granted = self._take_whole(taken, for_singles)
                may_draw = bool(for_singles)  # the other may have laid out a list
            if granted:
                return granted
            fresh = True
        log.warning("limiter: the item was always written by another")
        return Wait(self._clock() + 1000, "second", 1)

    def teach(self, limits: Limits, code: str, retry_after_s: int | None) -> Wait:
        """Makes everyone pause after Skycore refused with E106, E113 or E120.

        Returns when the next call may be made, and because of which window. Raises as `take`.
        """
        if not self._change(lambda state, now: rules.taught(state, now, code, retry_after_s)):
            log.warning("limiter: not taught, the item was always written by another")
        now = self._clock()
        _, result = rules.take(self._seen.state, now, limits)
        return result if isinstance(result, Wait) else Wait(now + 1000, "second", 1)

    def succeeded(self) -> None:
        """Notes that Skycore took a call, which ends the doubling of pauses. Raises as `take`.

        Writes only if this process knows of such pauses, so it may be called after every call.
        """
        self._change(rules.succeeded)

    def percent_left(self, limits: Limits) -> dict[WindowName, float]:
        """What is left of each limit there is, as this process last saw it; asks nobody."""
        return rules.percent_left(self._seen.state, self._clock(), limits) if limits.any else {}

    def hold(self, milliseconds: int) -> int:
        """Makes everyone pause for so long; until when (milliseconds since 1970). Calls go on.

        Without limits others hear of it within PAUSE_KNOWN_FOR_MS. Raises as `take`, and
        TimeoutError if others were always quicker to write.
        """
        until = self._clock() + milliseconds
        self._read(consistent=True)
        if not self._change(lambda state, now: rules.held(state, now, until)):
            raise TimeoutError(BEATEN)
        return until

    def let_go(self, until: int) -> None:
        """Ends the pause of `hold` that lasts `until`. Raises as `hold`."""
        self._read(consistent=True)
        if not self._change(lambda state, now: rules.let_go(state, now, until)):
            raise TimeoutError(BEATEN)

    def _change(self, change: Callable[[State, int], State]) -> bool:
        """Writes what `change` makes of a state at a time; False if others were always quicker."""
        for _ in self._rounds():
            seen = self._seen
            state = change(seen.state, self._clock())
            if state is not seen.state and seen.left is not None:
                seen = self._closed()
                state = change(seen.state, self._clock())
            if state is seen.state or self._write(state, seen):
                return True
        return False

    def allowance(self, limits: Limits) -> Remaining:
        """The calls that are left in each window, for metrics. Raises as `take`."""
        self._read(consistent=False)
        return rules.remaining(self._seen.state, self._clock(), limits)

    def _rounds(self) -> Iterator[None]:
        """Tries of a write, with random waits between them, while there is time."""
        end = self._clock() + TRYING_MS
        longest = FIRST_BACKOFF_S
        for _ in range(TRIES):
            yield
            if self._clock() > end:
                return
            self._sleep(random.uniform(0, longest))  # noqa: S311 - jitter, not a secret
            longest = min(2 * longest, LONGEST_BACKOFF_S)

    def _take_whole(
        self,
        taken: Callable[[Seen], tuple[State, Granted | Wait]],
        for_singles: tuple[Limits, int] | None,
    ) -> Granted | None:
        """Takes calls by writing the whole state; None if that was in vain."""
        seen = self._seen if for_singles else self._closed()
        state, result = taken(seen)
        if isinstance(result, Granted) and self._write(state, seen, for_singles):
            return self._in_time(result.slots_ms)
        return None

    def _write(
        self, state: State, seen: Seen, for_singles: tuple[Limits, int] | None = None
    ) -> bool:
        """Puts `state` in place of `seen`, which it was made from; False if that is gone.

        For single calls it is told their limits and longest wait, and lays out a list where many
        callers meet: another was quicker lately, or the last list was used up.
        """
        now = self._clock()
        ahead: Ahead | None = None
        if for_singles and (seen.left == () or now - self._beaten_at < CROWDED_MS):
            state, ahead = limiter_item.laid_out(state, now, *for_singles) or (state, None)
        done, there = limiter_item.write(state, seen, ahead)
        if not done:
            self._beaten_at = self._clock()
        self._see(there)
        return done

    def _may_have_slots(self) -> bool:
        """Whether there may be a slot to draw: a list that is used up may have a successor."""
        left = self._seen.left
        return left == () or bool(left and self._clock() - left[-1] < CROWDED_MS)

    def _draw(self, limits: Limits, longest_wait_ms: int) -> Granted | None:
        """The next slot of the list, None if it has none that lies near enough."""
        now = self._clock()
        slot, there = limiter_item.draw(limits, now - PASSED_MS, now + longest_wait_ms)
        self._see(there)
        return None if slot is None else self._in_time((slot,))

    def _closed(self) -> Seen:
        """The item, from whose list nobody draws while it is written."""
        if self._seen.left is not None:
            self._see(limiter_item.close())
        return self._seen

    def _in_time(self, slots_ms: tuple[int, ...]) -> Granted | None:
        """Those of the slots that a call can still be made with, None if there is none."""
        now = self._clock()
        usable = tuple(slot for slot in slots_ms if rules.usable(slot, now))
        return Granted(usable) if usable else None

    def _read(self, *, consistent: bool) -> None:
        self._see(limiter_item.read(consistent=consistent))

    def _see(self, seen: Seen) -> None:
        self._seen = seen
        self._seen_at = self._clock()


_limiter = Limiter()
take = _limiter.take
teach = _limiter.teach
succeeded = _limiter.succeeded
allowance = _limiter.allowance
