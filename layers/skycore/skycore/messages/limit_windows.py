"""Rolling windows of calls, counted in buckets: how many fit at a moment, and when one more does.

A call is counted by its slot: the moment from which it may be made, by the clock of the copy that
makes it. It reaches Skycore later: by the time it travels and by the difference of two clocks, at
most GUARD_MS together. A bucket therefore keeps its calls until a whole window and the guard have
passed since its end; then any call made is outside every window that one of its calls is in.
"""

from __future__ import annotations

from dataclasses import dataclass

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
