"""make bench: measures, prints the tables, and writes what was measured to .local/bench.json."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from typing import TYPE_CHECKING

from bench import artefact, cost, growth, rows, stub
from bench.table import ROUNDS, printed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.artefact import Artefact
    from bench.table import Row

RESULT = artefact.ROOT / ".local" / "bench.json"


def measured(build: Artefact) -> Iterator[Row]:
    """All rows but cost, each as soon as it is known."""
    yield from rows.cold_starts(build)
    with stub.running() as url:
        yield from rows.warm(build, url)
        yield rows.requests(build, url)
        yield from growth.rows(build, url)
    yield rows.calls()
    yield rows.package(build)


def main() -> int:
    """Returns 0; the table says what misses its reach."""
    start = time.monotonic()
    build = artefact.build()
    found = []
    for row in measured(build):
        print(f"measured: {row.number} {row.what}: {row.value}", file=sys.stderr, flush=True)
        found.append(row)
    with stub.running() as url:
        costs = rows.costs(build, url)
    found += rows.compared(costs)
    found.sort(key=lambda row: row.order)
    print(printed(found))
    print(
        f"\nCPU time of fresh processes, medians of {ROUNDS} interleaved rounds; ± is half of the"
        f" middle half.\nTrust the ratios. Measured in {time.monotonic() - start:.0f} s."
    )
    print(f"\nDollars a million, list prices of {cost.AS_OF}:\n\n{cost.table(costs)}")
    RESULT.parent.mkdir(exist_ok=True)
    told = asdict(costs) | {"rows": [asdict(row) for row in found]}
    RESULT.write_text(json.dumps(told, indent=1, ensure_ascii=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
