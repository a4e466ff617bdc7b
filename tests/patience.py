"""How tests wait: for a condition, up to a deadline, with pauses that grow.

A quick machine loses a few milliseconds, and a slow one is not slowed down further: each question
may run a function, and the emulator starts functions in the process that answers the question.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE_SECONDS = 240.0  # for what takes two seconds on a quiet machine
FIRST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 2.0
GROWTH = 1.5  # of each pause over the one before: 8 questions in the first 2.5 s, then one in 2 s


def until(happened: Callable[..., object], patience: float = PATIENCE_SECONDS) -> bool:
    """Ask until it has happened; return False if it has not by the deadline (seconds from now).

    It is asked once more after the deadline: the machine may have stood still meanwhile.
    """
    deadline = time.monotonic() + patience
    pause = FIRST_PAUSE_SECONDS
    while not happened():
        if time.monotonic() > deadline:
            return bool(happened())
        time.sleep(pause)
        pause = min(pause * GROWTH, LONGEST_PAUSE_SECONDS)
    return True
