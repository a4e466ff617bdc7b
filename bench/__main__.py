"""Measure, print the tables, and write the run to .local/bench.json: make bench.

With --docs the run also becomes bench/measured.json, and its tables those of the docs.
"""

from __future__ import annotations

import logging
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bench import artefact, cost, docs, drain, growth, release, rows, scale, stub
from bench.measured import COMMITTED, Measured
from bench.table import interleaved

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bench.artefact import Artefact

RESULT = artefact.ROOT / ".local" / "bench.json"
FLOORS = {  # what a plain function imports and makes before its first event
    "ack": "import boto3; boto3.client('sqs')",
    "send": "import boto3, requests; boto3.client('dynamodb'); boto3.client('secretsmanager')",
}
ITEMS = {
    # what cost.py knows it as: the script of bench/timed, of which function (None: a plain
    # sample's part, with packages as pip installs them), and its arguments
    "ack": ("ack", "ack"),
    "store": ("store", "store", "10"),
    "publish": ("publish", "publish"),
    "send": ("send", "send"),
    "enqueue": ("enqueue", "enqueue"),
    "send_message": ("send_message", None),
    "save": ("conditional_save", None),
    "post": ("post", None),
}


def _cold_starts(build: Artefact) -> tuple[dict[str, float], dict[str, float]]:
    """Return the CPU of fresh processes until they can take an event: ours, and the floors."""
    stock = artefact.stock_path(build)
    verbs = sorted(path.parent.name for path in (artefact.ROOT / "functions").glob("*/app.py"))
    runs = {"python": _start("pass", stock)}
    runs |= {verb: _start("import app", build.path(verb)) for verb in verbs}
    runs |= {f"floor {verb}": _start(code, stock) for verb, code in FLOORS.items()}
    took, _ = interleaved(runs, "floor ack", cost.ASSUMED["import_ms"] / 1000)
    return (
        {name: took[name] for name in ("python", *verbs)},
        {verb: took[f"floor {verb}"] for verb in FLOORS},
    )


def _start(code: str, path: list[Path]) -> Callable[[], float]:
    """CPU from the interpreter's own start until `code` is done; its end is nobody's wait."""
    timed = f"{code}\nimport time; print(time.process_time())"
    return lambda: float(artefact.fresh(["-c", timed], path))


def _items(build: Artefact, url: str) -> tuple[dict[str, float], dict[str, float], float]:
    """Return the CPU seconds of each item of a bill, the bytes that it logs, and the slowness."""
    logged: dict[str, float] = {}

    def run(name: str) -> Callable[[], float]:
        script, verb, *arguments = ITEMS[name]
        path = build.path(verb) if verb else artefact.stock_path(build)

        def measure() -> float:
            seconds, logged[name] = artefact.timed(str(script), path, url, *map(str, arguments))
            return seconds

        return measure

    runs = {name: run(name) for name in ITEMS}
    took, slowness = interleaved(runs, "send_message", cost.ASSUMED["send_message_ms"] / 1000)
    return took, logged, slowness


def measured() -> Measured:
    """Measure everything but the latencies, which need a stack: python -m bench.latency."""
    build = artefact.build()
    _say("cold starts")
    cold, floors = _cold_starts(build)
    _say("processor time of each item")
    with stub.running() as url:
        cpu, logged, slowness = _items(build, url)
    run = Measured(f"{datetime.now(UTC):%Y-%m-%d}", cpu, logged, cold, floors)
    run.packages = {layer: build.zipped(layer) for layer in artefact.LAYERS}
    if COMMITTED.exists():
        run.latency = Measured.load().latency
    logging.disable()
    _say("the limiter")
    run.limiter = rows.limiter()
    _say("the send queue")
    run.drains = drain.measured(run.cpu["send"])
    _say("growth")
    run.growth = growth.measured()
    _say("due messages")
    run.release = release.seconds() / slowness
    return run


def _say(what: str) -> None:
    print(f"measuring: {what}", file=sys.stderr, flush=True)


def main() -> int:
    """Print the tables; return 1 if a bound is missed."""
    start = time.monotonic()
    run = measured()
    run.save(RESULT)
    if "--docs" in sys.argv:
        run.save()
        docs.write(run)
    for title, table in (
        ("What guards users", rows.table(run)),
        ("Requests of each invocation", rows.requests_table()),
        (f"Dollars, list prices of {cost.AS_OF}", cost.table(run)),
        ("Ten million a day", scale.report(run)),
        ("The send queue", drain.table(run.drains)),
        ("The limiter", rows.limiter_table(run)),
        ("Growth", growth.table(run.growth)),
    ):
        print(f"\n{title}:\n\n{table}")
    print(f"\nMeasured in {time.monotonic() - start:.0f} s.")
    return 0 if all(row.met for row in rows.rows(run)) else 1


if __name__ == "__main__":
    sys.exit(main())
