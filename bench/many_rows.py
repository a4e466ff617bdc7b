"""A table with as many rows as are asked for, none of which exists until it is read.

Row i of n is a message of one number and one sender (or of its own number), and a receipt of its
own, in even steps over the last twenty days, so an index's partition is a range of numbers and a
query a calculation. All receipts are on the list of unparsed ones too, unless it says otherwise. It
counts what DynamoDB would read: index entries that a query returns, and rows.
Nothing is sorted or held, so it shows what the routes ask for, not how fast DynamoDB is.
"""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import batched, islice
from typing import TYPE_CHECKING, Any
from unittest import mock

from pynamodb.connection.base import Connection

from skycore import timestamps
from skycore.postbacks.parser import read_postback
from skycore.table import events, messages, models

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

DAYS = 20
NUMBER, SENDER = "17743199144", "60856"
SHARDS = models.DAY_SHARDS
assert SHARDS == models.STATE_SHARDS
PAGE_ROWS = 1_000  # messages in a page of a scan, with their receipts about a megabyte
UNKNOWN = "unknown"  # goes before the number of a message whose outcome nobody knows
RECEIPT = (
    "<POSTBACK><ORIGIN>SMS_MT</ORIGIN><CODE>N202</CODE><FROM>60856</FROM><TO>{}</TO>"
    "<TRACKINGID>{}</TRACKINGID></POSTBACK>"
)

type Item = dict[str, dict[str, Any]]


@dataclass(slots=True)
class ManyRows:
    """What `Connection.client` is while a route is counted."""

    rows: int
    until: datetime
    own_numbers: bool = False
    unparsed: bool = True
    read: Counter[str] = field(default_factory=Counter)
    _receipts: dict[tuple[str, str], int] = field(default_factory=dict)  # rows by keys, once seen
    _request_signer: None = None

    def _make_api_call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        self.read["requests"] += 1
        answer: dict[str, Any] = getattr(self, f"_{operation}")(request)
        return answer

    @contextmanager
    def connected(self) -> Iterator[None]:
        """While it lasts, this is the table."""
        with mock.patch.object(Connection, "client", self):
            yield

    def scan(self) -> Iterator[list[Item]]:
        """Yield all rows, a page of a scan at a time."""
        for page in batched(range(self.rows), PAGE_ROWS, strict=False):
            yield [
                item
                for row in page
                for item in (self._message(row, f"{row:08}"), self._receipt(row))
            ]

    def number(self, row: int) -> str:
        """The number that a row's message went to."""
        return f"1774{row:07}" if self.own_numbers else NUMBER

    @property
    def _start(self) -> datetime:
        return self.until - timedelta(days=DAYS)

    @property
    def _step(self) -> timedelta:
        return timedelta(days=DAYS) / self.rows

    def moment(self, row: int) -> datetime:
        """When a row's message was sent and its receipt came."""
        return self._start + row * self._step

    def _first_from(self, moment: datetime) -> int:
        """The first row at or after a moment."""
        row = max(0, min(self.rows, int((moment - self._start) / self._step)))
        while row < self.rows and self.moment(row) < moment:
            row += 1
        while row and self.moment(row - 1) >= moment:
            row -= 1
        return row

    def event_id(self, row: int) -> str:
        """The id of a row's receipt."""
        return models.event_id_of(self._receipt(row)["sk"]["S"])

    def _receipt(self, row: int) -> Item:
        body = RECEIPT.format(self.number(row), tracking_id(row)).encode()
        (event,) = read_postback(body, self.moment(row))
        key = models.event_key(event.id)
        item = events.row_of(event, body, 90, key=key, alone=True).serialize()
        pk, sk = item["pk"]["S"], item["sk"]["S"]
        self._receipts[pk, sk] = self._receipts[pk, models.MESSAGE] = row
        return item

    def _row(self, key: Item) -> int:
        """The row that a key is of."""
        pk, sk = key["pk"]["S"], key["sk"]["S"]
        if (pk, sk) in self._receipts:
            return self._receipts[pk, sk]
        return int(pk.partition("#")[2].removeprefix(UNKNOWN))

    def _read(self, key: Item) -> Item | None:
        self.read["rows"] += 1  # a key without a row costs as much
        pk = key["pk"]["S"]
        if key["sk"]["S"] == models.SHARED or (pk.startswith("tracking#") and pk.count("#") > 1):
            return None  # no tracking id is shared
        row = self._row(key)
        if key["sk"]["S"].startswith(models.EVENT):
            return self._receipt(row)
        if not key["pk"]["S"].startswith("tracking#"):
            return self._message(row, key["pk"]["S"].partition("#")[2])
        made = messages.TrackingRow(
            *(key[name]["S"] for name in ("pk", "sk")), message_id=f"{row:08}"
        )
        item: Item = made.serialize()
        return item

    def _GetItem(self, request: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        item = self._read(request["Key"])
        return {"Item": item} if item else {}

    def _BatchGetItem(self, request: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        ((table, asked),) = request["RequestItems"].items()
        return {"Responses": {table: [*filter(None, map(self._read, asked["Keys"]))]}}

    def _Query(self, request: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        """Of a tracking id its receipt; of an index a partition, between two places in time."""
        partition, *bounds = (value["S"] for value in _values(request))
        if "IndexName" not in request:
            row = self._receipts.get((partition, models.MESSAGE))
            self.read["rows"] += row is not None
            return _page([] if row is None else [self._receipt(row)])
        if not bounds:
            return self._every(partition)
        low, high = bounds
        kind = low.partition("#")[0]
        if self.own_numbers and partition.startswith("number#"):
            row = int(partition.split("#")[1][4:])
            at = models.index_sort_key(kind, self.moment(row))
            here = row < self.rows and low <= at <= high and partition.endswith(at[8:15])
            found = [self._entry(kind, row)] if here else []
            self.read["index entries"] += len(found)
            return _page(found)
        last = partition.rpartition("#")[2]
        shard = int(last) if not partition.startswith("number#") and last.isdigit() else None
        if partition.startswith("state#") and shard is None:
            return _page([])  # where earlier releases wrote
        first, end = (
            self._first_from(_time(low)),
            self._first_from(_time(high) + timedelta.resolution),
        )
        newest_first = not request.get("ScanIndexForward", True)
        start = request.get("ExclusiveStartKey")
        if start:
            assert newest_first
            end = self._row(start)
        rows_there = range(end - 1, first - 1, -1) if newest_first else range(first, end)
        wanted = (row for row in rows_there if shard is None or row % SHARDS == shard)
        found = [self._entry(kind, row) for row in islice(wanted, request["Limit"])]
        self.read["index entries"] += len(found)
        more = next(wanted, None) is not None
        end_of_page = {"LastEvaluatedKey": found[-1]} if found and more else {}
        return _page(found) | end_of_page

    def _every(self, partition: str) -> dict[str, Any]:
        """Return all entries of a number and month, or of a state."""
        kind, number, *rest = partition.split("#")
        if kind != "number":
            assert not self.unparsed
            return _page([])
        rows: Iterable[int] = range(self.rows) if number == self.number(0) else ()
        if self.own_numbers:
            own = number.startswith("1774") and len(number) == len(NUMBER)
            rows = [int(number[4:])] if own and int(number[4:]) < self.rows else []
        found = [
            self._entry(kind, row)
            for row in rows
            for kind in ("message", "event")
            if f"{self.moment(row):%Y-%m}" == rest[0]
        ]
        self.read["index entries"] += len(found)
        return _page(found)

    def _entry(self, kind: str, row: int) -> Item:
        if kind == "event":
            item = self._receipt(row)
            key = {name: item[name] for name in ("pk", "sk")}
        else:
            key = {"pk": {"S": f"message#{row:08}"}, "sk": {"S": models.MESSAGE}}
        return key | {"at": {"S": models.index_sort_key(kind, self.moment(row))}}

    def _message(self, row: int, message_id: str) -> Item:
        made = messages.new_row(
            message_id,
            "unknown" if message_id.startswith(UNKNOWN) else "accepted",
            time=self.moment(row),
            days=90,
            attempt="a",
            action="sendSMS",
            to=self.number(row),
            sender=SENDER,
            fingerprint="f",
        )
        if not message_id.startswith(UNKNOWN):
            made.tracking_id = tracking_id(row)
            self._receipts[models.tracking_partition(made.tracking_id), models.MESSAGE] = row
        item: Item = made.serialize()
        return item


def tracking_id(row: int) -> str:
    """The tracking id of a row's message and receipt."""
    return f"U01T{row:08}"


def _page(found: list[Item]) -> dict[str, Any]:
    return {"Items": found, "Count": len(found), "ScannedCount": len(found)}


def _values(request: dict[str, Any]) -> list[dict[str, str]]:
    """The partition, the lower and the upper bound, in the order of the expression."""
    values: dict[str, dict[str, str]] = request["ExpressionAttributeValues"]
    return [values[name] for name in sorted(values, key=lambda name: int(name.strip(":")))]


def _time(at: str) -> datetime:
    return timestamps.from_text(at.partition("#")[2]).astimezone(UTC)
