"""What a caller may take from the limiter's item now: a pure function of the item.

`plan` returns when to come again, or a `Take`: slots, and the one update that takes them. It adds
to numbers, on the condition that each lies in a range. So several callers who plan from the same
item can all succeed; one whose condition fails plans again from the item as it is then.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pynamodb.expressions.operand import Path

from skycore.table.limits import NO_LIMIT, SINGLE_WAIT_MS, Wait, bucket_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from skycore.table.limits import Item, Limits, Window, WindowName

PASSED_MS = 10  # that a busy lane may lie in the past: a quarter of the reserve that PACE leaves
MAX_WAIT_MS = 60_000  # that a slot may lie ahead: else two buckets might end in the same two digits


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
        latest = now - 1
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
    """Return the first moment at which no pause and no window is in the way, and what was last."""
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
