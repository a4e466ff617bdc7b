"""Pages of rows, newest first, from the indexes; a cursor is a place in time, so it stays valid."""

from __future__ import annotations

import heapq
from dataclasses import astuple, dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Any

from skycore import timestamps
from skycore.table import keys
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
    """Where a page ended: the time of its last row, and the row's key to part equal times."""

    at: str
    pk: str = ""
    sk: str = ""


@dataclass(frozen=True, slots=True)
class PartitionRange:
    """A stretch of time whose rows share some partitions of an index."""

    start: datetime
    partitions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TimeRange:
    """What is asked for: a kind of row, from `since` until `until` (UTC), after `place`."""

    kind: str
    since: datetime
    until: datetime
    place: Cursor | None


def by_month(number: str) -> Callable[[datetime], PartitionRange]:
    """The periods of the index by counterpart number."""

    def period(moment: datetime) -> PartitionRange:
        start = moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        return PartitionRange(start, (keys.number_partition(number, start),))

    return period


def by_day(moment: datetime) -> PartitionRange:
    """The periods of the index by day."""
    start = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    return PartitionRange(start, tuple(keys.day_partitions(start)))


def unbounded(state: str) -> Callable[[datetime], PartitionRange]:
    """The one period of the index by state."""
    partitions = tuple(keys.state_partitions(state))
    return lambda _: PartitionRange(datetime(2000, 1, 1, tzinfo=UTC), partitions)


def query_page(
    index: GlobalSecondaryIndex[Any],
    period_of: Callable[[datetime], PartitionRange],
    span: TimeRange,
    limit: int,
) -> tuple[list[Key], Cursor | None]:
    """Up to `limit` keys of rows in the span, and the place to go on from (None at the end)."""
    found: list[Key] = []
    queries = 0
    place = span.place
    moment = span.until if place is None else _moment(place)
    while moment >= span.since:
        period = period_of(moment)
        for row in _newest(index, period, span, place, limit - len(found) + 1):
            if len(found) == limit:
                return found, place
            found.append((row.pk, row.sk))
            place = Cursor(row.at, row.pk, row.sk)
        moment = period.start - timedelta(microseconds=1)
        queries += len(period.partitions)
        if queries >= MAX_QUERIES and moment >= span.since:
            return found, Cursor(keys.index_sort_key(span.kind, moment), "~")
    return found, None


def iter_pages(
    index: GlobalSecondaryIndex[Any],
    period_of: Callable[[datetime], PartitionRange],
    span: TimeRange,
) -> Iterator[list[Key]]:
    """Keys of all rows in the span, newest first, as many at a time as one call reads."""
    while True:
        keys_, place = query_page(index, period_of, span, READ_KEYS)
        yield keys_
        if place is None:
            return
        span = replace(span, place=place)


def earliest(
    index: GlobalSecondaryIndex[Any],
    period_of: Callable[[datetime], PartitionRange],
    span: TimeRange,
    limit: int,
) -> list[Key]:
    """Keys of the first `limit` rows of a short span, oldest first."""
    first, last = (
        keys.index_sort_key(span.kind, span.since),
        keys.index_sort_key(span.kind, span.until),
    )
    rows: list[Row] = []
    moment = span.until
    while moment >= span.since:
        period = period_of(moment)
        for partition in period.partitions:
            rows += index.query(partition, Row.at.between(first, last), limit=limit)
        moment = period.start - timedelta(microseconds=1)
    return [(row.pk, row.sk) for row in sorted(rows, key=_order)[:limit]]


def _newest(
    index: GlobalSecondaryIndex[Any],
    period: PartitionRange,
    span: TimeRange,
    place: Cursor | None,
    limit: int,
) -> Iterator[Row]:
    """The period's rows of the span from `place` on, newest first, of all its partitions."""
    oldest = keys.index_sort_key(span.kind, max(period.start, span.since))
    newest = keys.index_sort_key(span.kind, span.until) if place is None else place.at
    if newest < oldest:
        return iter(())
    share = -(-limit // len(period.partitions)) + OVERFETCH  # of each; more is read where needed
    rows = [
        _by_key(
            index.query(
                partition,
                Row.at.between(oldest, newest),
                scan_index_forward=False,
                # And the place's own row, and the one after the page's last.
                page_size=min(limit, share) + 2,
            )
        )
        for partition in period.partitions
    ]
    merged = heapq.merge(*rows, key=_order, reverse=True)
    return (row for row in merged if place is None or _order(row) < astuple(place))


def _by_key(rows: Iterable[Row]) -> Iterator[Row]:
    """The same rows; those of one moment, which an index gives in no order, by their keys."""
    for _, together in groupby(rows, key=lambda row: row.at):
        yield from sorted(together, key=_order, reverse=True)


def _order(row: Row) -> tuple[str | None, str, str]:
    return row.at, row.pk, row.sk


def _moment(place: Cursor) -> datetime:
    return timestamps.from_text(place.at.split("#", 1)[1])
