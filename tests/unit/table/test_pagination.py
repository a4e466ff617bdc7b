"""Pages of any size hold each row once, newest first, while new rows come."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pynamodb.connection.base import Connection

from skycore.table import models, pagination
from skycore.table.models import Row
from skycore.table.pagination import Cursor, TimeRange
from tests.unit.table.tables import new_table

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = datetime(2026, 11, 22, 10, 41, tzinfo=UTC)
NUMBER = "17743199144"
INDEXES: dict[str, tuple[Any, Any]] = {
    "number": (Row.by_number, pagination.by_month(NUMBER)),
    "day": (Row.by_day, pagination.by_day),
    "state": (Row.by_state, pagination.unbounded("unparsed")),
}
HOURS = st.sampled_from([0, 0, 0, 1, 5, 20, 24, 30, 24 * 20, 24 * 40])  # many at one moment


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    def renew() -> None:
        monkeypatch.setattr(Connection, "client", new_table())

    renew()
    return renew


def put(pk: str, sk: str, moment: datetime, kind: str = "event") -> None:
    # Some rows as earlier releases wrote them, all in one partition of the index by state.
    state = "state#unparsed" if sk.endswith("7") else models.state_partition("unparsed", pk + sk)
    Row(
        pk,
        sk,
        number=models.number_partition(NUMBER, moment),
        day=models.day_partition(sk, moment),
        state=state,
        at=models.index_sort_key(kind, moment),
    ).save()


def all_pages(
    index: str, limit: int, days: int = 90, place: Cursor | None = None
) -> list[list[Any]]:
    pages = []
    while True:
        span = TimeRange("event", NOW - timedelta(days=days), NOW, place)
        found, place = pagination.query_page(*INDEXES[index], span, limit)
        assert len(found) <= limit
        pages.append(found)
        if place is None:
            return pages


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(HOURS, st.integers(0, 3), st.integers(0, 50)), max_size=40),
    st.integers(1, 9),
    st.sampled_from(sorted(INDEXES)),
)
def test_each_row_once_newest_first(
    fresh: Callable[[], None], rows: Any, limit: Any, index: Any
) -> None:
    fresh()
    expected = set()
    for hours, pk, sk in rows:
        moment = NOW - timedelta(hours=hours)
        put(f"p{pk}-{hours}", f"s{sk}", moment)
        put(f"p{pk}-{hours}", f"m{sk}", moment, kind="message")
        expected.add((models.index_sort_key("event", moment), f"p{pk}-{hours}", f"s{sk}"))
    found = [key for page in all_pages(index, limit) for key in page]
    assert found == [(pk, sk) for _, pk, sk in sorted(expected, reverse=True)]
    span = TimeRange("event", NOW - timedelta(days=90), NOW, None)
    first = pagination.earliest(*INDEXES[index], span, limit)
    moments = {(pk, sk): at for at, pk, sk in expected}
    assert [moments[key] for key in first] == sorted(moments.values())[:limit]
    assert len(set(first)) == len(first)


@pytest.mark.parametrize("index", INDEXES)
def test_a_cursor_stays_valid_while_rows_come_and_go(index: Any) -> None:
    for n in range(20):
        put(f"old#{n:02}", "row", NOW - timedelta(minutes=n))
    span = TimeRange("event", NOW - timedelta(days=2), NOW, None)
    first, place = pagination.query_page(*INDEXES[index], span, 5)
    put("new", "row", NOW)
    Row(*first[-1]).delete()  # the cursor's own row
    rest = [key for page in all_pages(index, 5, 2, place) for key in page]
    assert first + rest == [(f"old#{n:02}", "row") for n in range(20)]


def test_a_page_reads_little_more_than_it_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    table = new_table()
    monkeypatch.setattr(Connection, "client", table)
    for n in range(300):
        put(f"row#{n:03}", "row", NOW - timedelta(minutes=n))
    table.calls.clear()
    span = TimeRange("event", NOW - timedelta(days=9), NOW, None)
    assert len(pagination.query_page(*INDEXES["number"], span, 50)[0]) == 50
    assert table.calls == {"Query": 1}


def test_a_quiet_stretch_ends_a_page_with_a_cursor() -> None:
    put("old", "row", NOW - timedelta(days=80))
    pages = all_pages("day", 50)
    assert [key for page in pages for key in page] == [("old", "row")]
    assert len(pages) > 1
