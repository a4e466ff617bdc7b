"""The stack's messages, as the page reads them from the table's stream."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

from local.page.messages import Messages, changed_messages
from skycore.table.messages import MessageRow, new_row

NUMBER = "17743199144"
TIME = datetime(2026, 11, 29, 10, tzinfo=UTC)


def row(message_id: str, status: str = "queued", **attributes: Any) -> MessageRow:
    facts = {"action": "sendSMS", "attempt": "a", "fingerprint": "f", "sender": "60856"}
    return new_row(message_id, status, time=TIME, days=90, **facts | attributes)


def record(new: MessageRow | None, old: MessageRow | None = None) -> dict[str, Any]:
    images = {"NewImage": new, "OldImage": old}
    return {"dynamodb": {name: each.serialize() for name, each in images.items() if each}}


class Stack:
    """A stack whose table has one shard with these pages of records."""

    def __init__(self, *pages: list[dict[str, Any]]) -> None:
        self.pages = list(pages)
        self.asked: list[str] = []

    def needed(self) -> dict[str, Any]:
        return {"table_name": "table"}

    def admin(self, _service: str) -> Any:
        return self

    def describe_table(self, TableName: str) -> Any:  # noqa: N803 - boto3's name
        return {"Table": {"LatestStreamArn": f"{TableName}/stream"}}

    def describe_stream(self, **_: Any) -> Any:
        return {"StreamDescription": {"Shards": [{"ShardId": "shard"}]}}

    def get_shard_iterator(self, **asked: Any) -> Any:
        self.asked.append(asked["ShardIteratorType"])
        return {"ShardIterator": "0"}

    def get_records(self, ShardIterator: str) -> Any:  # noqa: N803 - boto3's name
        place = int(ShardIterator)
        if place == len(self.pages):
            raise ConnectionError
        return {"Records": self.pages[place], "NextShardIterator": str(place + 1)}


def read(stack: Stack, wanted: int) -> tuple[Messages, list[dict[str, Any]]]:
    """Read the stream until so many changes are published."""
    published: list[dict[str, Any]] = []

    async def run() -> Messages:
        done = asyncio.Event()

        def publish(entry: dict[str, Any]) -> None:
            published.append(entry)
            if len(published) == wanted:
                done.set()

        messages = Messages(stack, publish)  # type: ignore[arg-type] # a stack in memory
        messages.start()
        await asyncio.wait_for(done.wait(), 60)
        await messages.stop()
        return messages

    return asyncio.run(run()), published


def test_messages_from_the_streams_beginning_are_published_with_their_changes() -> None:
    first, second = row("m1", to=NUMBER), row("m2", to=NUMBER)
    sent = row("m1", to=NUMBER)
    sent.status = "accepted"
    stack = Stack([record(first), record(second)], [record(sent, first)])
    messages, published = read(stack, 3)
    assert stack.asked[0] == "TRIM_HORIZON"
    assert [(each["id"], each["status"]) for each in published] == [
        (1, "queued"),
        (2, "queued"),
        (1, "accepted"),
    ]
    assert [each["message_id"] for each in messages.rows.values()] == ["m1", "m2"]


def test_a_message_that_is_gone_or_released_leaves_the_page() -> None:
    rows = [row("m1"), row("m2")]
    released = row("m1")
    released.status = "released"
    stack = Stack([record(each) for each in rows], [record(released), record(None, rows[1])])
    messages, published = read(stack, 4)
    assert not messages.rows
    assert [each.get("gone") for each in published] == [None, None, True, True]


def test_a_scheduled_and_an_erased_message_say_so() -> None:
    scheduled = row("m1", to=NUMBER, send_at="2100-01-01T00:00:00.000000Z")
    erased = row("m2", erased_at="2026-11-29T11:00:00.000000Z")
    changes = changed_messages([record(scheduled), record(erased)])
    assert changes["m1"] is not None
    assert changes["m1"]["status"] == "scheduled"
    assert changes["m1"]["send_at"].startswith("2100-01-01T00:00:00")
    assert changes["m2"] is not None
    assert changes["m2"]["to"] is None
    assert changes["m2"]["erased_at"].startswith("2026-11-29T11:00:00")


def test_rows_of_other_kinds_are_not_messages() -> None:
    image = {"kind": {"S": "event"}, "pk": {"S": "tracking#x"}, "sk": {"S": "event#1"}}
    assert changed_messages([{"dynamodb": {"NewImage": image}}, {"dynamodb": {}}]) == {}
