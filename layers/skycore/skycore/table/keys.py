"""Keys and index keys of the one table. Their form is fixed: rows outlive releases."""

from __future__ import annotations

import hashlib
import zlib
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

from skycore.postbacks.identity import event_id, tracking_key, tracking_key_of_event_id
from skycore.timestamps import to_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

MESSAGE = "message"
SHARED = "shared"
EVENT = "event#"
MAX_EVENT_ID_BYTES = (
    1_000  # bytes of an event's id in a sort key of at most 1,024; ours have up to 375
)
UNDISPATCHED_SHARDS = (
    4  # of queued messages that dispatch has not seen: a batch writes a thousand at once
)
UNDISPATCHED_AFTER = timedelta(hours=1)  # after which sweep looks where such a message is
DAY_SHARDS = 8  # of the index by day: 8 x 1,000 write units a second, twice 10 million sends a day
STATE_SHARDS = 8  # of a state in the index by state, for as many writes as the index by day
TRACKING_SHARDS = 8  # of the events of a tracking id that many recipients share


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

    It tells them from those of another tracking id that happens to end as a shard does.
    """
    return EVENT + event_id(tracking_id, "")


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
    return f"day#{to_key(moment)[:10]}#{_shard(row_key, DAY_SHARDS)}"


def day_partitions(moment: datetime) -> Iterator[str]:
    """All shards of one day."""
    return _shards(f"day#{to_key(moment)[:10]}", DAY_SHARDS)


def state_partition(state: str, row_key: str) -> str:
    """Return where the index by state lists a row; its shard follows from its key."""
    return f"state#{state}#{_shard(row_key, STATE_SHARDS)}"


def state_partitions(state: str) -> list[str]:
    """Return all partitions of a state, and the single one that earlier releases wrote."""
    return [f"state#{state}", *_shards(f"state#{state}", STATE_SHARDS)]


def parked_partition(row_key: str, due: datetime) -> str:
    """Return where the index by state lists a message that is parked until `due`."""
    return f"{_parked(due)}#{_shard(row_key, STATE_SHARDS)}"


def parked_partitions(due: datetime) -> list[str]:
    """Return all shards of the messages that are due in the minute of `due`."""
    return list(_shards(_parked(due), STATE_SHARDS))


def _parked(due: datetime) -> str:
    return f"state#parked#{due.astimezone(UTC):%Y-%m-%dT%H:%M}"


def reference_partition(client_reference: str) -> str:
    """Return where the pointers to the messages with a client_reference are."""
    digest = hashlib.sha256(client_reference.encode("utf-8", "surrogatepass")).hexdigest()
    return f"reference#{digest}"


def sender_partition(number: str) -> str:
    """Return where the row of a sender is that this stack has used."""
    return f"sender#{number}"


def queued_partition(row_key: str, moment: datetime, deadline: datetime) -> str:
    """Where the index by state lists a message that is new in the queue.

    Among those that dispatch has not seen, unless it is too late for it before that is asked.
    """
    if deadline - moment <= UNDISPATCHED_AFTER:
        return waiting_partition(deadline)
    return f"state#unseen#{_shard(row_key, UNDISPATCHED_SHARDS)}"


def undispatched_partitions() -> Iterator[str]:
    """All shards of the queued messages that dispatch has not seen."""
    return _shards("state#unseen", UNDISPATCHED_SHARDS)


def waiting_partition(deadline: datetime) -> str:
    """Queued messages by the hour in which it will be too late to send them."""
    return f"state#queued#{deadline.astimezone(UTC):%Y-%m-%dT%H}"


def _shard(text: str, shards: int) -> int:
    return zlib.crc32(text.encode()) % shards


def _shards(partition: str, shards: int) -> Iterator[str]:
    return (f"{partition}#{shard}" for shard in range(shards))
