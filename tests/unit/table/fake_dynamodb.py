"""A table in memory, in the place of PynamoDB's client: conditions, batches, indexes, limits.

It refuses what DynamoDB refuses (limits of keys, items and batches, a key twice in a batch), keeps
the stream's records, counts calls, and fails where a test wants it to.
"""

from __future__ import annotations

import base64
import copy
import re
import zlib
from collections import Counter
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from collections.abc import Callable

type Item = dict[str, dict[str, Any]]
type Key = tuple[str, str]

INDEXES = {"by_number": "number", "by_day": "day", "by_state": "state"}
TOKEN = re.compile(r"\s*(<=|>=|<>|[()=<>,]|[#:]?[A-Za-z_0-9.]+(?:\[\d+\])?)")


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
        if kind in {"BOOL", "NULL"}:
            return 1
        if kind == "N":
            return len(held) // 2 + 2
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
        answer: dict[str, Any] = getattr(self, f"_{operation}")(copy.deepcopy(request))
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
        return {} if item is None else {"Item": copy.deepcopy(item)}

    def _PutItem(self, request: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        self._check("PutItem", request, self.items.get(_key(request["Item"])))
        self._write(request["Item"], "PutItem")
        return {}

    def _UpdateItem(self, request: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        key = _key(request["Key"])
        before = self.items.get(key)
        self._check("UpdateItem", request, before)
        item = self._updated(request)
        self._write(item, "UpdateItem")
        told = {"ALL_OLD": before, "ALL_NEW": item, "NONE": None}[
            request.get("ReturnValues", "NONE")
        ]
        return {"Attributes": copy.deepcopy(told)} if told else {}

    def _updated(self, request: dict[str, Any]) -> Item:
        old = self.items.get(_key(request["Key"]), request["Key"])
        item = copy.deepcopy(old)
        for verb, clause in _clauses(request["UpdateExpression"]):
            for part in _split(clause):
                self._apply(verb, part, request, old, item)
        return item

    def _DeleteItem(self, request: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        key = _key(request["Key"])
        self._check("DeleteItem", request, self.items.get(key))
        old = self.items.pop(key, None)
        if old:
            self._record("REMOVE", old, None)
        return {}

    def _apply(self, verb: str, part: str, request: dict[str, Any], old: Item, item: Item) -> None:
        names = request["ExpressionAttributeNames"]
        values = request.get("ExpressionAttributeValues", {})
        if verb == "REMOVE":
            entry = re.fullmatch(r"(#\w+)\[(\d+)\]", part.strip())
            if entry:
                del item[names[entry[1]]]["L"][int(entry[2])]
            else:
                item.pop(names[part.strip()], None)
            return
        left, _, right = part.partition("=")
        right = right.strip()
        name = names[left.strip()]
        appended = re.fullmatch(r"list_append ?\((#\w+), ?(:\w+)\)", right)
        kept = re.fullmatch(r"if_not_exists ?\((#\w+), ?(:\w+)\)", right)
        if kept:
            item[name] = old.get(names[kept[1]], values[kept[2]])
        elif appended:
            held = old[names[appended[1]]]["L"]
            item[name] = {"L": held + values[appended[2]]["L"]}
        else:
            item[name] = values[right] if right.startswith(":") else old[names[right]]

    # --- many items -----------------------------------------------------------------------------

    def _BatchGetItem(self, request: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        ((table, wanted),) = request["RequestItems"].items()
        keys = wanted["Keys"]
        self._batch_limits("BatchGetItem", [_key(key) for key in keys], 100)
        assert wanted["ConsistentRead"]
        later = self.unprocessed("BatchGetItem", keys)
        now = keys[: len(keys) - later]
        found = [copy.deepcopy(self.items[_key(k)]) for k in now if _key(k) in self.items]
        if "ProjectionExpression" in wanted:
            names = set(wanted["ExpressionAttributeNames"].values())
            found = [{name: item[name] for name in item if name in names} for item in found]
        left = {table: {**wanted, "Keys": keys[len(now) :]}} if later else {}
        return {"Responses": {table: found}, "UnprocessedKeys": left}

    def _BatchWriteItem(self, request: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        ((table, requests),) = request["RequestItems"].items()
        items = [entry["PutRequest"]["Item"] for entry in requests]
        self._batch_limits("BatchWriteItem", [_key(item) for item in items], 25)
        for item in items:
            self._limits(item, "BatchWriteItem")
        if sum(size_of(item) for item in items) > 16_000_000:
            raise error("ValidationException", "BatchWriteItem")
        later = self.unprocessed("BatchWriteItem", requests)
        for item in items[: len(items) - later]:
            self._write(item, "BatchWriteItem")
        return {"UnprocessedItems": {table: requests[len(items) - later :]} if later else {}}

    def _TransactWriteItems(self, request: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        writes = [write for entry in request["TransactItems"] for write in entry.values()]
        keys = [_key(write.get("Item") or write["Key"]) for write in writes]
        self._batch_limits("TransactWriteItems", keys, 100)
        items = [write.get("Item") or self._updated(write) for write in writes]
        if sum(size_of(item) for item in items) > 4_000_000:
            raise error("ValidationException", "TransactWriteItems")
        reasons = []
        for key, write in zip(keys, writes, strict=True):
            held = _holds(write["ConditionExpression"], write, self.items.get(key, {}))
            reasons.append({"Code": "None" if held else "ConditionalCheckFailed"})
        if any(reason["Code"] != "None" for reason in reasons):
            cancelled = error("TransactionCanceledException", "TransactWriteItems")
            cancelled.response["CancellationReasons"] = reasons  # type: ignore[typeddict-unknown-key]
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
            and _holds(request["KeyConditionExpression"], request, item)
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
        found = copy.deepcopy([row for row in page if not kept or _holds(kept, request, row)])
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
        if condition and not _holds(condition, request, item or {}):
            failed = error("ConditionalCheckFailedException", operation)
            if item and request.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD":
                failed.response["Item"] = copy.deepcopy(item)  # type: ignore[typeddict-unknown-key]
            raise failed

    def _write(self, item: Item, operation: str) -> None:
        self._limits(item, operation)
        old = self.items.get(_key(item))
        self.items[_key(item)] = copy.deepcopy(item)
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


def _check_aliases(request: dict[str, Any]) -> None:
    """Raise if an alias is missing or is not used, as DynamoDB does."""
    expressions = " ".join(text for name, text in request.items() if name.endswith("Expression"))
    for sign, known in (("#", "ExpressionAttributeNames"), (":", "ExpressionAttributeValues")):
        if _aliases(sign, expressions) != request.get(known, {}).keys():
            raise error("ValidationException", "Expression")


@cache
def _aliases(sign: str, expressions: str) -> frozenset[str]:
    return frozenset(re.findall(rf"{sign}\w+", expressions))


def _image(item: Item) -> Item:
    """As Lambda brings it: binary values in base64."""
    return {
        name: {"B": base64.b64encode(field["B"]).decode()} if "B" in field else field
        for name, field in copy.deepcopy(item).items()
    }


def _key(item: Item) -> Key:
    return item["pk"]["S"], item["sk"]["S"]


def _partition(request: dict[str, Any], hashed: str) -> dict[str, Any]:
    """The value of the hash key in a query's condition, by which most items are ruled out."""
    for name, value in re.findall(r"(#\w+) = (:\w+)", request["KeyConditionExpression"]):
        if request["ExpressionAttributeNames"][name] == hashed:
            found: dict[str, Any] = request["ExpressionAttributeValues"][value]
            return found
    raise error("ValidationException", "Query")


def _clauses(expression: str) -> list[tuple[str, str]]:
    parts = re.split(r"\b(SET|REMOVE)\b", expression)[1:]
    return list(zip(parts[::2], parts[1::2], strict=True))


def _split(clause: str) -> list[str]:
    return [part for part in re.split(r",(?![^(]*\))", clause) if part.strip()]


def _holds(expression: str, request: dict[str, Any], item: Item) -> bool:
    held, rest = _or(list(_tokens(expression)), request, item)
    assert not rest, expression
    return held


@cache
def _tokens(expression: str) -> tuple[str, ...]:
    tokens = TOKEN.findall(expression)
    assert "".join(tokens) == re.sub(r"\s", "", expression), expression
    return tuple(tokens)


def _or(tokens: list[str], request: dict[str, Any], item: Item) -> tuple[bool, list[str]]:
    held, tokens = _and(tokens, request, item)
    while tokens and tokens[0] == "OR":
        other, tokens = _and(tokens[1:], request, item)
        held = held or other
    return held, tokens


def _and(tokens: list[str], request: dict[str, Any], item: Item) -> tuple[bool, list[str]]:
    held, tokens = _term(tokens, request, item)
    while tokens and tokens[0] == "AND":
        other, tokens = _term(tokens[1:], request, item)
        held = held and other
    return held, tokens


def _operand(token: str, *, request: dict[str, Any], item: Item) -> Any:
    name, _, position = token.rstrip("]").partition("[")
    if token.startswith("#"):
        field = item.get(request["ExpressionAttributeNames"][name])
    else:
        field = request["ExpressionAttributeValues"][token]
    if field and position:
        field = dict(enumerate(field["L"])).get(int(position))
    if field is None:
        return None
    ((kind, held),) = field.items()
    return float(held) if kind == "N" else held


def _term(tokens: list[str], request: dict[str, Any], item: Item) -> tuple[bool, list[str]]:
    names = request.get("ExpressionAttributeNames", {})
    operand = partial(_operand, request=request, item=item)
    if tokens[0] == "(":
        held, rest = _or(tokens[1:], request, item)
        assert rest[0] == ")"
        return held, rest[1:]
    if tokens[0] in {"attribute_exists", "attribute_not_exists"}:
        return (names[tokens[2]] in item) == (tokens[0] == "attribute_exists"), tokens[4:]
    if tokens[0] == "begins_with":
        return str(operand(tokens[2])).startswith(operand(tokens[4])), tokens[6:]
    if tokens[0] == "size":
        sized = operand(tokens[2])
        left, tokens = None if sized is None else len(sized), tokens[3:]
    else:
        left = operand(tokens[0])
    if tokens[1] == "BETWEEN":
        low, high = operand(tokens[2]), operand(tokens[4])
        return left is not None and low <= left <= high, tokens[5:]
    if tokens[1] == "IN":
        end = tokens.index(")")
        return left in [operand(token) for token in tokens[3:end:2]], tokens[end + 1 :]
    right = operand(tokens[2])
    if left is None or right is None:
        return False, tokens[3:]
    held = {
        "=": left == right,
        "<>": left != right,
        "<": left < right,
        "<=": left <= right,
        ">": left > right,
        ">=": left >= right,
    }[tokens[1]]
    return held, tokens[3:]
