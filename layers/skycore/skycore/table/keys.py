"""Keys and index keys of the one table. Their form is fixed: rows outlive releases."""

from __future__ import annotations

import zlib
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

from skycore.postbacks.identity import tracking_key, tracking_key_of_event_id
from skycore.timestamps import to_key

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

MESSAGE = "message"
EVENT = "event#"
MAX_EVENT_ID_BYTES = (
    1_000  # bytes of an event's id in a sort key of at most 1,024; ours have up to 375
)
UNDISPATCHED_SHARDS = (
    4  # of queued messages that dispatch has not seen: a batch writes a thousand at once
)
UNDISPATCHED_AFTER = timedelta(hours=1)  # after which sweep looks where such a message is
DAY_SHARDS = 8  # of the index by day: 8 x 1,000 write units a second, twice 10 million sends a day


def message_partition(message_id: str) -> str:
    """Where a message's row is."""
    return f"message#{message_id}"


def message_id_of(partition_key: str) -> str:
    """The id of the message whose row has this partition key."""
    return partition_key.removeprefix("message#")


def tracking_partition(tracking_id: str) -> str:
    """Where the events with a tracking id are, and the pointer to its message."""
    return f"tracking#{tracking_key(tracking_id)}"


@lru_cache(maxsize=1_000)  # asked for twice by a batch of `store`: to look for it, and to put it
def event_key(event_id: str) -> tuple[str, str]:
    """Partition and sort key of the event with this id."""
    tracking = tracking_key_of_event_id(event_id)
    sort = EVENT + event_id
    return (f"tracking#{tracking}" if tracking is not None else sort), sort


def event_id_of(sort_key: str) -> str:
    """The id of the event whose row has this sort key."""
    return sort_key.removeprefix(EVENT)


def is_event_id(text: str) -> bool:
    """Whether `text` fits into a key; no id of ours is longer."""
    return 0 < len(text.encode("utf-8", "surrogatepass")) <= MAX_EVENT_ID_BYTES


def index_sort_key(kind: str, moment: datetime) -> str:
    """The sort key of every index: kind, then time."""
    return f"{kind}#{to_key(moment)}"


def number_partition(number: str, moment: datetime) -> str:
    """The index by counterpart number and month."""
    return f"number#{number[:40]}#{to_key(moment)[:7]}"


def day_partition(row_key: str, moment: datetime) -> str:
    """The index by day; a row's shard follows from its key."""
    shard = zlib.crc32(row_key.encode()) % DAY_SHARDS
    return f"day#{to_key(moment)[:10]}#{shard}"


def day_partitions(moment: datetime) -> Iterator[str]:
    """All shards of one day."""
    return (f"day#{to_key(moment)[:10]}#{shard}" for shard in range(DAY_SHARDS))


def state_partition(state: str) -> str:
    """The sparse index by state."""
    return f"state#{state}"


def queued_partition(row_key: str, moment: datetime, deadline: datetime) -> str:
    """Where the index by state lists a message that is new in the queue.

    Among those that dispatch has not seen, unless it is too late for it before that is asked.
    """
    if deadline - moment <= UNDISPATCHED_AFTER:
        return waiting_partition(deadline)
    return f"state#unseen#{zlib.crc32(row_key.encode()) % UNDISPATCHED_SHARDS}"


def undispatched_partitions() -> Iterator[str]:
    """All shards of the queued messages that dispatch has not seen."""
    return (f"state#unseen#{shard}" for shard in range(UNDISPATCHED_SHARDS))


def waiting_partition(deadline: datetime) -> str:
    """Queued messages by the hour in which it will be too late to send them."""
    return f"state#queued#{deadline.astimezone(UTC):%Y-%m-%dT%H}"


PARKED_SHARDS = 16


def parked_partition(row_key: str, due: datetime) -> str:
    """Return where the index by state lists a message that is parked until `due`."""
    return f"{_parked(due)}#{zlib.crc32(row_key.encode()) % PARKED_SHARDS}"


def parked_partitions(due: datetime) -> list[str]:
    """Return all shards of the messages that are due in the minute of `due`."""
    return [f"{_parked(due)}#{shard}" for shard in range(PARKED_SHARDS)]


def _parked(due: datetime) -> str:
    return f"state#parked#{due.astimezone(UTC):%Y-%m-%dT%H:%M}"
