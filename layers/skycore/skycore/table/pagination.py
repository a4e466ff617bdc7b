"""Read pages of rows, newest first: from the indexes, and by client_reference.

A cursor is a point in time, so it stays valid while rows come and go.
"""

from __future__ import annotations

import heapq
from dataclasses import astuple, dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Any

from skycore import timestamps
from skycore.table import models
from skycore.table.batches import READ_KEYS
from skycore.table.models import Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pynamodb.indexes import GlobalSecondaryIndex

    from skycore.table.batches import Key

OVERFETCH = 8  # rows that a partition may have above its share of a page, in one query
MAX_QUERIES = 64  # for one page; a quiet stretch ends the page early, with a cursor


@dataclass(frozen=True, slots=True)
class Cursor:
    """The end of a page: the index sort key of its last row, and the row's key for equal times."""

    at: str
    pk: str = ""
    sk: str = ""


@dataclass(frozen=True, slots=True)
class PartitionRange:
    """The partitions of an index that hold the rows from `start` on, up to the next range."""

    start: datetime
    partitions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TimeRange:
    """Rows of a kind, from `since` until `until` (UTC), that come after `cursor`."""

    kind: str
    since: datetime
    until: datetime
    cursor: Cursor | None


def by_month(number: str) -> Callable[[datetime], PartitionRange]:
    """Return a function from a time to the partition of its month in the index by number."""

    def period(time: datetime) -> PartitionRange:
        start = time.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        return PartitionRange(start, (models.number_partition(number, start),))

    return period


def by_day(time: datetime) -> PartitionRange:
    """Return the partitions of a time's day in the index by day."""
    start = time.replace(hour=0, minute=0, second=0, microsecond=0)
    return PartitionRange(start, tuple(models.day_partitions(start)))


def unbounded(state: str) -> Callable[[datetime], PartitionRange]:
    """Return a function from any time to the partitions of a state in the index by state."""
    partitions = tuple(models.state_partitions(state))
    return lambda _: PartitionRange(datetime(2000, 1, 1, tzinfo=UTC), partitions)


def query_page(
    index: GlobalSecondaryIndex[Any],
    period_of: Callable[[datetime], PartitionRange],
    span: TimeRange,
    limit: int,
) -> tuple[list[Key], Cursor | None]:
    """Return up to `limit` keys of rows in the span, and the next page's cursor, if any."""
    page: list[Key] = []
    queries = 0
    cursor = span.cursor
    time = span.until if cursor is None else _time(cursor)
    while time >= span.since:
        period = period_of(time)
        for row in _newest(index, period, span, cursor, limit - len(page) + 1):
            if len(page) == limit:
                return page, cursor
            page.append((row.pk, row.sk))
            cursor = Cursor(row.at, row.pk, row.sk)
        time = period.start - timedelta(microseconds=1)
        queries += len(period.partitions)
        if queries >= MAX_QUERIES and time >= span.since:
            return page, Cursor(models.index_sort_key(span.kind, time), "~")
    return page, None


def query_references(
    client_reference: str, span: TimeRange, limit: int
) -> tuple[list[tuple[str, str]], Cursor | None]:
    """Return `at` and id of up to `limit` messages with a client_reference, and the next cursor.

    A message that was not written, or was written again later under the same key, is not at that
    time: the caller skips it.
    """
    partition = models.reference_partition(client_reference)
    oldest = models.index_sort_key(span.kind, span.since)
    newest = models.index_sort_key(span.kind, span.until) + "$"  # sorts after "#" and any id
    if span.cursor is not None:
        newest = span.cursor.sk
    if newest < oldest:
        return [], None
    found = Row.query(
        partition,
        Row.sk.between(oldest, newest),
        scan_index_forward=False,
        consistent_read=True,
        limit=limit + 2,  # with the cursor's own pointer, and the one after the page's last
    )
    sort_keys = [row.sk for row in found if span.cursor is None or row.sk < newest]
    page = [(at, id_) for at, _, id_ in (sk.rpartition("#") for sk in sort_keys[:limit])]
    if len(sort_keys) <= limit:
        return page, None
    return page, Cursor(page[-1][0], partition, sort_keys[limit - 1])


def iter_pages(
    index: GlobalSecondaryIndex[Any],
    period_of: Callable[[datetime], PartitionRange],
    span: TimeRange,
) -> Iterator[list[Key]]:
    """Yield the keys of all rows in the span, newest first, as many as one call reads."""
    while True:
        page, cursor = query_page(index, period_of, span, READ_KEYS)
        yield page
        if cursor is None:
            return
        span = replace(span, cursor=cursor)


def earliest(
    index: GlobalSecondaryIndex[Any],
    period_of: Callable[[datetime], PartitionRange],
    span: TimeRange,
    limit: int,
) -> list[Key]:
    """Return the keys of the first `limit` rows of a short span, oldest first."""
    first, last = (
        models.index_sort_key(span.kind, span.since),
        models.index_sort_key(span.kind, span.until),
    )
    rows: list[Row] = []
    time = span.until
    while time >= span.since:
        period = period_of(time)
        for partition in period.partitions:
            rows += index.query(partition, Row.at.between(first, last), limit=limit)
        time = period.start - timedelta(microseconds=1)
    return [(row.pk, row.sk) for row in sorted(rows, key=_order)[:limit]]


def _newest(
    index: GlobalSecondaryIndex[Any],
    period: PartitionRange,
    span: TimeRange,
    cursor: Cursor | None,
    limit: int,
) -> Iterator[Row]:
    """Yield the rows of the period's partitions that come after the cursor, newest first."""
    oldest = models.index_sort_key(span.kind, max(period.start, span.since))
    newest = models.index_sort_key(span.kind, span.until) if cursor is None else cursor.at
    if newest < oldest:
        return iter(())
    share = -(-limit // len(period.partitions)) + OVERFETCH  # of each; more is read if needed
    rows = [
        _by_key(
            index.query(
                partition,
                Row.at.between(oldest, newest),
                scan_index_forward=False,
                # With the cursor's own row, and the one after the page's last.
                page_size=min(limit, share) + 2,
            )
        )
        for partition in period.partitions
    ]
    merged = heapq.merge(*rows, key=_order, reverse=True)
    return (row for row in merged if cursor is None or _order(row) < astuple(cursor))


def _by_key(rows: Iterable[Row]) -> Iterator[Row]:
    """Yield the rows; those of one time, which an index returns in no order, by their keys."""
    for _, simultaneous in groupby(rows, key=lambda row: row.at):
        yield from sorted(simultaneous, key=_order, reverse=True)


def _order(row: Row) -> tuple[str | None, str, str]:
    return row.at, row.pk, row.sk


def _time(cursor: Cursor) -> datetime:
    return timestamps.from_text(cursor.at.split("#", 1)[1])
