"""Many entries for SQS or SNS: in calls of ten, and again what was refused."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

from skycore.parts import parts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ENTRIES = 10  # in a call, the most that either service takes


def send_in_rounds(
    sizes: Sequence[int],
    most_bytes: int,
    send: Callable[[list[int]], set[int]],
    *,
    rounds: int,
    seconds: float,
) -> set[int]:
    """Sends all entries, and again those that were refused; returns those left over.

    `send` takes the indexes of one call and returns those that the service took. An entry is tried
    `rounds` times at most, with a growing random pause before each round, and no call begins once
    `seconds` have passed: what waits for the caller's own end has to be kept elsewhere.
    """
    end = time.monotonic() + seconds
    left = set(range(len(sizes)))
    for number in range(rounds):
        if number and left:
            pause(number)
        for batch in list(
            parts(sorted(left), sizes.__getitem__, most=ENTRIES, most_bytes=most_bytes)
        ):
            if time.monotonic() >= end:
                return left
            left -= send(batch)
    return left


def pause(number: int) -> None:
    """Waits before the `number`th repetition, 0.8 seconds at most before the fourth."""
    time.sleep(random.uniform(0, 0.05 * 2**number))  # noqa: S311 - jitter, not a secret
