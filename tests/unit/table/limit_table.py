"""The limiter's item in memory, and places where a test can interfere."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from unittest import mock

from botocore.exceptions import ClientError
from pynamodb.connection.base import Connection

from skycore.table.limiter import KEY, PREVIOUS_KEY, decode, expressions
from tests.unit.table.expressions import holds, updated
from tests.unit.table.fake_dynamodb import error
from tests.unit.table.tables import new_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from skycore.table.limits import Item, Take


class Table:
    """The table with the limiter's item, and places where a test can interfere."""

    def __init__(self) -> None:
        self._table = new_table()
        self._request_signer = None
        self.calls: list[str] = []
        self.requests: list[dict[str, Any]] = []
        self.before: Any = None  # called once, before the next call is carried out
        self.after: Any = None  # called once, after the next update
        self.tells_item = True  # where a condition fails
        self._lock = threading.Lock()

    @contextmanager
    def connected(self) -> Iterator[None]:
        """While it lasts, this is the table."""
        with mock.patch.object(Connection, "client", self):
            yield

    def _make_api_call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        assert request["TableName"] == "table"
        assert request["Key"] in (KEY, PREVIOUS_KEY)
        self._once("before")
        with self._lock:
            self.calls.append(operation)
            self.requests.append(request)
            try:
                answer = self._table._make_api_call(operation, request)
            except ClientError as error:
                if not self.tells_item:
                    error.response.pop("Item", None)  # type: ignore[typeddict-item]
                raise
        if operation != "GetItem":
            self._once("after")
        return answer

    def _once(self, name: str) -> None:
        hook = getattr(self, name)
        setattr(self, name, None)
        if hook:
            hook()

    def refused(self) -> ClientError:
        """Return the error of a condition that fails on the item as it is now."""
        failed = error("ConditionalCheckFailedException", "UpdateItem")
        failed.response["Item"] = self.attributes  # type: ignore[typeddict-unknown-key]
        return failed

    @property
    def attributes(self) -> dict[str, Any]:
        """The item as DynamoDB has it."""
        held: dict[str, Any] = self._table.items[KEY["pk"]["S"], KEY["sk"]["S"]]
        return held

    @property
    def item(self) -> Item:
        """The item."""
        return decode(self.attributes)

    def delete(self) -> None:
        """Delete the item, as an operator may."""
        self._table.items = {}

    def put(self, attributes: dict[str, Any]) -> None:
        """Put an item with these attributes, key included."""
        key = (attributes["pk"]["S"], attributes["sk"]["S"])
        self._table.items = self._table.items | {key: attributes}


class QuickTable(Table):
    """One item and nothing else, for hundreds of thousands of calls."""

    def __init__(self) -> None:
        super().__init__()
        self.held: dict[str, Any] = {}

    @property
    def attributes(self) -> dict[str, Any]:
        return self.held

    def _make_api_call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        self.calls.append(operation)
        if operation == "GetItem":
            return {"Item": self.held} if self.held and request["Key"] == KEY else {}
        condition = request.get("ConditionExpression")
        if condition and not holds(condition, request, self.held):
            raise self.refused()
        self.held, _ = updated(request, self.held)
        return {"Attributes": self.held}


def encode(item: Item) -> dict[str, Any]:
    """Return the attributes of an item."""
    return {name: _encoded(value) for name, value in item.items()}


def _encoded(value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        return {"M": encode(value)}
    return {"S": value} if isinstance(value, str) else {"N": str(value)}


def written(item: Item, take: Take) -> Item:
    """Return the item once a take is written, as DynamoDB does it. Its condition must hold."""
    request = expressions(take.actions, take.conditions)
    attributes = encode(item)
    assert holds(request["ConditionExpression"], request, attributes)
    return decode(updated(request, attributes)[0])


class SlowTable(Table):
    """Answers as late as DynamoDB does."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds

    def _make_api_call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        time.sleep(self.seconds / 2)
        try:
            return super()._make_api_call(operation, request)
        finally:
            time.sleep(self.seconds / 2)
