"""What a caller may take from the limiter's item now: a pure function of the item.

`plan` returns when to come again, or a `Take`: slots, and the one write that takes them. The write
adds to numbers, on the condition that each lies in a range. So several callers who plan from the
same item can all succeed; one whose condition fails plans again from the item as it is then.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from skycore.table.limits import NO_LIMIT, SINGLE_WAIT_MS, WINDOWS, Wait, bucket_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from skycore.table.limits import Item, Limits, Window, WindowName

PASSED_MS = 10  # that a busy lane may lie in the past: a quarter of the reserve that PACE leaves
MAX_WAIT_MS = 60_000  # that a slot may lie ahead: else two buckets might end in the same two digits


@dataclass(slots=True)
class Write:
    """An update of some of the item's numbers and its condition, as DynamoDB takes them."""

    sets: list[str] = field(default_factory=list)
    removes: list[str] = field(default_factory=list)
    conditions: list[str] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)

    def between(self, path: str, low: int, high: int) -> None:
        """Require a number to lie between these, inclusive."""
        self.conditions.append(
            f"{self._path(path)} BETWEEN {self._value(low)} AND {self._value(high)}"
        )

    def equals(self, path: str, value: Any) -> None:
        """Require a value."""
        self.conditions.append(f"{self._path(path)} = {self._value(value)}")

    def set(self, path: str, value: Any) -> None:
        """Set a value."""
        self.sets.append(f"{self._path(path)} = {self._value(value)}")

    def set_new(self, path: str, value: Any) -> None:
        """Set a value where there is none."""
        name = self._path(path)
        self.sets.append(f"{name} = if_not_exists({name}, {self._value(value)})")

    def add(self, path: str, number: int) -> None:
        """Add to a number, which counts as 0 if it is not there."""
        name = self._path(path)
        zero, added = self._value(0), self._value(number)
        self.sets.append(f"{name} = if_not_exists({name}, {zero}) + {added}")

    def remove(self, path: str) -> None:
        """Remove a number."""
        self.removes.append(self._path(path))

    def expressions(self) -> tuple[str, str]:
        """Return the update and its condition."""
        removes = f" REMOVE {', '.join(self.removes)}" if self.removes else ""
        return f"SET {', '.join(self.sets)}{removes}", " AND ".join(self.conditions)

    def _path(self, path: str) -> str:
        # Short aliases: after a quiet day a hundred buckets are removed, and 4 KB are allowed.
        return ".".join(
            self.names.setdefault(name, f"#n{len(self.names)}") for name in path.split(".")
        )

    def _value(self, value: Any) -> str:
        self.values[name := f":v{len(self.values)}"] = value
        return name


@dataclass(frozen=True, slots=True)
class Take:
    """Slots (microseconds), and the write that takes them.

    If `lane` is given, the slots lie later by as much as others move it on before the write, which
    moves it on by `step`.
    """

    slots_us: tuple[int, ...]
    write: Write
    lane: Literal["shared", "kept"] | None
    step: int

    def slots_ms(self, after: Item) -> tuple[int, ...]:
        """Return the slots once the write has made the item what it is `after`."""
        moved = after[self.lane] - self.step - self.slots_us[0] if self.lane else 0
        return tuple(_up_to_ms(slot + moved) for slot in self.slots_us)


def plan(
    item: Item,
    now: int,
    limits: Limits,
    *,
    count: int = 1,
    bulk: bool = False,
    longest_wait_ms: int = 0,
    lead_ms: int = 0,
) -> Take | Wait:
    """Plan to take up to `count` calls, each from all three windows at once.

    A Take has as many calls, at least one, as have a slot within `longest_wait_ms` of `now`. While
    bulk calls have used up their part of a minute or day they get no slots ahead: single calls
    would have to queue behind those. An idle lane starts `lead_ms` from now: after a failed write,
    so that others who want to start it find it busy, and can all move it on.
    """
    if count < 1 or not 0 <= longest_wait_ms <= MAX_WAIT_MS:
        raise ValueError("take at least one call, and look a minute ahead at most")
    opens, window = _opens(item, now, limits, bulk=bulk)
    latest = now + longest_wait_ms
    if bulk and limits.per_second and not limits.lanes[1]:
        # Without a lane of its own a single call must still find a slot soon enough.
        latest = min(latest, opens + SINGLE_WAIT_MS - limits.spacing_us(limits.per_second) // 2_000)
    if bulk and opens > _opens(item, now, limits, bulk=False)[0]:
        latest = now - 1
    for one in WINDOWS:
        room = zip(limits.max_calls(one), one.used(item, opens), strict=True)
        count = min(count, *(allowed - used for allowed, used in list(room)[: 1 + bulk]))
    write = Write()
    write.between("pause_until", 0, opens)
    earliest, end = opens * 1000, latest * 1000
    slots, lane, step = (earliest,) * max(1, count), None, 0
    if limits.per_second:
        # A lane is busy while it lies ahead, or has just passed. An idle one starts at `start`.
        busy_from = earliest - PASSED_MS * 1000 * (opens == now)
        start = max(earliest, min(earliest + lead_ms * 1000, end))
        slots, lane, step = _move_lanes(
            write, item, limits, busy_from=busy_from, start=start, end=end, count=count, bulk=bulk
        )
    first = _up_to_ms(slots[0])
    if first > latest:
        return Wait(first, "second" if first > opens else window, max(1, -(-(first - now) // 1000)))
    for one in WINDOWS:
        counted = [max(slot, earliest) for slot in slots]
        _count(write, item, one, limits, now=now, slots=counted, bulk=bulk)
    return Take(slots, write, lane, step)


def _opens(item: Item, now: int, limits: Limits, *, bulk: bool) -> tuple[int, WindowName]:
    """Return the first moment at which no pause and neither minute nor day is in the way."""
    moment = max(now, *(item[one.attribute]["at"] * one.width_ms for one in WINDOWS))
    name: WindowName = "second"
    if item["pause_until"] > moment:
        moment, name = item["pause_until"], item["pause_kind"]
    for one in WINDOWS:
        max_calls, max_bulk = limits.max_calls(one)
        free = one.opens_at(item, moment, max_calls, max_bulk if bulk else NO_LIMIT)
        if free > moment:
            moment, name = free, one.name
    return moment, name


def _move_lanes(
    write: Write,
    item: Item,
    limits: Limits,
    *,
    busy_from: int,
    start: int,
    end: int,
    count: int,
    bulk: bool,
) -> tuple[tuple[int, ...], Literal["shared", "kept"] | None, int]:
    """Move the lanes on by `count` slots, fewer if `end` comes first, but at least one.

    Return the slots, and the lane and step as in `Take`. All times are microseconds.
    """

    def first(lane: str) -> int:
        return item[lane] if item[lane] >= busy_from else start

    lane: Literal["shared", "kept"] = "shared"
    calls, reserved = limits.lanes
    if not bulk and reserved and first("kept") <= first("shared"):
        lane, calls = "kept", reserved
    free, own, slots = first(lane), max(item["bulk"], busy_from), list[int]()
    while not slots or len(slots) < count:
        slot = max(free, own) if bulk else free
        if slots and slot > end:
            break
        slots.append(slot)
        free = slot + limits.spacing_us(calls)
        # From where it was due: bulk calls catch up what single calls delayed.
        own += limits.spacing_us(limits.per_second, 100 - limits.priority_share)
    if bulk:
        write.equals("bulk", item["bulk"])
        write.set("bulk", own)
    if slots[0] > item[lane]:  # the lane is idle, or bulk calls must not use it yet
        write.between(lane, 0, slots[0])
        write.set(lane, free)
        return tuple(slots), None, 0
    # Others may move the lane on meanwhile: so far that each slot stays in its bucket.
    slack = end - slots[-1]
    for window in WINDOWS:
        if limits.max_calls(window)[0] < NO_LIMIT:
            slack = min(slack, *(_left_in_bucket(slot, window) for slot in slots))
    write.between(lane, slots[0], slots[0] + slack)
    write.add(lane, free - slots[0])
    return tuple(slots), lane, free - slots[0]


def _count(
    write: Write,
    item: Item,
    window: Window,
    limits: Limits,
    *,
    now: int,
    slots: Sequence[int],
    bulk: bool,
) -> None:
    """Count calls with these slots in a window, and drop the buckets that no longer count."""
    name, held = window.attribute, item[window.attribute]
    added = Counter(_bucket(slot, window) for slot in slots)
    moved_to = max(held["at"], now // window.width_ms)
    expired = [bucket for bucket in window.buckets(item) if bucket[0] < moved_to - window.span]
    # No call is counted in a bucket before `at`, so what is dropped is known exactly, unless
    # the window moves on by nearly its whole length at once.
    grows = min(added) - window.span > held["at"]
    near = window.used(item, min(added) * window.width_ms)
    totals = (("n", "counts", True), ("bulk", "bulk_counts", bulk))
    write.equals(f"{name}.at", held["at"])
    write.set(f"{name}.at", moved_to)
    for place, (total, counts, ours) in enumerate(totals):
        if grows:
            write.equals(f"{name}.{total}", held[total])
        elif ours:
            # What shares no window with the first slot makes room, whether dropped yet or not.
            room = limits.max_calls(window)[place] - len(slots) + held[total] - near[place]
            write.between(f"{name}.{total}", 0, room)
        if change := len(slots) * ours - sum(one[1 + place] for one in expired):
            write.add(f"{name}.{total}", change)
        old = {bucket_key(one[0]) for one in expired if one[1 + place]}
        new = {bucket_key(bucket): calls for bucket, calls in added.items() if ours}
        for key, calls in new.items():
            (write.set if key in old else write.add)(f"{name}.{counts}.{key}", calls)
        for key in sorted(old - new.keys()):
            write.remove(f"{name}.{counts}.{key}")


def _left_in_bucket(slot_us: int, window: Window) -> int:
    return 1000 * ((_bucket(slot_us, window) + 1) * window.width_ms - 1) - slot_us


def _bucket(slot_us: int, window: Window) -> int:
    return _up_to_ms(slot_us) // window.width_ms


def _up_to_ms(microseconds: int) -> int:
    return -(-microseconds // 1000)
