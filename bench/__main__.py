"""make bench: measures, prints the table, and writes it to .local/bench.json."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from typing import TYPE_CHECKING

from bench import artefact, rows, stub
from bench.table import ROUNDS, printed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.artefact import Artefact
    from bench.table import Row

RESULT = artefact.ROOT / ".local" / "bench.json"


def measured(build: Artefact) -> Iterator[Row]:
    """All rows, each as soon as it is known."""
    yield from rows.cold_starts(build)
    with stub.running() as url:
        yield from rows.warm(build, url)
        yield rows.requests(build, url)
    yield rows.package(build)


def main() -> int:
    """Returns 1 if a row misses its reach."""
    start = time.monotonic()
    build = artefact.build()
    found = []
    for row in measured(build):
        print(f"measured: {row.number or '-'} {row.what}: {row.value}", file=sys.stderr, flush=True)
        found.append(row)
    found.sort(key=lambda row: row.order)
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps([asdict(row) for row in found], indent=1))
    print(printed(found))
    print(
        f"\nCPU time of fresh processes, medians of {ROUNDS} interleaved rounds; ± is half of the"
        f" middle half.\nTrust the ratios. Measured in {time.monotonic() - start:.0f} s."
    )
    return 0 if all(row.met is not False for row in found) else 1


if __name__ == "__main__":
    sys.exit(main())
