"""What the limiter knows: one small value for all windows, and its form as text."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence


type WindowName = Literal["second", "minute", "day"]

_NAMES: tuple[WindowName, ...] = ("second", "minute", "day")


@dataclass(frozen=True, slots=True)
class State:
    """All windows at one moment. Times are milliseconds since 1970, lanes microseconds.

    A lane's number is the first moment at which it has room for a call; see `limits` for the
    lanes. `pause_until` holds everyone back, in the name of `pause_window`. `doubling_ms` is how
    long the last pause for a used-up quota was, 0 once a call succeeded.
    """

    now: int = 0
    shared_us: int = 0
    kept_us: int = 0
    bulk_us: int = 0
    minute: Buckets = ()
    day: Buckets = ()
    pause_until: int = 0
    pause_window: WindowName = "second"
    doubling_ms: int = 0


def encode(state: State) -> str:
    """The state as JSON, short (under 1 KB as a rule) and still readable for an operator."""
    base = state.now * 1000
    return json.dumps(
        {
            "now": state.now,
            "lanes": [lane - base for lane in (state.shared_us, state.kept_us, state.bulk_us)],
            "minute": _packed(state.minute),
            "day": _packed(state.day),
            "pause": [state.pause_until, _NAMES.index(state.pause_window), state.doubling_ms],
        },
        separators=(",", ":"),
    )


def decode(text: str) -> State:
    """What `encode` wrote. Raises ValueError or KeyError for anything else."""
    told = json.loads(text)
    base = told["now"] * 1000
    shared, kept, bulk = told["lanes"]
    until, window, doubling = told["pause"]
    return State(
        now=told["now"],
        shared_us=base + shared,
        kept_us=base + kept,
        bulk_us=base + bulk,
        minute=_unpacked(told["minute"]),
        day=_unpacked(told["day"]),
        pause_until=until,
        pause_window=_NAMES[window],
        doubling_ms=doubling,
    )


def _packed(buckets: Buckets) -> list[Any]:
    """The first bucket's number, then single and bulk calls by bucket."""
    if not buckets:
        return []
    first = buckets[0][0]
    singles = [0] * (buckets[-1][0] - first + 1)
    bulks = singles.copy()
    for number, single, bulk in buckets:
        singles[number - first] = single
        bulks[number - first] = bulk
    return [first, _zeros_counted(singles), _zeros_counted(bulks)]


def _unpacked(packed: Sequence[Any]) -> Buckets:
    if not packed:
        return ()
    first, singles, bulks = packed
    pairs = zip(_zeros_written(singles), _zeros_written(bulks), strict=True)
    return tuple(
        (number, single, bulk)
        for number, (single, bulk) in enumerate(pairs, first)
        if single or bulk
    )


def _zeros_counted(counts: Sequence[int]) -> list[int]:
    """Runs of zeros as one negative number: 5 0 0 0 2 is 5 -3 2."""
    short: list[int] = []
    for count in counts:
        if count:
            short.append(count)
        elif short and short[-1] < 0:
            short[-1] -= 1
        else:
            short.append(-1)
    return short


def _zeros_written(short: Sequence[int]) -> list[int]:
    counts: list[int] = []
    for count in short:
        counts.extend([count] if count > 0 else [0] * -count)
    return counts


LATE_MS = 1_000  # from a slot to the call's arrival at Skycore
SKEW_MS = 100  # between the clocks of any two copies
GUARD_MS = LATE_MS + SKEW_MS

type Bucket = tuple[int, int, int]  # number of the bucket, single calls, bulk calls
type Buckets = tuple[Bucket, ...]  # by rising number; empty ones are left out


@dataclass(frozen=True, slots=True)
class Window:
    """A window's length and the width of its buckets, in milliseconds."""

    length_ms: int
    width_ms: int

    def free_at(self, number: int) -> int:
        """When a bucket's calls no longer count."""
        return (number + 1) * self.width_ms + self.length_ms + GUARD_MS


MINUTE = Window(60_000, 1_000)
DAY = Window(86_400_000, 900_000)


def pruned(window: Window, buckets: Buckets, now: int) -> Buckets:
    """Without the buckets that no longer count at `now` (milliseconds)."""
    first = 0
    while first < len(buckets) and window.free_at(buckets[first][0]) <= now:
        first += 1
    return buckets[first:] if first else buckets


def added(window: Window, buckets: Buckets, slot: int, *, bulk: bool) -> Buckets:
    """With one more call, whose slot is at `slot` (milliseconds)."""
    number = slot // window.width_ms
    at = len(buckets)
    while at and buckets[at - 1][0] >= number:
        at -= 1
    single, bulked = (0, 1) if bulk else (1, 0)
    if at < len(buckets) and buckets[at][0] == number:
        _, old_single, old_bulk = buckets[at]
        changed = (number, old_single + single, old_bulk + bulked)
        return (*buckets[:at], changed, *buckets[at + 1 :])
    return (*buckets[:at], (number, single, bulked), *buckets[at:])


def used(buckets: Buckets) -> int:
    """The calls of all buckets."""
    return sum(single + bulk for _, single, bulk in buckets)


def free_from(
    window: Window, buckets: Buckets, now: int, most: int, most_bulk: int | None = None
) -> int:
    """The first moment from `now` on (milliseconds) at which one more call fits.

    At most `most` calls (1 or more) are in any window and, if `most_bulk` is given, at most so
    many of them bulk calls. Calls with later slots count as well: they may share a window with
    this one. So what fits at a moment fits at every later one.
    """
    total, bulk, moment = used(buckets), 0, now
    if most_bulk is not None:
        bulk = sum(bucket[2] for bucket in buckets)
    for number, single, bulked in buckets:
        free_at = window.free_at(number)
        if free_at > moment:
            if total < most and (most_bulk is None or bulk < most_bulk):
                break
            moment = free_at
        total -= single + bulked
        bulk -= bulked
    return moment
