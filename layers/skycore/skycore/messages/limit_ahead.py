"""Slots laid out ahead: single calls are drawn one by one from a list that one writer made.

Of many processes that each write the whole state at once, all but one lose. So one that lost lays
out the next slots beside the state that it writes, and whoever comes takes the first of them
without having to know the state.

The slots are those that `limits.take` gives one call after the other, and the state beside them
counts them all as taken: a release that knows no lists may then grant too little, never too much.
Who knows them gives back what nobody drew.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from skycore.messages.limit_windows import DAY, MINUTE
from skycore.messages.limits import Granted, Limits, take

if TYPE_CHECKING:
    from collections.abc import Sequence

    from skycore.messages.limit_state import State
    from skycore.messages.limit_windows import Buckets, Window

LONGEST = 32  # slots in a list, and no more than are due in two seconds: the item stays small
FURTHER_MS = 1_000  # slots that lie further ahead than anyone waits yet are laid out too
SHORTEST_MS = 50  # a list that ends sooner has passed before others hear of it
SHARED, KEPT = "s", "k"  # the lane of a slot


@dataclass(frozen=True, slots=True)
class Ahead:
    """A list as it was made: its slots (milliseconds) and the lane of each, and by which limits."""

    slots: tuple[int, ...]
    lanes: str
    limits: Limits


def laid_out(
    state: State, now: int, limits: Limits, longest_wait_ms: int
) -> tuple[State, Ahead] | None:
    """The slots that the next single calls would be given, and the state once all are taken.

    None where a list is of no use: no limit spaces the calls, or there are hardly any.
    """
    slots: list[int] = []
    lanes = ""
    while len(slots) < min(LONGEST, 2 * limits.per_second):
        after, result = take(state, now, limits, longest_wait_ms=longest_wait_ms + FURTHER_MS)
        if not isinstance(result, Granted):
            break
        slots += result.slots_ms
        # Every single call moves one lane on; where none was free yet, both say at least `now`.
        lanes += KEPT if after.kept_us > max(state.kept_us, after.now * 1000) else SHARED
        state = after
    if not slots or slots[-1] < now + SHORTEST_MS:
        return None
    return state, Ahead(tuple(slots), lanes, limits)


def given_back(state: State, left: Sequence[int], lanes: str) -> State:
    """The state without the slots that are `left` of a list, the last of those with `lanes`."""
    if not left:
        return state
    free: dict[str, int] = {}
    for slot, lane in zip(left, lanes[-len(left) :], strict=True):
        free.setdefault(lane, slot * 1000)
    return replace(
        state,
        shared_us=free.get(SHARED, state.shared_us),
        kept_us=free.get(KEPT, state.kept_us),
        minute=_without(MINUTE, state.minute, left),
        day=_without(DAY, state.day, left),
    )


def name_of(limits: Limits) -> str:
    """What a list made by these limits is known by."""
    every = (limits.per_second, limits.per_minute, limits.per_day, limits.priority_share)
    return f"{','.join(map(str, every))};"


def _without(window: Window, buckets: Buckets, slots: Sequence[int]) -> Buckets:
    fewer = Counter(slot // window.width_ms for slot in slots)
    changed = ((number, single - fewer[number], bulk) for number, single, bulk in buckets)
    return tuple(bucket for bucket in changed if bucket[1] or bucket[2])
