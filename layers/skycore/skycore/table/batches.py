"""Read and put many rows in few calls; try again what DynamoDB did not process."""

from __future__ import annotations

import random
import time
from itertools import batched
from typing import TYPE_CHECKING, Any

from pynamodb.exceptions import TransactWriteError, VerboseClientError
from pynamodb.transactions import TransactWrite

from skycore.chunks import chunked
from skycore.table.models import Row, connection, error_code

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

READ_KEYS = 100  # of a BatchGetItem, the most that DynamoDB takes
WRITE_ROWS = 25  # of a BatchWriteItem, the most that DynamoDB takes; at 400 KB, within its 16 MB
TRANSACTION_ROWS = 100  # rows of a transaction, the most that DynamoDB takes
TRANSACTION_BYTES = 3_500_000  # of a transaction; DynamoDB takes 4 MB
CONDITION_FAILED = "ConditionalCheckFailed"  # why DynamoDB cancels a transaction
MAX_ATTEMPTS = 5  # of a call and its unprocessed part, about two seconds in all

type Key = tuple[str, str]
type Item = dict[str, dict[str, Any]]


def read_all(keys: Iterable[Key], attributes: Sequence[str] = ()) -> dict[Key, Item]:
    """Return the rows that exist among `keys`, consistently read, with all or some attributes.

    Raises PynamoDB's errors, and TimeoutError if DynamoDB keeps leaving keys unprocessed.
    """
    items: dict[Key, Item] = {}
    for batch in batched(dict.fromkeys(keys), READ_KEYS, strict=False):
        request: dict[str, Any] = {
            "Keys": [{"pk": {"S": pk}, "sk": {"S": sk}} for pk, sk in batch],
            "ConsistentRead": True,
        }
        if attributes:
            names = ["pk", "sk", *attributes]
            request["ProjectionExpression"] = ", ".join(f"#{n}" for n in range(len(names)))
            request["ExpressionAttributeNames"] = {f"#{n}": name for n, name in enumerate(names)}
        for _ in _attempts():
            answer = connection().dispatch("BatchGetItem", {"RequestItems": {_table(): request}})
            for item in answer.get("Responses", {}).get(_table(), []):
                items[item["pk"]["S"], item["sk"]["S"]] = item
            unread = answer.get("UnprocessedKeys", {}).get(_table())
            if not unread:
                break
            request = unread
        else:
            raise TimeoutError("DynamoDB left keys unprocessed")
    return items


def put_all(rows: Sequence[Row]) -> set[Key]:
    """Put rows without a condition, each key at most once; return the keys that were not put.

    Raises PynamoDB's errors if a call fails as a whole; rows of earlier calls are then put.
    """
    failed: set[Key] = set()
    items = (row.serialize() for row in rows)
    for batch in batched(items, WRITE_ROWS, strict=False):
        failed |= _put(batch)
    return failed


def delete_all(keys: Iterable[Key]) -> None:
    """Delete rows without a condition; those that do not exist count as deleted.

    Raises PynamoDB's errors, and TimeoutError if DynamoDB keeps leaving rows unprocessed.
    """
    for batch in batched(dict.fromkeys(keys), WRITE_ROWS, strict=False):
        deletes = [
            {"DeleteRequest": {"Key": {"pk": {"S": pk}, "sk": {"S": sk}}}} for pk, sk in batch
        ]
        if _write(deletes):
            raise TimeoutError("DynamoDB left rows undeleted")


def partition(pk: str) -> dict[Key, Item]:
    """Return all rows of a partition, consistently read. Raises PynamoDB's errors."""
    return read_all((row.pk, row.sk) for row in Row.query(pk, consistent_read=True))


def _write(requests: list[Any]) -> list[Any]:
    """Make the requests of a BatchWriteItem; return those that were not processed."""
    for _ in _attempts():
        answer = connection().dispatch("BatchWriteItem", {"RequestItems": {_table(): requests}})
        requests = answer.get("UnprocessedItems", {}).get(_table(), [])
        if not requests:
            break
    return requests


def _put(items: Sequence[Item]) -> set[Key]:
    requests: list[Any] = [{"PutRequest": {"Item": item}} for item in items]
    try:
        requests = _write(requests)
    except VerboseClientError as error:
        if error.response["Error"]["Code"] != "ValidationException":
            raise
        if len(items) > 1:  # an item that DynamoDB refuses must not keep the others out
            middle = len(items) // 2
            return _put(items[:middle]) | _put(items[middle:])
    unprocessed = (request["PutRequest"]["Item"] for request in requests)
    return {(item["pk"]["S"], item["sk"]["S"]) for item in unprocessed}


def put_all_new(rows: Sequence[Row]) -> bool:
    """Put rows in a transaction, all or none; return False if one of them exists already.

    Raises PynamoDB's errors.
    """
    try:
        with TransactWrite(connection=connection()) as transaction:
            for row in rows:
                transaction.save(row, condition=Row.pk.does_not_exist())
    except TransactWriteError as error:
        if error_code(error) != "TransactionCanceledException":
            raise
        return False
    return True


def put_beside(row: Row, key: Key) -> bool:
    """Put a new row if the row `key` exists; return False if that is gone, or the new one there.

    Raises PynamoDB's errors, also if another write conflicts.
    """
    try:
        with TransactWrite(connection=connection()) as transaction:
            transaction.condition_check(Row, *key, condition=Row.pk.exists())
            transaction.save(row, condition=Row.pk.does_not_exist())
    except TransactWriteError as error:
        if all(why is None or why.code != CONDITION_FAILED for why in error.cancellation_reasons):
            raise
        return False
    return True


def chunk_rows[T: Row](rows: Iterable[T], most_rows: int, most_bytes: int) -> Iterator[list[T]]:
    """Yield the rows in order, in chunks of at most so many rows and bytes.

    A row over `most_bytes` is a chunk of its own.
    """
    return chunked(
        rows, lambda row: _bytes_of(row.serialize()), most=most_rows, most_bytes=most_bytes
    )


def _bytes_of(item: Item) -> int:
    """Return at least as many bytes as DynamoDB counts for an item."""
    size = 0
    for name, typed in item.items():
        for kind, value in typed.items():
            size += len(name.encode()) + len(kind) + _length(value)
    return size


def _length(value: Any) -> int:
    """Return the bytes of a value in an item."""
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, bytes):
        return len(value)
    if isinstance(value, dict):
        return sum(len(name.encode()) + _length(held) for name, held in value.items())
    if isinstance(value, list | set | tuple):
        return 3 + sum(1 + _length(held) for held in value)
    return 1


def _attempts() -> Iterable[int]:
    for number in range(MAX_ATTEMPTS):
        if number:
            time.sleep(random.uniform(0, 0.1 * 2**number))  # noqa: S311 - jitter, not a secret
        yield number


def _table() -> str:
    return Row.Meta.table_name
