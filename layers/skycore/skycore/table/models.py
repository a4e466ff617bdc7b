"""The one table: its keys, its indexes and the base model of its rows.

The form of a key is fixed: rows outlive releases.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, ClassVar

from pynamodb.attributes import DiscriminatorAttribute, NumberAttribute, UnicodeAttribute
from pynamodb.connection import Connection
from pynamodb.indexes import GlobalSecondaryIndex, KeysOnlyProjection
from pynamodb.models import Model

from skycore import timestamps
from skycore.postbacks.identity import event_id, tracking_key, tracking_key_of_event_id
from skycore.timestamps import to_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pynamodb.exceptions import PynamoDBException

MESSAGE = "message"
MAX_DELAY_SECONDS = 900  # the longest delay of a message in SQS; what waits for longer is parked
SHARED = "shared"
EVENT = "event#"
MAX_EVENT_ID_BYTES = 1_000  # in a sort key of at most 1,024; our ids have up to 375
UNDISPATCHED_SHARDS = 4  # of the index by state: a batch queues a thousand messages at once
UNDISPATCHED_AFTER = timedelta(hours=1)  # a message that dispatch has not seen by then is lost
DAY_SHARDS = 8  # of the index by day: 8 x 1,000 write units a second, twice 10 million sends a day
STATE_SHARDS = 8  # of a state in the index by state, for as many writes as the index by day
PARKED_SHARDS = 16  # of a due minute: 16 x 500 writes a second, as many as the index by day takes
WAITING_SHARDS = 4  # of an hour in which queued messages end: 4 x 500 writes a second, as `unseen`
TRACKING_SHARDS = 8  # of the events of a tracking id that many recipients share
BY_DEADLINE = "state#queued#"


class _Meta:
    # PynamoDB's defaults (15 and 30 s) are longer than a caller of the API waits.
    table_name: ClassVar[str] = os.environ.get("TABLE_NAME", "")
    region: ClassVar[str | None] = os.environ.get("AWS_REGION")
    connect_timeout_seconds: ClassVar[float] = 1
    read_timeout_seconds: ClassVar[float] = 3
    max_retry_attempts: ClassVar[int] = 3
    max_pool_connections: ClassVar[int] = 10


class ByNumber(GlobalSecondaryIndex[Any]):
    """Rows of one mobile number in one month."""

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
    """Any row: its key, its index keys and when it may be deleted (epoch seconds).

    An index returns rows of this class: it projects no `kind`, by which PynamoDB filters the rows
    of a model that has a discriminator.
    """

    class Meta(_Meta):
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    number = UnicodeAttribute(null=True)
    day = UnicodeAttribute(null=True)
    state = UnicodeAttribute(null=True)
    at = UnicodeAttribute(null=True)
    expires = NumberAttribute(null=True)

    by_number = ByNumber()
    by_day = ByDay()
    by_state = ByState()


class StoredRow(Row):
    """A row of the table. The attribute `kind` names its class; PynamoDB writes and reads it."""

    kind = DiscriminatorAttribute()


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
    """Choose the table, before its first use, where the environment does not (operator's tool)."""
    Row.Meta.table_name, Row.Meta.region = table, region


# Days that every row stays, whatever `days` says: the stream may bring it a day late, and a
# message that names it may then wait 14 days in a retry queue and its dead-letter queue.
MIN_DAYS = 16


def expiry(time: datetime, days: int) -> int:
    """Return when a row of `time` expires after `days`, in epoch seconds (time to live).

    Not before a queue can no longer name the row, even if `time` is long past.
    """
    kept = time + timedelta(days=days)
    return int(max(kept, timestamps.now() + timedelta(days=MIN_DAYS)).timestamp())


def condition_failed(error: PynamoDBException) -> bool:
    """Return whether DynamoDB refused a write because its condition did not hold."""
    return error_code(error) == "ConditionalCheckFailedException"


def error_code(error: PynamoDBException) -> str | None:
    """Return DynamoDB's code for an error; None if there was no answer.

    PynamoDB's own `cause_response_code` fails for a timeout, whose `response` is None.
    """
    response: Any = getattr(error.cause, "response", None)
    code: str | None = (response or {}).get("Error", {}).get("Code")
    return code


def message_partition(message_id: str) -> str:
    """Return the partition key of a message's row."""
    return f"message#{message_id}"


def message_id_of(partition_key: str) -> str:
    """Return the id of the message whose row has this partition key."""
    return partition_key.removeprefix("message#")


def tracking_partition(tracking_id: str) -> str:
    """Return the partition key of a tracking id's events and of its tracking row."""
    return f"tracking#{tracking_key(tracking_id)}"


@lru_cache(maxsize=1_000)  # a batch of `store` needs each twice: to look it up, and to put it
def event_key(event_id: str) -> tuple[str, str]:
    """Return the partition and sort key of the event with this id."""
    tracking = tracking_key_of_event_id(event_id)
    sort = EVENT + event_id
    return (f"tracking#{tracking}" if tracking is not None else sort), sort


def shared_event_key(event_id: str, number: str) -> tuple[str, str]:
    """Return the key of an event about `number` whose tracking id several recipients share."""
    partition, sort = event_key(event_id)
    return f"{partition}#{_shard(number, TRACKING_SHARDS)}", sort


def possible_event_keys(event_id: str) -> list[tuple[str, str]]:
    """Return every key that the event with this id may have, the usual one first."""
    partition, sort = event_key(event_id)
    if partition == sort:
        return [(partition, sort)]
    return [(partition, sort), *((one, sort) for one in _shards(partition, TRACKING_SHARDS))]


def named_rows(name: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the keys that the row of a name in the retry queue may have.

    A name is {"event_id"}, or {"message_id", "step"}. Raises an error for anything else.
    """
    if "event_id" in name:
        if not is_event_id(name["event_id"]):
            raise ValueError("no event has such an id")
        return possible_event_keys(name["event_id"])
    return [(message_partition(name["message_id"]), MESSAGE)]


def shared_tracking_partitions(tracking_id: str) -> list[str]:
    """Return where the events of a tracking id are that several recipients share."""
    partition = tracking_partition(tracking_id)
    return [partition, *_shards(partition, TRACKING_SHARDS)]


def event_prefix(tracking_id: str) -> str:
    """Return what the sort keys of all events with a tracking id begin with.

    It excludes those of another tracking id that happens to end as a shard does.
    """
    return EVENT + event_id(tracking_id, "")


def event_id_of(sort_key: str) -> str:
    """Return the id of the event whose row has this sort key."""
    return sort_key.removeprefix(EVENT)


def is_event_id(text: str) -> bool:
    """Return whether `text` fits into a key, as the id of every stored event does."""
    return 0 < len(text.encode("utf-8", "surrogatepass")) <= MAX_EVENT_ID_BYTES


def index_sort_key(kind: str, time: datetime) -> str:
    """Return the sort key of every index: kind, then time."""
    return f"{kind}#{to_key(time)}"


def number_partition(number: str, time: datetime) -> str:
    """Return the partition of a mobile number and month in the index by number."""
    return f"number#{number[:40]}#{to_key(time)[:7]}"


def day_partition(row_key: str, time: datetime) -> str:
    """Return a row's partition in the index by day; its shard follows from its key."""
    return f"day#{to_key(time)[:10]}#{_shard(row_key, DAY_SHARDS)}"


def day_partitions(time: datetime) -> Iterator[str]:
    """Yield the partitions of all shards of a day."""
    return _shards(f"day#{to_key(time)[:10]}", DAY_SHARDS)


def state_partition(state: str, row_key: str) -> str:
    """Return where the index by state lists a row; its shard follows from its key."""
    return f"state#{state}#{_shard(row_key, STATE_SHARDS)}"


def state_partitions(state: str) -> list[str]:
    """Return all partitions of a state, and the single one that earlier releases wrote."""
    return [f"state#{state}", *_shards(f"state#{state}", STATE_SHARDS)]


def parked_partition(row_key: str, due: datetime) -> str:
    """Return where the index by state lists a message that is parked until `due`."""
    return f"{_parked(due)}#{_shard(row_key, PARKED_SHARDS)}"


def parked_partitions(due: datetime) -> list[str]:
    """Return all shards of the messages that are due in the minute of `due`."""
    return list(_shards(_parked(due), PARKED_SHARDS))


def is_parked(state: str | None) -> bool:
    """Return whether a message in this partition of the index by state is parked."""
    return (state or "").startswith("state#parked#")


def parked_until(state: str | None) -> datetime | None:
    """Return the minute in which a parked message is due; None if the message is not parked."""
    if state is None or not is_parked(state):
        return None
    return datetime.fromisoformat(state.split("#")[2]).replace(tzinfo=UTC)


def _parked(due: datetime) -> str:
    return f"state#parked#{due.astimezone(UTC):%Y-%m-%dT%H:%M}"


def reference_partition(client_reference: str) -> str:
    """Return where the pointers to the messages with a client_reference are."""
    digest = hashlib.sha256(client_reference.encode("utf-8", "surrogatepass")).hexdigest()
    return f"reference#{digest}"


def sender_partition(number: str) -> str:
    """Return where the row of a sender is that this stack has used."""
    return f"sender#{number}"


def queued_partition(row_key: str, time: datetime, deadline: datetime) -> str:
    """Return the partition, in the index by state, of a message that was just queued.

    It is that of messages that dispatch has not seen, unless the deadline comes before sweep reads
    that.
    """
    if deadline - time <= UNDISPATCHED_AFTER:
        return waiting_partition(row_key, deadline)
    return f"state#unseen#{_shard(row_key, UNDISPATCHED_SHARDS)}"


def undispatched_partitions() -> Iterator[str]:
    """Yield the partitions of all shards of messages that dispatch has not seen."""
    return _shards("state#unseen", UNDISPATCHED_SHARDS)


def waiting_partition(row_key: str, deadline: datetime) -> str:
    """Return where the index by state lists a queued message, by the hour of its deadline."""
    return f"{_waiting(deadline)}#{_shard(row_key, WAITING_SHARDS)}"


def waiting_partitions(deadline: datetime) -> list[str]:
    """Return all partitions of an hour, and the single one that earlier releases wrote."""
    return [_waiting(deadline), *_shards(_waiting(deadline), WAITING_SHARDS)]


def _waiting(deadline: datetime) -> str:
    return f"{BY_DEADLINE}{deadline.astimezone(UTC):%Y-%m-%dT%H}"


def _shard(text: str, shards: int) -> int:
    return zlib.crc32(text.encode()) % shards


def _shards(partition: str, shards: int) -> Iterator[str]:
    return (f"{partition}#{shard}" for shard in range(shards))
