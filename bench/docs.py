"""Write the bench's tables into the docs, from bench/measured.json and the template.

    .venv/bin/python -m bench.docs

Prices, quotas, requests and the template may have changed since the run; its figures are used as
they are.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bench import cost, latency, rows, scale
from bench.measured import Measured

if TYPE_CHECKING:
    from collections.abc import Callable

DOCS = Path(__file__).resolve().parents[1] / "docs"
TABLES: dict[str, dict[str, Callable[[Measured], str]]] = {
    "architecture.md": {"scale": scale.capacities},
    "cost.md": {
        "cost": cost.table,
        "latency": latency.table,
        "bench": rows.bounds,
    },
}


def written(page: str, text: str, run: Measured) -> str:
    """Return a page with its tables as the run has them. Raises ValueError for a lost mark."""
    for name, table in TABLES[page].items():
        begin, end = f"<!-- make bench: {name} -->\n", "<!-- end -->"
        if text.count(begin) != 1 or end not in text.split(begin)[1]:
            raise ValueError(f"docs/{page} has no table {name}")
        before, rest = text.split(begin)
        text = f"{before}{begin}\n{table(run)}\n\n{end}{rest.split(end, 1)[1]}"
    return text


def write(run: Measured) -> None:
    """Write the tables of every page."""
    for page in TABLES:
        path = DOCS / page
        path.write_text(written(page, path.read_text(), run))


if __name__ == "__main__":
    write(Measured.load())
