"""All messages of the stack, from the table's stream: other programs send some of them."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from local.page.reader import Reader
from skycore import serializers, timestamps
from skycore.table.messages import RELEASED, MessageRow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from local.page.stack import Stack

KEPT = 20_000  # messages


class Messages(Reader):
    """Read from the stream's beginning when the first page is opened.

    Messages are numbered in the order of their creation; a changed one keeps its number.
    """

    pause_s = 0.3  # a shard allows five reads a second

    def __init__(self, stack: Stack, publish: Callable[[dict[str, Any]], None]) -> None:
        super().__init__(stack, publish)
        self.rows: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self._iterators: list[str] = []  # one per shard

    def _open(self) -> None:
        """Begin at the beginning of each shard."""
        table = self._stack.needed()["table_name"]
        described = self._stack.admin("dynamodb").describe_table(TableName=table)
        arn = described["Table"]["LatestStreamArn"]
        streams = self._stack.admin("dynamodbstreams")
        shards = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
        self._iterators = [
            streams.get_shard_iterator(
                StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
            )["ShardIterator"]
            for shard in shards
        ]

    def _receive(self) -> list[dict[str, dict[str, Any] | None]]:
        """Return for each shard its changed messages by id; None for one that is gone."""
        streams = self._stack.admin("dynamodbstreams")
        answers = [streams.get_records(ShardIterator=each) for each in self._iterators]
        self._iterators = [a["NextShardIterator"] for a in answers if "NextShardIterator" in a]
        self._is_open = bool(self._iterators)
        return [changed_messages(answer["Records"]) for answer in answers]

    def record(self, received: dict[str, dict[str, Any] | None]) -> None:
        """Keep and publish changed messages, by id; None for one that is gone."""
        for message_id, row in received.items():
            known = self.rows.get(message_id)
            if row is None:
                if known is not None:
                    del self.rows[message_id]
                    self._publish({**known, "gone": True})
                continue
            if known is None:
                self._count += 1
            entry = {"id": known["id"] if known else self._count, **row}
            self.rows[message_id] = entry
            if len(self.rows) > KEPT:
                self.rows.popitem(last=False)
            self._publish(entry)


def changed_messages(records: Iterable[dict[str, Any]]) -> dict[str, dict[str, Any] | None]:
    """Return the newest state of each message in a stream's records; None for one that is gone."""
    changes: dict[str, dict[str, Any] | None] = {}
    for record in records:
        images = record["dynamodb"]
        item = images.get("NewImage") or images.get("OldImage") or {}
        if item.get("kind", {}).get("S") != "message":
            continue
        gone = "NewImage" not in images or item["status"]["S"] == RELEASED
        changes[item["message_id"]["S"]] = None if gone else _row(MessageRow.from_raw_data(item))
    return changes


def _row(message: MessageRow) -> dict[str, Any]:
    row = serializers.message(message, timestamps.now())
    if message.erased_at:
        row["erased_at"] = timestamps.to_text(timestamps.from_text(message.erased_at))
    return row
