"""A table in memory, in the place of PynamoDB's client: conditions, batches, indexes, limits.

It refuses what DynamoDB refuses (limits of keys, items and batches, a key twice in a batch), keeps
the stream's records, counts calls, and fails where a test wants it to.
"""

from __future__ import annotations

import base64
import re
import zlib
from collections import Counter
from functools import cache
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from tests.unit.table import expressions
from tests.unit.table.expressions import holds

if TYPE_CHECKING:
    from collections.abc import Callable

type Item = dict[str, dict[str, Any]]
type Key = tuple[str, str]

INDEXES = {"by_number": "number", "by_day": "day", "by_state": "state"}


class Crash(BaseException):
    """The process dies here: no handler of ours may catch it."""


def error(code: str, operation: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": code}}, operation)


def size_of(item: Item) -> int:
    """Bytes of an item as DynamoDB counts them: names and values."""

    def value(field: dict[str, Any]) -> int:
        ((kind, held),) = field.items()
        if kind == "L":
            return 3 + sum(1 + value(entry) for entry in held)
        if kind == "M":
            return 3 + sum(1 + len(name) + value(entry) for name, entry in held.items())
        if kind in {"BOOL", "NULL"}:
            return 1
        if kind == "N":
            return len(held) // 2 + 2
        if kind == "SS":
            return sum(len(text.encode()) for text in held)
        return len(held) if kind == "B" else len(held.encode())

    return sum(len(name) + value(field) for name, field in item.items())


class Hooked:
    """What every table of a test has: counted calls, and places where a test can interfere."""

    items: dict[Key, Item]
    stream: list[dict[str, Any]]

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.before: Callable[[int, str, dict[str, Any]], None] = lambda *_: None
        self.unprocessed: Callable[[str, list[Any]], int] = lambda *_: 0
        self._request_signer = None

    def of_kind(self, kind: str) -> list[Item]:
        return [item for item in self.items.values() if item.get("kind", {}).get("S") == kind]

    def _make_api_call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        self.before(sum(self.calls.values()), operation, request)
        self.calls[operation] += 1
        answer: dict[str, Any] = getattr(self, f"_{operation}")(copied(request))
        return answer


class FakeDynamoDB(Hooked):
    """What `Connection.client` is in a test."""

    def __init__(self) -> None:
        super().__init__()
        self.items = {}
        self.stream = []

    # --- one item -----------------------------------------------------------------------------

    def _GetItem(self, request: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        item = self.items.get(_key(request["Key"]))
        return {} if item is None else {"Item": copied(item)}

    def _PutItem(self, request: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        self._check("PutItem", request, self.items.get(_key(request["Item"])))
        self._write(request["Item"], "PutItem")
        return {}

    def _UpdateItem(self, request: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        key = _key(request["Key"])
        self._check("UpdateItem", request, self.items.get(key))
        before = self.items.get(key)
        item, paths = self._updated(request, before)
        self._write(item, "UpdateItem")
        wanted = request.get("ReturnValues", "NONE")
        of = before if wanted.endswith("OLD") else item
        returned = None if wanted == "NONE" else of
        if of and wanted.startswith("UPDATED"):
            returned = expressions.only(of, paths)
        return {"Attributes": copied(returned)} if returned else {}

    def _updated(self, request: dict[str, Any], before: Item | None) -> tuple[Item, Any]:
        try:
            return expressions.updated(request, before or request["Key"])
        except expressions.InvalidError as invalid:
            raise error("ValidationException", "UpdateItem") from invalid

    def _DeleteItem(self, request: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        key = _key(request["Key"])
        self._check("DeleteItem", request, self.items.get(key))
        old = self.items.pop(key, None)
        if old:
            self._record("REMOVE", old, None)
        return {}

    # --- many items -----------------------------------------------------------------------------

    def _BatchGetItem(self, request: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        ((table, wanted),) = request["RequestItems"].items()
        keys = wanted["Keys"]
        self._batch_limits("BatchGetItem", [_key(key) for key in keys], 100)
        assert wanted["ConsistentRead"]
        later = self.unprocessed("BatchGetItem", keys)
        now = keys[: len(keys) - later]
        found = [copied(self.items[_key(k)]) for k in now if _key(k) in self.items]
        if "ProjectionExpression" in wanted:
            names = set(wanted["ExpressionAttributeNames"].values())
            found = [{name: item[name] for name in item if name in names} for item in found]
        left = {table: {**wanted, "Keys": keys[len(now) :]}} if later else {}
        return {"Responses": {table: found}, "UnprocessedKeys": left}

    def _BatchWriteItem(self, request: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        ((table, requests),) = request["RequestItems"].items()
        items = [entry["PutRequest"]["Item"] for entry in requests if "PutRequest" in entry]
        gone = [entry["DeleteRequest"]["Key"] for entry in requests if "DeleteRequest" in entry]
        self._batch_limits("BatchWriteItem", [_key(item) for item in (*items, *gone)], 25)
        for item in items:
            self._limits(item, "BatchWriteItem")
        if sum(size_of(item) for item in items) > 16_000_000:
            raise error("ValidationException", "BatchWriteItem")
        later = self.unprocessed("BatchWriteItem", requests)
        for entry in requests[: len(requests) - later]:
            if "PutRequest" in entry:
                self._write(entry["PutRequest"]["Item"], "BatchWriteItem")
            elif old := self.items.pop(_key(entry["DeleteRequest"]["Key"]), None):
                self._record("REMOVE", old, None)
        return {"UnprocessedItems": {table: requests[len(requests) - later :]} if later else {}}

    def _TransactWriteItems(self, request: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        writes = [write for entry in request["TransactItems"] for write in entry.values()]
        keys = [_key(write.get("Item") or write["Key"]) for write in writes]
        self._batch_limits("TransactWriteItems", keys, 100)
        items = [
            write.get("Item") or self._updated(write, self.items.get(key))[0]
            for key, write in zip(keys, writes, strict=True)
            if "Item" in write or "UpdateExpression" in write  # else it is a ConditionCheck
        ]
        if sum(size_of(item) for item in items) > 4_000_000:
            raise error("ValidationException", "TransactWriteItems")
        reasons: list[Any] = []
        for key, write in zip(keys, writes, strict=True):
            held = holds(write["ConditionExpression"], write, self.items.get(key, {}))
            reasons.append({"Code": "None" if held else "ConditionalCheckFailed"})
        if any(reason["Code"] != "None" for reason in reasons):
            cancelled = error("TransactionCanceledException", "TransactWriteItems")
            cancelled.response["CancellationReasons"] = reasons
            raise cancelled
        for item in items:
            self._write(item, "TransactWriteItems")
        return {}

    def _Query(self, request: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        index = request.get("IndexName")
        descending = request.get("ScanIndexForward") is False
        sort = "at" if index else "sk"
        hashed = INDEXES[index] if index else "pk"
        wanted = _partition(request, hashed)
        rows = [
            item
            for item in self.items.values()
            if item.get(hashed) == wanted
            and sort in item
            and holds(request["KeyConditionExpression"], request, item)
        ]
        # An index gives rows of one moment in no order that means anything.
        rows.sort(key=lambda row: zlib.crc32(str(_key(row)).encode()))
        rows.sort(key=lambda row: str(row[sort]["S"]), reverse=descending)
        start = request.get("ExclusiveStartKey")
        first = 0
        if start:
            first = [_key(row) for row in rows].index(_key(start)) + 1
        page = rows[first : first + request.get("Limit", len(rows) + 1)]
        if index:
            names = {"pk", "sk", "at", INDEXES[index]}
            page = [{name: row[name] for name in row if name in names} for row in page]
        more = first + len(page) < len(rows)
        last = {name: page[-1][name] for name in ("pk", "sk")} if more else None
        kept = request.get("FilterExpression")  # of the page, so of what an index projects
        found = copied([row for row in page if not kept or holds(kept, request, row)])
        return {"Items": found, "Count": len(found), "ScannedCount": len(page)} | (
            {"LastEvaluatedKey": last} if last else {}
        )

    # --- what DynamoDB refuses ------------------------------------------------------------------

    def _batch_limits(self, operation: str, keys: list[Key], most: int) -> None:
        if not 0 < len(keys) <= most or len(set(keys)) != len(keys):
            raise error("ValidationException", operation)

    def _limits(self, item: Item, operation: str) -> None:
        pk, sk = _key(item)
        fits = 0 < len(pk.encode()) <= 2048 and 0 < len(sk.encode()) <= 1024
        for name in ("number", "day", "state"):
            fits &= name not in item or 0 < len(item[name]["S"].encode()) <= 2048
        fits &= "at" not in item or 0 < len(item["at"]["S"].encode()) <= 1024
        if not fits or size_of(item) > 400 * 1024:
            raise error("ValidationException", operation)

    def _check(self, operation: str, request: dict[str, Any], item: Item | None) -> None:
        condition = request.get("ConditionExpression")
        _check_aliases(request)
        if condition and not holds(condition, request, item or {}):
            failed = error("ConditionalCheckFailedException", operation)
            if item and request.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD":
                failed.response["Item"] = copied(item)  # type: ignore[typeddict-unknown-key]
            raise failed

    def _write(self, item: Item, operation: str) -> None:
        self._limits(item, operation)
        old = self.items.get(_key(item))
        self.items[_key(item)] = copied(item)
        if old != item:
            self._record("MODIFY" if old else "INSERT", old, item)

    def _record(self, name: str, old: Item | None, new: Item | None) -> None:
        item = new or old or {}
        change: dict[str, Any] = {
            "Keys": {part: item[part] for part in ("pk", "sk")},
            "SequenceNumber": str(len(self.stream) + 1),
        }
        if new:
            change["NewImage"] = _image(new)
        if old:
            change["OldImage"] = _image(old)
        self.stream.append({"eventName": name, "eventSource": "aws:dynamodb", "dynamodb": change})


def copied(value: Any) -> Any:
    """Return a copy of JSON-like data. copy.deepcopy takes several times as long."""
    if isinstance(value, dict):
        return {name: copied(one) for name, one in value.items()}
    if isinstance(value, list):
        return [copied(one) for one in value]
    return value


def _check_aliases(request: dict[str, Any]) -> None:
    """Raise if an alias is missing or is not used, as DynamoDB does."""
    texts = " ".join(text for name, text in request.items() if name.endswith("Expression"))
    for sign, known in (("#", "ExpressionAttributeNames"), (":", "ExpressionAttributeValues")):
        if _aliases(sign, texts) != request.get(known, {}).keys():
            raise error("ValidationException", "Expression")


@cache
def _aliases(sign: str, texts: str) -> frozenset[str]:
    return frozenset(re.findall(rf"{sign}\w+", texts))


def _image(item: Item) -> Item:
    """As Lambda brings it: binary values in base64."""
    return {
        name: {"B": base64.b64encode(field["B"]).decode()} if "B" in field else field
        for name, field in copied(item).items()
    }


def _key(item: Item) -> Key:
    return item["pk"]["S"], item["sk"]["S"]


def _partition(request: dict[str, Any], hashed: str) -> dict[str, Any]:
    """Return the value of the hash key in a query's condition: most items do not have it."""
    for name, value in re.findall(r"(#\w+) = (:\w+)", request["KeyConditionExpression"]):
        if request["ExpressionAttributeNames"][name] == hashed:
            found: dict[str, Any] = request["ExpressionAttributeValues"][value]
            return found
    raise error("ValidationException", "Query")
