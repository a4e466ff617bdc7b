"""The account's limits of calls per second, minute and day, over rolling windows.

Pure rules: a state and a time in milliseconds go in, a state comes out. Whoever takes a call is
given its slot, a moment now or soon, and makes the call then, at most USABLE_MS late.

Minute and day are counted in buckets (`limit_windows`). The second is kept by spacing, in lanes:
PriorityShare of the calls, in whole ones, have a lane that is for single calls only; the others
share a lane, in which bulk calls are also spaced by themselves, so that they never use more than
what PriorityShare leaves. N calls of a lane take longer than a second, by the reserve that PACE
leaves for calls that travel at different speeds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from skycore.table.limit_state import (
    DAY,
    LATE_MS,
    MINUTE,
    Buckets,
    Window,
    added,
    free_from,
    pruned,
    used,
)

if TYPE_CHECKING:
    from skycore.table.limit_state import State, WindowName

# How far ahead a slot may lie. Bulk calls look further than single ones, so that neither kind can
# keep the other out of the lane that they share.
SINGLE_WAIT_MS = 2_000
BULK_WAIT_MS = 3_000
USABLE_MS = LATE_MS // 2  # after its slot a call may start so late; the rest is for its way
PACE = 96  # percent of the second's limit that the lanes hand out
RELAXED_PACE = 85  # the same, while a longer window decides how many calls there are in all
RELAXED_BELOW = 80  # percent of the second's limit that such a window lets through on average
SHORTEST_PAUSE_MS = 1_000
LONGEST_PAUSE_MS = 900_000

_MINUTE_S = 60
_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Limits:
    """Calls per second, minute and day (0 = no limit), and the percent kept for single calls."""

    per_second: int = 0
    per_minute: int = 0
    per_day: int = 0
    priority_share: int = 20

    def __post_init__(self) -> None:
        """Raises ValueError for a negative limit or a share that leaves nothing for bulk."""
        if min(self.per_second, self.per_minute, self.per_day) < 0:
            raise ValueError("a limit is 0 (none) or more")
        if not 0 <= self.priority_share < 100:
            raise ValueError("PriorityShare is 0 to 99 percent")

    @property
    def any(self) -> bool:
        """Whether there is a limit at all."""
        return bool(self.per_second or self.per_minute or self.per_day)


@dataclass(frozen=True, slots=True)
class Granted:
    """Call i may be made at `slots_ms[i]` (milliseconds since 1970), or up to USABLE_MS later."""

    slots_ms: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Wait:
    """No call may be made before `until_ms` (milliseconds since 1970), because of `window`."""

    until_ms: int
    window: WindowName
    retry_after_s: int


@dataclass(frozen=True, slots=True)
class Remaining:
    """Calls that could still be taken now, by window; None where there is no limit."""

    second: int | None
    minute: int | None
    day: int | None


def take(
    state: State,
    now: int,
    limits: Limits,
    *,
    count: int = 1,
    bulk: bool = False,
    longest_wait_ms: int = 0,
) -> tuple[State, Granted | Wait]:
    """Takes up to `count` calls, each from all three windows at once.

    Grants as many, at least one, as have a slot within `longest_wait_ms` of `now`. If not even
    one has, nothing is taken: the state comes back as it was, with when and why.

    While bulk calls have used their part of a minute or day, they are given no slots: single calls
    would have to queue behind those. Single callers wait SINGLE_WAIT_MS at most, bulk callers
    BULK_WAIT_MS.
    """
    if count < 1:
        raise ValueError("at least one call is taken")
    at = max(now, state.now)
    latest = now + longest_wait_ms
    longest_queue = longest_wait_ms
    if bulk and limits.per_second and not _lanes(limits)[1]:
        # With no lane of its own a single call must still find a slot soon enough.
        longest_queue = SINGLE_WAIT_MS - _spacing(limits, limits.per_second) // 2_000
    changed = replace(
        state,
        now=at,
        shared_us=max(state.shared_us, at * 1000),
        kept_us=max(state.kept_us, at * 1000),
        bulk_us=max(state.bulk_us, at * 1000),
        minute=pruned(MINUTE, state.minute, at),
        day=pruned(DAY, state.day, at),
    )
    slots: list[int] = []
    while len(slots) < count:
        open_from, window = _open_from(changed, limits, bulk=bulk)
        after, slot = _spaced(changed, limits, open_from, bulk=bulk)
        part_used_up = bulk and open_from > _open_from(changed, limits, bulk=False)[0]
        if slot > latest or slot > open_from + longest_queue or part_used_up:
            if slots:
                break
            if slot > open_from:
                window = "second"
            return state, Wait(slot, window, _seconds(slot - now))
        changed = replace(
            after,
            minute=added(MINUTE, after.minute, slot, bulk=bulk),
            day=added(DAY, after.day, slot, bulk=bulk),
        )
        slots.append(slot)
    return changed, Granted(tuple(slots))


def usable(slot_ms: int, now: int) -> bool:
    """Whether a call with this slot may still start; if not, another one must be taken."""
    return now <= slot_ms + USABLE_MS


def taught(state: State, now: int, code: str, retry_after_s: int | None) -> State:
    """After Skycore refused a call: everyone pauses. Other codes than these change nothing.

    E106 (calls too close together) pauses for the seconds that its text names, else for one, and
    at most fifteen minutes; E113 (too many of one action) for one second. E120 (quota used up)
    does not say which window it means: its pause doubles from one second to fifteen minutes until
    a call succeeds. An E120 that comes during such a pause is for a call made before it.
    """
    at = max(now, state.now)
    window: WindowName = "second"
    doubling = state.doubling_ms
    match code.strip().upper():
        case "E106":
            pause = min((retry_after_s or 1) * 1000, LONGEST_PAUSE_MS)
        case "E113":
            pause = SHORTEST_PAUSE_MS
        case "E120":
            if doubling and at < state.pause_until and state.pause_window == "day":
                return state
            pause = doubling = min(max(2 * doubling, SHORTEST_PAUSE_MS), LONGEST_PAUSE_MS)
            window = "day"
        case _:
            return state
    if at + pause <= state.pause_until:
        return replace(state, now=at, doubling_ms=doubling)
    return replace(state, now=at, pause_until=at + pause, pause_window=window, doubling_ms=doubling)


def succeeded(state: State, now: int) -> State:
    """After a call that Skycore took: the next pause for a used-up quota starts small again.

    During a pause it changes nothing: that call was made before it.
    """
    if not state.doubling_ms or max(now, state.now) < state.pause_until:
        return state
    return replace(state, doubling_ms=0)


def held(state: State, now: int, until: int) -> State:
    """Everyone pauses until then, because an operator wants it; a longer pause stays."""
    if until <= state.pause_until:
        return state
    return replace(state, now=max(now, state.now), pause_until=until, pause_window="second")


def let_go(state: State, now: int, until: int) -> State:
    """Ends the pause of `held` that lasts `until`; one that Skycore taught meanwhile stays."""
    if state.pause_until != until:
        return state
    at = max(now, state.now)
    return replace(state, now=at, pause_until=at)


def remaining(state: State, now: int, limits: Limits) -> Remaining:
    """The calls left in each window: the coming second, and the minute and day up to `now`."""
    at = max(now, state.now)

    def left(window: Window, buckets: Buckets, most: int) -> int | None:
        return max(0, most - used(pruned(window, buckets, at))) if most else None

    second: int | None = None
    if limits.per_second:
        second = 0
        for calls, lane in zip(_lanes(limits), (state.shared_us, state.kept_us), strict=True):
            if calls:
                taken = -(-max(0, lane - at * 1000) // _spacing(limits, calls))
                second += max(0, calls - taken)
    return Remaining(
        second,
        left(MINUTE, state.minute, limits.per_minute),
        left(DAY, state.day, limits.per_day),
    )


def percent_left(state: State, now: int, limits: Limits) -> dict[WindowName, float]:
    """What is left in each window that has a limit, in percent of the limit."""
    left = remaining(state, now, limits)
    windows: tuple[tuple[WindowName, int | None, int], ...] = (
        ("second", left.second, limits.per_second),
        ("minute", left.minute, limits.per_minute),
        ("day", left.day, limits.per_day),
    )
    return {name: 100 * calls / most for name, calls, most in windows if calls is not None}


def _open_from(state: State, limits: Limits, *, bulk: bool) -> tuple[int, WindowName]:
    """The first moment at which no pause and neither minute nor day is in the way."""
    moment: int = state.now
    window: WindowName = "second"
    if state.pause_until > moment:
        moment, window = state.pause_until, state.pause_window
    if limits.per_minute:
        most_bulk = _bulk_part(limits, limits.per_minute) if bulk else None
        free = free_from(MINUTE, state.minute, state.now, limits.per_minute, most_bulk)
        if free > moment:
            moment, window = free, "minute"
    if limits.per_day:
        most_bulk = _bulk_part(limits, limits.per_day) if bulk else None
        free = free_from(DAY, state.day, state.now, limits.per_day, most_bulk)
        if free > moment:
            moment, window = free, "day"
    return moment, window


def _spaced(state: State, limits: Limits, open_from: int, *, bulk: bool) -> tuple[State, int]:
    """The first slot from `open_from` on in a lane, and the state once it is taken."""
    if not limits.per_second:
        return state, open_from
    earliest = open_from * 1000
    shared, kept = _lanes(limits)
    if bulk:
        own = max(earliest, state.bulk_us)
        slot = max(own, state.shared_us)
        after = replace(
            state,
            shared_us=slot + _spacing(limits, shared),
            # From where it was due, not from where it was put: what single calls delayed is
            # caught up.
            bulk_us=own + _spacing(limits, limits.per_second, 100 - limits.priority_share),
        )
        return after, _up_to_ms(slot)
    in_shared = max(earliest, state.shared_us)
    in_kept = max(earliest, state.kept_us)
    if kept and in_kept <= in_shared:
        return replace(state, kept_us=in_kept + _spacing(limits, kept)), _up_to_ms(in_kept)
    return replace(state, shared_us=in_shared + _spacing(limits, shared)), _up_to_ms(in_shared)


def _lanes(limits: Limits) -> tuple[int, int]:
    """Calls per second of the shared lane and of the one kept for single calls."""
    kept = limits.per_second * limits.priority_share // 100
    return limits.per_second - kept, kept


def _spacing(limits: Limits, calls: int, percent: int = 100) -> int:
    """Microseconds from one call to the next at `percent` of `calls` a second."""
    seldom = limits.per_second * RELAXED_BELOW
    relaxed = (limits.per_minute and limits.per_minute * 100 <= seldom * _MINUTE_S) or (
        limits.per_day and limits.per_day * 100 <= seldom * _DAY_S
    )
    pace = RELAXED_PACE if relaxed else PACE
    return -(-1_000_000 * 100 * 100 // (calls * percent * pace))


def _bulk_part(limits: Limits, most: int) -> int:
    """What of a minute or day bulk calls may use: the kept part is rounded up, 1 is left."""
    kept = -(-most * limits.priority_share // 100)
    return max(1, most - kept)


def _up_to_ms(microseconds: int) -> int:
    return -(-microseconds // 1000)


def _seconds(milliseconds: int) -> int:
    return max(1, -(-milliseconds // 1000))
