"""Row 11: what an item costs does not depend on how many there are."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pynamodb.connection.base import Connection

from bench import artefact
from bench.many_rows import NUMBER, SENDER, UNKNOWN, ManyRows, tracking_id
from bench.table import Row, interleaved
from skycore.queries.messages import get_event, get_message, list_messages, list_unparsed
from skycore.table import limiter
from skycore.table.limits import SINGLE_WAIT_MS, Limits
from tests.unit.table.limit_table import SlowTable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bench.artefact import Artefact
    from skycore.queries.messages import Query

BATCHES = (1, 10, 100, 1000)
ROWS = (1_000, 10_000, 100_000, 1_000_000)
WORKERS = (1, 10, 100)
LIMIT = 50  # calls a second, shared by all workers
START = 2.0  # seconds
SECONDS = 12.0


def rows(build: Artefact, url: str) -> Iterator[Row]:
    """Row 11, in three."""
    yield _store(build, url)
    yield _routes()
    yield _limiter()


def _store(build: Artefact, url: str) -> Row:
    """A batch of 1,000 is more than Lambda gives; the function must not care."""

    def run(size: int) -> Callable[[], float]:
        return lambda: artefact.timed("store", build.path("store"), url, str(size)).seconds

    took = interleaved({str(size): run(size) for size in BATCHES})
    ratio = took["1000"].middle / took["100"].middle
    detail = ", ".join(f"{size}: {took[str(size)]}" for size in BATCHES)
    what = "`store`, a postback in a batch of 1,000 to one in a batch of 100"
    return Row("11", what, f"{ratio:.2f} x", "<= 1.1 x", ratio <= 1.1, detail)


def _routes() -> Row:
    """What routes read of tables of any size; what is smaller than a page reads less."""
    read = {size: _pages(size) for size in ROWS}
    flat = read[ROWS[-1]] == read[ROWS[-2]]
    detail = "; ".join(f"{route}: {told}" for route, told in read[ROWS[-1]].items())
    what = "read by each route for a page of 50, of 10³, 10⁴, 10⁵, 10⁶ rows"
    return Row("11a", what, "flat" if flat else "grows", "flat", flat, detail)


def _pages(size: int) -> dict[str, str]:
    """What each read route reads of a table with so many messages and receipts, by its name."""
    until = datetime.now(UTC).replace(hour=12)
    row = size // 2
    named = {"until": [until.isoformat()]}
    some = ManyRows(size, until)
    receipt = some.event_id(row)
    routes: dict[str, Callable[[], object]] = {
        "`?to=`": lambda: _list({"to": [f"+{NUMBER}"]} | named),
        "`?from=`": lambda: _list({"from": [SENDER]} | named),
        "`?from=` that nobody has": lambda: _list({"from": ["60999"]} | named),
        "`?tracking_id=`": lambda: _list({"tracking_id": [tracking_id(row)]} | named),
        "a message": lambda: get_message(f"{row:08}"),
        "a message of unknown outcome": lambda: get_message(f"{UNKNOWN}{row:08}"),
        "`/postbacks/unparsed`": lambda: list_unparsed(named, days=90),
        "a postback": lambda: get_event(receipt, source="bench"),
    }
    read: dict[str, str] = {}
    for name, ask in routes.items():
        some.read.clear()
        Connection.client = some  # type: ignore[assignment, method-assign]
        assert ask(), name
        entries = some.read["index entries"]
        rows_read = f"{some.read['rows']} rows"
        read[name] = f"{rows_read}, {entries} index entries" if entries else rows_read
    return read


def _list(query: Query) -> dict[str, object]:
    return list_messages(query, region="US", days=90)


def _limiter() -> Row:
    """Writes of the limiter's item for a call, while many ask at once."""
    logging.disable()
    going = {workers: _writes(workers) for workers in WORKERS}
    ratio = going[WORKERS[-1]][1] / going[WORKERS[0]][1]
    detail = ", ".join(
        f"{workers} workers: {later:.2f}, and {first:.1f} in the first {START:.0f} s"
        for workers, (first, later) in going.items()
    )
    what = f"limiter of {LIMIT}/s: writes for a call, {WORKERS[-1]} workers to 1"
    return Row("11b", what, f"{ratio:.2f} x", "<= 1.1 x", ratio <= 1.1, detail)


def _writes(workers: int) -> tuple[float, float]:
    """Writes for a call: in the first seconds, when all ask at once and know nothing, and later."""
    table = SlowTable(0.008)
    limits, granted = Limits(LIMIT), Counter[str]()
    start = time.monotonic()

    def work() -> None:
        mine = limiter.Limiter()
        while time.monotonic() < start + SECONDS:
            result = mine.take(limits, longest_wait_ms=SINGLE_WAIT_MS)
            if isinstance(result, tuple):
                granted["calls"] += 1
                time.sleep(max(0.0, result[0] / 1000 - time.time()) + 0.1)
            else:
                time.sleep(max(0.0, result.until_ms / 1000 - time.time()))

    threads = [threading.Thread(target=work) for _ in range(workers)]
    with table.connected():
        for thread in threads:
            thread.start()
        time.sleep(START)
        first, calls = Counter(table.calls)["UpdateItem"], granted["calls"]
        for thread in threads:
            thread.join()
    all_writes = Counter(table.calls)["UpdateItem"]
    return first / calls, (all_writes - first) / (granted["calls"] - calls)
