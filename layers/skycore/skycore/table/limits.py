"""The account's limits of calls per second, minute and day: values and arithmetic.

Times are milliseconds since 1970, lanes microseconds. A slot is the moment, now or soon, from which
a call may be made. `limit_plan` decides who gets which slot; docs/limits.md explains the algorithm.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

type WindowName = Literal["second", "minute", "day"]
type Item = dict[str, Any]  # the limiter's item, see new_item

LATE_MS = 1_000  # from a slot to the call's arrival at Skycore, at most
SKEW_MS = 100  # between the clocks of any two execution environments, at most
USABLE_MS = LATE_MS // 2  # after its slot a call may start so late; the rest is for its way
# How far ahead a slot may lie. Queued messages look further ahead than single calls, so that a
# flood of single calls cannot keep them out of the lane that they share.
SINGLE_WAIT_MS = 2_000
BULK_WAIT_MS = 3_000
PACE = 96  # percent of the second's limit that the lanes hand out
RELAXED_PACE = 85  # the same, while a longer window decides how many calls there are in all
RELAXED_BELOW = 80  # percent of the second's limit that such a window lets through on average
MIN_PAUSE_MS = 1_000
MAX_PAUSE_MS = 900_000
NO_LIMIT = 10**12  # calls


@dataclass(frozen=True, slots=True)
class Limits:
    """Calls per second, minute and day (0: no limit), and the percent reserved for single calls."""

    per_second: int = 0
    per_minute: int = 0
    per_day: int = 0
    priority_share: int = 20

    def __post_init__(self) -> None:
        """Raise ValueError for a negative limit or a share that leaves nothing for bulk."""
        if min(self.per_second, self.per_minute, self.per_day) < 0:
            raise ValueError("a limit is 0 (none) or more")
        if not 0 <= self.priority_share < 100:
            raise ValueError("PriorityShare is 0 to 99 percent")

    @property
    def any(self) -> bool:
        """Whether there is a limit at all."""
        return bool(self.per_second or self.per_minute or self.per_day)

    @property
    def lanes(self) -> dict[str, int]:
        """Calls per second of the shared lane, and of the `kept` one, reserved for single calls."""
        reserved = self.per_second * self.priority_share // 100
        return {"shared": self.per_second - reserved, "kept": reserved}

    def windows(self, *, bulk: bool) -> list[tuple[Window, int]]:
        """Return the windows that a call is counted in, each with the most calls in it."""
        limits = (self.per_minute or NO_LIMIT, self.per_day or NO_LIMIT)
        windows = list(zip((MINUTE, DAY), limits, strict=True))
        if bulk:
            for window, limit in zip((BULK_MINUTE, BULK_DAY), limits, strict=True):
                windows.append((window, max(1, limit - -(-limit * self.priority_share // 100))))
        return windows

    def spacing_us(self, calls: int, percent: int = 100) -> int:
        """Return the microseconds between calls at `percent` of `calls` a second."""
        seldom = self.per_second * RELAXED_BELOW
        relaxed = (self.per_minute and self.per_minute * 100 <= seldom * 60) or (
            self.per_day and self.per_day * 100 <= seldom * 86_400
        )
        return -(-1_000_000 * 100 * 100 // (calls * percent * (RELAXED_PACE if relaxed else PACE)))


@dataclass(frozen=True, slots=True)
class Window:
    """A rolling window, counted in buckets. `span` buckets are as long as the window and the guard.

    So a call in bucket b shares no window with one in bucket b + span + 1, however late either
    arrives. The guard covers lateness and skew.
    """

    attribute: str  # of the item
    name: Literal["minute", "day"]
    length_ms: int
    span: int

    @property
    def width_ms(self) -> int:
        """The width of a bucket."""
        return -(-(self.length_ms + LATE_MS + SKEW_MS) // self.span)

    def left_in_bucket(self, slot_us: int) -> int:
        """Return the microseconds for which a slot may still move without leaving its bucket."""
        return 1000 * self.width_ms - 1 - (slot_us + 999) % (1000 * self.width_ms)

    def buckets(self, item: Item) -> list[tuple[int, int]]:
        """Return the item's buckets, oldest first: their numbers and calls."""
        held = item[self.attribute]
        oldest = held["at"] - self.span
        return sorted((oldest + (int(key) - oldest) % 100, n) for key, n in held["counts"].items())

    def used(self, item: Item, now: int) -> int:
        """Return the calls that may share a window with a call at `now`."""
        oldest = now // self.width_ms - self.span
        return sum(calls for bucket, calls in self.buckets(item) if bucket >= oldest)

    def opens_at(self, item: Item, now: int, most: int) -> int:
        """Return the first moment from `now` on at which one more call fits."""
        calls = self.used(item, now)
        for bucket, here in self.buckets(item):
            if calls < most:
                break
            leaves_at = (bucket + self.span + 1) * self.width_ms
            if leaves_at > now:
                calls, now = calls - here, leaves_at
        return now


# Every call is counted in the first two, a bulk call in all.
MINUTE = Window("last_minute", "minute", 60_000, 47)  # buckets of 1.3 s, 96.2% usable
DAY = Window("last_day", "day", 86_400_000, 48)  # buckets of 30 min, 98.0% usable
BULK_MINUTE = replace(MINUTE, attribute="bulk_minute")
BULK_DAY = replace(DAY, attribute="bulk_day")


def bucket_key(bucket: int) -> str:
    """Return the key of a bucket in the item: its last two digits, so that the item stays small."""
    return f"{bucket % 100:02}"


def new_item() -> Item:
    """Return the item as it is before the first call."""
    # at: the bucket that the window was moved on to; no slot lies before it
    # n: all calls that are counted; counts: the same by bucket
    windows = (MINUTE, DAY, BULK_MINUTE, BULK_DAY)
    return {
        **dict.fromkeys(("shared", "kept", "bulk"), 0),  # the first microsecond that is free
        **{window.attribute: {"at": 0, "n": 0, "counts": {}} for window in windows},
        "pause": asdict(Pause()),
        "kind": "limiter",
    }


@dataclass(frozen=True, slots=True)
class Pause:
    """Until when no call to Skycore may be made, and which window is the reason.

    `doubling_ms` is how long the last pause for a used-up quota was; 0 once a call has succeeded.
    """

    until_ms: int = 0
    window: WindowName = "second"
    doubling_ms: int = 0

    def throttled(self, now: int, code: str, retry_after_s: int | None) -> Pause:
        """Return the pause after Skycore refused a call with E106, E113 or E120.

        E106 (calls too close together) pauses for the seconds that its text names, else for one,
        and at most fifteen minutes; E113 (too many of one action) for one second. E120 (quota used
        up) does not say which window it means: its pause doubles from one second to fifteen minutes
        until a call succeeds. An E120 during such a pause belongs to a call made before it.
        """
        pause, doubling = MIN_PAUSE_MS, self.doubling_ms
        window: WindowName = "second"
        match code.strip().upper():
            case "E106":
                pause = min((retry_after_s or 1) * 1000, MAX_PAUSE_MS)
            case "E113":
                pass
            case "E120":
                if doubling and now < self.until_ms and self.window == "day":
                    return self
                pause = doubling = min(max(2 * doubling, MIN_PAUSE_MS), MAX_PAUSE_MS)
                window = "day"
            case _:
                return self
        if now + pause <= self.until_ms:
            return replace(self, doubling_ms=doubling)
        return Pause(now + pause, window, doubling)

    def succeeded(self, now: int) -> Pause:
        """Return the pause after a call that Skycore took: the next E120 starts small again.

        A success during a pause changes nothing: that call was made before the pause.
        """
        return self if now < self.until_ms else replace(self, doubling_ms=0)


@dataclass(frozen=True, slots=True)
class Wait:
    """No call may be made before `until_ms`, because of `window`."""

    until_ms: int
    window: WindowName
    retry_after_s: int


def usable(slot_ms: int, now: int) -> bool:
    """Return whether a call with this slot may still start; if not, it needs another slot."""
    return now <= slot_ms + USABLE_MS


def remaining(item: Item, now: int, limits: Limits) -> dict[WindowName, int]:
    """Return the calls left in the coming second, and in the minute and day, where limited."""
    left: dict[WindowName, int] = {}
    if limits.per_second:
        left["second"] = sum(
            max(0, calls + min(0, now * 1000 - item[lane]) // limits.spacing_us(calls))
            for lane, calls in limits.lanes.items()
            if calls
        )
    for window, most in limits.windows(bulk=False):
        if most < NO_LIMIT:
            left[window.name] = max(0, most - window.used(item, now))
    return left
