"""Measure things side by side, and print rows as tables."""

from __future__ import annotations

import time
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

ROUNDS = 5
YARDSTICK_SECONDS = 0.2  # of the yardstick on the quiet machine that the docs' figures are from


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the bench's table: what it guards, why, and whether `value` is within `bound`."""

    what: str
    value: str
    bound: str
    met: bool
    why: str

    @property
    def cells(self) -> tuple[str, ...]:
        """The row as cells of Markdown."""
        met = "yes" if self.met else "**NO**"
        return (self.what, f"**{self.value}**", self.bound, met, self.why)


HEAD = ("what", "measured", "bound", "met", "why it is measured")


def interleaved(
    measured: Mapping[str, Callable[[], float]], rounds: int = ROUNDS
) -> dict[str, float]:
    """Return the median processor time of each thing, measured once a round.

    Each round is scaled to the yardstick, so that runs on slow or busy machines can be compared.
    The first round only warms the disk's cache.
    """
    found: dict[str, list[float]] = {name: [] for name in measured}
    for number in range(rounds + 1):
        scale = YARDSTICK_SECONDS / _yardstick()
        for name, measure in measured.items():
            seconds = measure()
            if number:
                found[name].append(seconds * scale)
    return {name: median(seconds) for name, seconds in found.items()}


def _yardstick() -> float:
    """Return the processor time of a million additions."""
    start, total = time.process_time(), 0
    for number in range(1_000_000):
        total += number * number % 7
    return time.process_time() - start


def markdown(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table of Markdown."""
    lines = [f"| {' | '.join(map(str, cells))} |" for cells in (head, *rows)]
    return "\n".join([lines[0], "|---" * len(head) + "|", *lines[1:]])
