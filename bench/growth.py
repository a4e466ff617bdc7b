"""What each operation reads of a table of a thousand to a million messages and receipts.

A listing reads the same whatever the table holds. A repair or an export reads each row once, so
what it does for one row is the same. Both are counted in process, in requests and rows: not times.
"""

from __future__ import annotations

import io
from collections import Counter
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from bench.many_rows import NUMBER, SENDER, UNKNOWN, ManyRows, tracking_id
from bench.table import markdown
from ops import export
from skycore.client.report import Report, ReportRow, read_report
from skycore.queries.messages import get_event, get_message, list_messages, list_unparsed
from skycore.queries.person import find_person
from skycore.receiving.reconcile import reconcile

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from skycore.queries.messages import Query

LISTED = (1_000, 10_000, 100_000, 1_000_000)  # rows of the table
WHOLE = (100, 1_000, 4_000)  # rows of a table that is read as a whole; more takes minutes
(REPORTED,) = read_report(
    b'<RESPONSE><SENDING_LIST><TEXT id="1" from="60856" to="17740000000">'
    b'<INQUE time="2026-11-22T10:41:15Z"/><ACK gw="10" net="0"><DLR gw="20" net="0"></TEXT>'
    b"</SENDING_LIST></RESPONSE>"
).rows


@dataclass(frozen=True, slots=True)
class Growth:
    """What an operation reads, by the table's rows: as text, which is the same at every size.

    `extrapolated`: not run with a million rows.
    """

    operation: str
    reads: dict[str, str]
    extrapolated: bool = False

    @property
    def law(self) -> str:
        """How it grows: flat or linear, or not at all as it should."""
        values = list(self.reads.values())
        same = len(set(values if self.extrapolated else values[-2:])) == 1  # smaller ones read less
        return ("linear" if self.extrapolated else "flat") if same else "GROWS"


def measured() -> list[dict[str, Any]]:
    """Return the growth of every operation."""
    listed = {size: _listings(size) for size in LISTED}
    found = [
        Growth("`ops person show`, `erase`: finding one person's rows", _growth(_person, LISTED)),
        Growth(
            "the same, for each message of a person who has them all",
            _growth(_everyone, WHOLE),
            extrapolated=True,
        ),
    ]
    found += [
        Growth(name, {str(size): listed[size][name] for size in LISTED}) for name in listed[1_000]
    ]
    for name, run in (("export", _export), ("reconcile", _reconcile)):
        reads = _growth(run, WHOLE)
        found.append(Growth(f"`ops {name}`, for each row", reads, extrapolated=True))
    return [asdict(one) for one in found]


def _listings(size: int) -> dict[str, str]:
    """Return what each read route reads of a table with so many messages and receipts."""
    until = datetime.now(UTC).replace(hour=12)
    row = size // 2
    named = {"until": [until.isoformat()]}
    some = ManyRows(size, until)
    receipt = some.event_id(row)
    routes: dict[str, Callable[[], object]] = {
        "`GET /messages?to=`": lambda: _list({"to": [f"+{NUMBER}"]} | named),
        "`?from=`": lambda: _list({"from": [SENDER]} | named),
        "`?from=` of a sender that nobody used": lambda: _list({"from": ["60999"]} | named),
        "`?tracking_id=`": lambda: _list({"tracking_id": [tracking_id(row)]} | named),
        "`GET /messages/{id}`": lambda: get_message(f"{row:08}"),
        "the same, outcome unknown": lambda: get_message(f"{UNKNOWN}{row:08}"),
        "`GET /postbacks/unparsed`": lambda: list_unparsed(named, days=90),
        "`GET /postbacks/{id}`": lambda: get_event(receipt, source="bench"),
    }
    found = {}
    for name, ask in routes.items():
        some.read.clear()
        with some.connected():
            assert ask(), name
        found[name] = _text(some.read)
    return found


def _list(query: Query) -> dict[str, object]:
    return list_messages(query, region="US", days=90)


def _growth(run: Callable[[int], str], sizes: Sequence[int]) -> dict[str, str]:
    return {str(size): run(size) for size in sizes}


def _person(size: int) -> str:
    """Return what is read to find one person's rows in a table of many people's."""
    some = ManyRows(size, datetime.now(UTC), own_numbers=True, unparsed=False)
    return _found(some, some.number(size // 2), 1)


def _everyone(size: int) -> str:
    """Return what is read for each message, beside the months in which there is none."""
    none = ManyRows(0, datetime.now(UTC), own_numbers=True, unparsed=False)
    _found(none, NUMBER, 0)
    some = ManyRows(size, datetime.now(UTC), unparsed=False)
    _found(some, NUMBER, size)
    return _text(some.read - none.read, size)


def _found(some: ManyRows, number: str, messages: int) -> str:
    with some.connected():
        person = find_person(number, None)
    assert (len(person.messages), len(person.events)) == (messages, messages)
    return _text(some.read)


def _export(size: int) -> str:
    """Return what `export` reads for each message and receipt, beside the scan itself."""
    some, now = ManyRows(size, datetime.now(UTC)), datetime.now(UTC)
    written: Counter[str] = Counter()
    with some.connected():
        for page in some.scan():
            for name, rows in (
                ("messages", export._messages(page, now)),  # noqa: SLF001 - without a stack
                ("events", export._events(page, "bench")),  # noqa: SLF001 - without a stack
            ):
                export._write(io.StringIO(), name, rows, written)  # noqa: SLF001 - without a stack
    assert written == {"messages": size, "events": size}
    return _text(some.read, size)


def _reconcile(size: int) -> str:
    """Return what `reconcile` reads for each row of a report on as many numbers."""
    some = ManyRows(size, datetime.now(UTC) - timedelta(days=1), own_numbers=True)
    rows = tuple(_reported(some, row) for row in range(size))
    with some.connected():
        result = reconcile(Report(rows, complete=True), days=90, write=False)
    assert result.rows == size
    assert result.known == size, result.unmatched[:3]
    return _text(some.read, size)


def _reported(some: ManyRows, row: int) -> ReportRow:
    """Return a report's row about a message whose receipt came."""
    time = f"{some.moment(row):%Y-%m-%dT%H:%M:%SZ}"
    steps = tuple(replace(step, time=time) for step in REPORTED.steps)
    return replace(REPORTED, to=some.number(row), time=time, steps=steps)


def table(growth: list[dict[str, Any]]) -> str:
    """Return what each operation reads of a large table."""
    listed = []
    for one in (Growth(**row) for row in growth):
        sizes = [int(size) for size in one.reads]
        up_to = f"{min(sizes):,} to {max(sizes):,}"
        up_to += ", extrapolated to 1,000,000" if one.extrapolated else ""
        listed.append((one.operation, list(one.reads.values())[-1], one.law, up_to))
    return markdown(("operation", "reads", "growth", "rows of the table"), listed)


def _text(read: Counter[str], size: int = 1) -> str:
    names = ("requests", "rows", "index entries")
    return ", ".join(f"{read[name] / size:.4g} {name}" for name in names if read[name])
