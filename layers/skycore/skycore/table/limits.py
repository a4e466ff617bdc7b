"""The account's limits of calls per second, minute and day, and what a caller may take of them.

All of it is arithmetic on the limiter's item. `plan` returns when to come again, or a `Take`:
slots, and the one update that takes them. It adds to numbers, on the condition that each lies in a
range. So several callers who plan from the same item can all succeed; one whose condition fails
plans again from the item as it is then.

Times are milliseconds since 1970, lanes microseconds. A slot is the moment, now or soon, from which
a call may be made. docs/limits.md explains the algorithm.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from pynamodb.expressions.operand import Path

if TYPE_CHECKING:
    from collections.abc import Sequence

type WindowName = Literal["second", "minute", "day"]
type Item = dict[str, Any]  # the limiter's item, see limiter.new_item

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
PASSED_MS = 10  # that a busy lane may lie in the past: a quarter of the reserve that PACE leaves
MAX_WAIT_MS = 60_000  # that a slot may lie ahead: else two buckets might end in the same two digits
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
            raise ValueError("a limit must be 0 (none) or more")
        if not 0 <= self.priority_share < 100:
            raise ValueError("PriorityShare must be 0 to 99 percent")

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

    So a call in bucket b shares no window with one in bucket b + span + 1. The guard covers calls
    that arrive up to LATE_MS after their slots, and clocks that differ by SKEW_MS.
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


@dataclass(slots=True)
class Take:
    """Slots (microseconds), and the update of the item that takes them, with its conditions.

    The slots lie later by as much as other callers move `lane` on before the update, which would
    otherwise leave it at `free`.
    """

    slots_us: list[int] = field(default_factory=list)
    actions: list[Any] = field(default_factory=list)
    conditions: list[Any] = field(default_factory=list)
    lane: str | None = None
    free: int = 0

    def slots_ms(self, after: Item) -> tuple[int, ...]:
        """Return the slots once the update has made the item what it is `after`."""
        moved = after[self.lane] - self.free if self.lane else 0
        return tuple(_up_to_ms(slot + moved) for slot in self.slots_us)


def plan(
    item: Item,
    now: int,
    limits: Limits,
    *,
    count: int = 1,
    bulk: bool = False,
    longest_wait_ms: int = 0,
) -> Take | Wait:
    """Plan to take up to `count` calls, each from all of its windows at once.

    A Take has as many calls, at least one, as have a slot within `longest_wait_ms` of `now`. While
    bulk calls have used up their part of a minute or day they get no slots ahead: single calls
    would have to queue behind those.
    """
    if count < 1 or not 0 <= longest_wait_ms <= MAX_WAIT_MS:
        raise ValueError("take at least one call, and look a minute ahead at most")
    windows = limits.windows(bulk=bulk)
    opens, reason = _opens(item, now, windows)
    latest = now + longest_wait_ms
    if bulk and limits.per_second and not limits.lanes["kept"]:
        # Without a lane of its own a single call must still find a slot soon enough.
        latest = min(latest, opens + SINGLE_WAIT_MS - limits.spacing_us(limits.per_second) // 2_000)
    if bulk and opens > _opens(item, now, limits.windows(bulk=False))[0]:
        latest = now - 1  # so that every slot is too late
    count = min(count, *(most - window.used(item, opens) for window, most in windows))
    take = Take(conditions=[Path("pause.until_ms") <= opens])
    if limits.per_second:
        start = opens * 1000
        # A lane is busy while it lies ahead, or has just passed. An idle one begins at `start`.
        busy_from = start - PASSED_MS * 1000 if opens == now else start
        _move_lanes(take, item, limits, busy_from, start, end=latest * 1000, count=count, bulk=bulk)
    else:
        take.slots_us = [opens * 1000] * count
    slots = [max(opens, _up_to_ms(slot)) for slot in take.slots_us]
    if slots[0] > latest:
        reason = "second" if slots[0] > opens else reason
        return Wait(slots[0], reason, max(1, -(-(slots[0] - now) // 1000)))
    for window, most in windows:
        _count(take, item, window, most, now=now, slots=slots)
    return take


def _opens(item: Item, now: int, windows: Sequence[tuple[Window, int]]) -> tuple[int, WindowName]:
    """Return the first moment that no pause or window blocks, and which of them blocked last."""
    moment = max(now, *(item[one.attribute]["at"] * one.width_ms for one, _ in windows))
    reason: WindowName = "second"
    if item["pause"]["until_ms"] > moment:
        moment, reason = item["pause"]["until_ms"], item["pause"]["window"]
    for window, most in windows:
        free = window.opens_at(item, moment, most)
        if free > moment:
            moment, reason = free, window.name
    return moment, reason


def _move_lanes(
    take: Take,
    item: Item,
    limits: Limits,
    busy_from: int,
    start: int,
    *,
    end: int,
    count: int,
    bulk: bool,
) -> None:
    """Take up to `count` slots, at least one and otherwise none after `end`: move a lane on.

    All times are microseconds.
    """
    first = {lane: item[lane] if item[lane] >= busy_from else start for lane in limits.lanes}
    lane = "shared"
    if not bulk and limits.lanes["kept"] and first["kept"] <= first["shared"]:
        lane = "kept"
    spacing = limits.spacing_us(limits.lanes[lane])
    # Bulk calls keep a pace of their own, too: from where each was due, so that they catch up what
    # single calls delayed.
    bulk_spacing = limits.spacing_us(limits.per_second, 100 - limits.priority_share)
    due = max(item["bulk"], busy_from) if bulk else 0
    free = first[lane]
    for _ in range(count):
        slot = max(free, due)
        if take.slots_us and slot > end:
            break
        take.slots_us.append(slot)
        free, due = slot + spacing, due + bulk_spacing
    path, first_slot = Path(lane), take.slots_us[0]
    take.lane, take.free = lane, free
    if bulk:
        take.conditions.append(Path("bulk") == item["bulk"])
        take.actions.append(Path("bulk").set(due))
    if first_slot > item[lane]:  # the lane is idle, or bulk calls must not use it yet
        take.conditions.append(path <= first_slot)
        take.actions.append(path.set(free))
        return
    # Others may move the lane on meanwhile: so far that each slot stays in its bucket.
    limited = [window for window, most in limits.windows(bulk=False) if most < NO_LIMIT]
    room = [window.left_in_bucket(slot) for window in limited for slot in take.slots_us]
    slack = min([end - take.slots_us[-1], *room])
    take.conditions.append(path.between(first_slot, first_slot + slack))
    take.actions.append(path.set(path + (free - first_slot)))


def _count(
    take: Take, item: Item, window: Window, most: int, *, now: int, slots: Sequence[int]
) -> None:
    """Count calls with these slots (milliseconds) in a window.

    The first call in a new bucket moves the window on: it drops the buckets that no longer count.
    """
    path, held = Path(window.attribute), item[window.attribute]
    added = Counter(bucket_key(slot // window.width_ms) for slot in slots)
    take.conditions.append(path["at"] == held["at"])
    at = now // window.width_ms
    if at > held["at"]:
        # Until a window moves on, `n` only grows: an equal `n` means that nothing has changed.
        take.conditions.append(path["n"] == held["n"])
        recent = {bucket_key(b): n for b, n in window.buckets(item) if b >= at - window.span}
        counts = dict(added + Counter(recent))
        take.actions.append(path.set({"at": at, "n": sum(counts.values()), "counts": counts}))
        return
    # What shares no window with the first slot makes room, although it is still counted.
    expired = held["n"] - window.used(item, slots[0])
    take.conditions.append(path["n"].between(0, most - len(slots) + expired))
    take.actions.append(path["n"].set(path["n"] + len(slots)))
    for key, calls in added.items():
        count = path["counts"][key]
        take.actions.append(count.set((count | 0) + calls))


def _up_to_ms(microseconds: int) -> int:
    return -(-microseconds // 1000)
