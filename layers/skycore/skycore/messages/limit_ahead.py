"""Slots laid out ahead: single calls are drawn one by one from a list that one writer made.

Of many processes that each write the whole state at once, all but one lose. So one that lost lays
out the next slots beside the state that it writes, and whoever comes takes the first of them
without having to know the state.

The list holds what `limits.take` gives one call after the other, at the moment at which it was
made. What was drawn is therefore known by how many are left, and is counted when the state is
written next; what nobody drew was never taken.
"""

from __future__ import annotations

import json
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING

from skycore.messages.limits import Granted, Limits, take

if TYPE_CHECKING:
    from skycore.messages.limit_state import State

LONGEST = 32  # slots in a list, and no more than are due in two seconds: the item stays small
FURTHER_MS = 1_000  # slots that lie further ahead than anyone waits yet are laid out too


@dataclass(frozen=True, slots=True)
class Ahead:
    """How a list was made from the state beside it: with `take`, at `now`, of `count` slots."""

    now: int
    limits: Limits
    longest_wait_ms: int
    count: int


def laid_out(
    state: State, now: int, limits: Limits, longest_wait_ms: int
) -> tuple[Ahead, tuple[int, ...]]:
    """The slots that the next single calls would be given, and how they were reckoned."""
    count = min(LONGEST, 2 * limits.per_second or LONGEST)
    longest_wait_ms += FURTHER_MS
    _, result = take(state, now, limits, count=count, longest_wait_ms=longest_wait_ms)
    slots = result.slots_ms if isinstance(result, Granted) else ()
    return Ahead(now, limits, longest_wait_ms, len(slots)), slots


def counted(state: State, ahead: Ahead, left: int) -> State:
    """The state once all but the last `left` slots of its list are taken."""
    drawn = ahead.count - left
    if drawn < 1:
        return state
    return take(state, ahead.now, ahead.limits, count=drawn, longest_wait_ms=ahead.longest_wait_ms)[
        0
    ]


def encode(ahead: Ahead) -> str:
    """As JSON, short: the limits come last, as `Limits` has them."""
    told = (ahead.now, ahead.longest_wait_ms, ahead.count, *astuple(ahead.limits))
    return json.dumps(told, separators=(",", ":"))


def decode(text: str) -> Ahead:
    """What `encode` wrote. Raises ValueError or TypeError for anything else."""
    now, longest_wait_ms, count, *limits = json.loads(text)
    return Ahead(now, Limits(*limits), longest_wait_ms, count)
