"""The table's base model: what every kind of row has."""

from __future__ import annotations

import os
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.connection import Connection
from pynamodb.indexes import GlobalSecondaryIndex, KeysOnlyProjection
from pynamodb.models import Model

from skycore import timestamps

if TYPE_CHECKING:
    from datetime import datetime

    from pynamodb.exceptions import PynamoDBException


class _Meta:
    # PynamoDB's own defaults (15 and 30 s) are wrong behind an API.
    table_name: ClassVar[str] = os.environ.get("TABLE_NAME", "")
    region: ClassVar[str | None] = os.environ.get("AWS_REGION")
    connect_timeout_seconds: ClassVar[float] = 1
    read_timeout_seconds: ClassVar[float] = 3
    max_retry_attempts: ClassVar[int] = 3
    max_pool_connections: ClassVar[int] = 10


class ByNumber(GlobalSecondaryIndex[Any]):
    """Rows of one counterpart number in one month."""

    class Meta:
        index_name = "by_number"
        projection = KeysOnlyProjection()

    number = UnicodeAttribute(hash_key=True)
    at = UnicodeAttribute(range_key=True)


class ByDay(GlobalSecondaryIndex[Any]):
    """Rows of one shard of one day."""

    class Meta:
        index_name = "by_day"
        projection = KeysOnlyProjection()

    day = UnicodeAttribute(hash_key=True)
    at = UnicodeAttribute(range_key=True)


class ByState(GlobalSecondaryIndex[Any]):
    """Rows that are in a state now; a row leaves when the state ends."""

    class Meta:
        index_name = "by_state"
        projection = KeysOnlyProjection()

    state = UnicodeAttribute(hash_key=True)
    at = UnicodeAttribute(range_key=True)


class Row(Model):
    """Any row: its key, its kind, its index keys and when it may be deleted (epoch seconds)."""

    class Meta(_Meta):
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    kind = UnicodeAttribute(null=True)
    number = UnicodeAttribute(null=True)
    day = UnicodeAttribute(null=True)
    state = UnicodeAttribute(null=True)
    at = UnicodeAttribute(null=True)
    expires = NumberAttribute(null=True)

    by_number = ByNumber()
    by_day = ByDay()
    by_state = ByState()


@cache
def _connection(region: str | None) -> Connection:
    return Connection(
        region=region,
        connect_timeout_seconds=Row.Meta.connect_timeout_seconds,
        read_timeout_seconds=Row.Meta.read_timeout_seconds,
        max_retry_attempts=Row.Meta.max_retry_attempts,
        max_pool_connections=Row.Meta.max_pool_connections,
    )


def connection() -> Connection:
    """Return the connection for calls that no model makes: batches, transactions, the limiter."""
    return _connection(Row.Meta.region)


def use_table(table: str, region: str | None) -> None:
    """Chooses the table where the environment does not, before its first use (operator's tool)."""
    Row.Meta.table_name, Row.Meta.region = table, region


# Days that every row stays, whatever `days` says: the stream may bring it a day late, and a
# message that names it may then wait 14 days in a retry queue and its dead-letter queue.
MIN_DAYS = 16


def expiry(moment: datetime, days: int) -> int:
    """When a row of `moment` is past its `days`, in epoch seconds, for the table's time to live.

    Not before a queue can no longer name the row, even if `moment` is long past.
    """
    kept = moment + timedelta(days=days)
    return int(max(kept, timestamps.now() + timedelta(days=MIN_DAYS)).timestamp())


def condition_failed(error: PynamoDBException) -> bool:
    """Whether DynamoDB refused a write because its condition does not hold."""
    return error_code(error) == "ConditionalCheckFailedException"


def error_code(error: PynamoDBException) -> str | None:
    """DynamoDB's code for an error; None where it gave no answer.

    PynamoDB's own `cause_response_code` fails for a timeout, whose `response` is None.
    """
    response: Any = getattr(error.cause, "response", None)
    code: str | None = (response or {}).get("Error", {}).get("Code")
    return code
