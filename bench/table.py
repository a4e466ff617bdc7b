"""Measure things side by side, and print rows as tables."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

ROUNDS = 3


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
    measured: Mapping[str, Callable[[], float]],
    yardstick: str,
    yardstick_seconds: float,
    rounds: int = ROUNDS,
) -> tuple[dict[str, float], float]:
    """Return the median processor time of each thing, measured once a round, and the slowness.

    Each round is scaled so that the yardstick, one of the things, takes `yardstick_seconds`: what
    slows the machine down slows all of them. The slowness is what the rounds were divided by. The
    first round only warms the disk's cache.
    """
    found: dict[str, list[float]] = {name: [] for name in measured}
    slowness = []
    for number in range(rounds + 1):
        seconds = {name: measure() for name, measure in measured.items()}
        if number:
            slowness.append(seconds[yardstick] / yardstick_seconds)
            for name in measured:
                found[name].append(seconds[name] / slowness[-1])
    return {name: median(values) for name, values in found.items()}, median(slowness)


def markdown(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table of Markdown."""
    lines = [f"| {' | '.join(map(str, cells))} |" for cells in (head, *rows)]
    return "\n".join([lines[0], "|---" * len(head) + "|", *lines[1:]])
