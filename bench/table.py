"""Runs each pair side by side, and shows what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median, quantiles
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

ROUNDS = 15


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table; `met` says whether `value` is within `reach` (None: no reach is set)."""

    number: str
    what: str
    value: str
    reach: str
    met: bool | None
    detail: str

    @property
    def order(self) -> tuple[int, str]:
        """By the number's digits, then by its letter."""
        digits = self.number.rstrip("abcdef")
        return int(digits), self.number


@dataclass(frozen=True, slots=True)
class Samples:
    """What one measured thing took, in seconds, round by round."""

    seconds: tuple[float, ...]

    @property
    def middle(self) -> float:
        """The median."""
        return median(self.seconds)

    @property
    def spread(self) -> float:
        """Half of the middle half of the samples, as a part of the median."""
        low, _, high = quantiles(self.seconds, n=4)
        return (high - low) / 2 / self.middle

    def __str__(self) -> str:
        long = self.middle > 0.01
        amount = f"{self.middle * 1e3:.0f} ms" if long else f"{self.middle * 1e6:.0f} µs"
        return f"{amount} ±{self.spread:.0%}"


def interleaved(
    measured: Mapping[str, Callable[[], float]], rounds: int = ROUNDS
) -> dict[str, Samples]:
    """Measures each thing once a round, so that a busy machine is busy for all of them.

    The first round only warms the disk's cache.
    """
    found: dict[str, list[float]] = {name: [] for name in measured}
    for number in range(rounds + 1):
        for name, measure in measured.items():
            seconds = measure()
            if number:
                found[name].append(seconds)
    return {name: Samples(tuple(seconds)) for name, seconds in found.items()}


def printed(rows: Iterable[Row]) -> str:
    """The rows as a table of Markdown."""
    lines = ["| # | what | measured | reach | met | the figures |", "|---|---|---|---|---|---|"]
    for row in rows:
        met = {True: "yes", False: "NO", None: ""}[row.met]
        cells = (row.number, row.what, f"**{row.value}**", row.reach, met, row.detail)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
