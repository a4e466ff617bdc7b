"""A table with as many rows as are asked for, none of which exists until it is read.

Row i of n is a message or an event of one number and one sender, in even steps over the last
twenty days, so an index's partition is a range of numbers and a query a calculation. It counts
what DynamoDB would read: index entries that a query returns, and rows that a batch asks for.
Nothing is sorted or held, so it shows what the routes ask for, not how fast DynamoDB is.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from skycore import times
from skycore.storage import keys, messages

DAYS = 20
NUMBER, SENDER = "17743199144", "60856"
SHARDS = keys.DAY_SHARDS

type Item = dict[str, dict[str, Any]]


@dataclass(slots=True)
class ManyRows:
    """What `Connection.client` is while a route is counted."""

    rows: int
    until: datetime
    read: Counter[str] = field(default_factory=Counter)
    _request_signer: None = None

    def _make_api_call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        self.read["requests"] += 1
        answer: dict[str, Any] = getattr(self, f"_{operation}")(request)
        return answer

    @property
    def _start(self) -> datetime:
        return self.until - timedelta(days=DAYS)

    @property
    def _step(self) -> timedelta:
        return timedelta(days=DAYS) / self.rows

    def _moment(self, row: int) -> datetime:
        return self._start + row * self._step

    def _first_from(self, moment: datetime) -> int:
        """The first row at or after a moment."""
        row = max(0, min(self.rows, int((moment - self._start) / self._step)))
        while row < self.rows and self._moment(row) < moment:
            row += 1
        while row and self._moment(row - 1) >= moment:
            row -= 1
        return row

    def _key(self, row: int) -> dict[str, dict[str, str]]:
        return {"pk": {"S": f"message#{row:08}"}, "sk": {"S": keys.MESSAGE}}

    def _GetItem(self, request: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        self.read["rows"] += 1
        return {"Item": self._item(int(request["Key"]["pk"]["S"].partition("#")[2]))}

    def _BatchGetItem(self, request: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        ((table, asked),) = request["RequestItems"].items()
        self.read["rows"] += len(asked["Keys"])
        numbers = (key["pk"]["S"].partition("#")[2] for key in asked["Keys"])
        return {"Responses": {table: [self._item(int(n)) for n in numbers]}}

    def _Query(self, request: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        """Newest first, of one partition of an index, between two places in time."""
        assert request["ScanIndexForward"] is False
        partition, low, high = (value["S"] for value in _values(request))
        shard = int(partition.rpartition("#")[2]) if partition.startswith("day#") else None
        first, end = (
            self._first_from(_time(low)),
            self._first_from(_time(high) + timedelta.resolution),
        )
        start = request.get("ExclusiveStartKey")
        if start:
            end = int(start["pk"]["S"].partition("#")[2])
        found: list[Item] = []
        row = end - 1
        while row >= first and len(found) < request["Limit"]:
            if shard is None or row % SHARDS == shard:
                found.append(self._key(row) | {"at": {"S": keys.at("message", self._moment(row))}})
            row -= 1
        self.read["index entries"] += len(found)
        last = {"LastEvaluatedKey": found[-1]} if found and row >= first else {}
        return {"Items": found, "Count": len(found), "ScannedCount": len(found), **last}

    def _item(self, row: int) -> Item:
        made = messages.new_row(
            f"{row:08}",
            "accepted",
            moment=self._moment(row),
            days=90,
            attempt="a",
            action="sendSMS",
            to=NUMBER,
            sender=SENDER,
            fingerprint="f",
        )
        item: Item = made.serialize()
        return item


def _values(request: dict[str, Any]) -> list[dict[str, str]]:
    """The partition, the lower and the upper bound, in the order of the expression."""
    values: dict[str, dict[str, str]] = request["ExpressionAttributeValues"]
    return [values[name] for name in sorted(values, key=lambda name: int(name.strip(":")))]


def _time(at: str) -> datetime:
    return times.from_text(at.partition("#")[2]).astimezone(UTC)
