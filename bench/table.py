"""Measure things side by side, and print rows as tables."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

ROUNDS = 7


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
    """Measure each thing once a round, so that a busy machine is busy for all; return medians.

    The first round only warms the disk's cache.
    """
    found: dict[str, list[float]] = {name: [] for name in measured}
    for number in range(rounds + 1):
        for name, measure in measured.items():
            seconds = measure()
            if number:
                found[name].append(seconds)
    return {name: median(seconds) for name, seconds in found.items()}


def markdown(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table of Markdown."""
    lines = [f"| {' | '.join(map(str, cells))} |" for cells in (head, *rows)]
    return "\n".join([lines[0], "|---" * len(head) + "|", *lines[1:]])
