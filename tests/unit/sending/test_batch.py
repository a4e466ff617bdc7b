"""A batch: what cannot be written or sent is told entry by entry, and nothing is orphaned."""

from __future__ import annotations

import json
import string
from typing import Any

import pytest

from skycore import timestamps
from skycore.sending import batch, idempotency
from skycore.sending.batch import enqueue_batch
from skycore.sending.validation import SendPolicy
from skycore.table import batches, messages, queue_transitions
from tests.unit.table.fake_dynamodb import error

RULES = SendPolicy.of("US", "", 90)


def sms(n: int) -> dict[str, Any]:
    return {"to": f"+1774319{n:04}", "from": "60856", "text": "Hello"}


def post(entries: list[Any], key: str | None = None, **more: Any) -> list[dict[str, Any]]:
    body = {"messages": entries, **more}
    told = enqueue_batch(body, caller="arn", key=key, queue_url="send", policy=RULES).body
    result: list[dict[str, Any]] = told["messages"]
    return result


def words(results: list[dict[str, Any]]) -> list[str]:
    return [one.get("code") or one["status"] for one in results]


def in_queue(outside) -> set[str]:
    return {json.loads(body)["message_id"] for body in outside.queued}


def test_rows_that_are_not_written_are_told_and_the_others_go_on(outside, table):
    table.unprocessed = lambda operation, _: 1 if operation == "BatchWriteItem" else 0
    results = post([sms(n) for n in range(30)])
    assert [n for n, word in enumerate(words(results)) if word == "not_queued"] == [24, 29]
    assert in_queue(outside) == {one["message_id"] for one in results if "message_id" in one}
    assert len(outside.queued) == len(table.of_kind("message")) == 28


def test_what_was_written_before_the_table_went_out_goes_on(outside, table):
    def out_later(_: int, operation: str, __: Any) -> None:
        if operation == "BatchWriteItem" and table.calls[operation] >= 1:
            raise error("InternalServerError", operation)

    table.before = out_later
    results = post([sms(n) for n in range(60)])
    assert words(results) == ["queued"] * 25 + ["not_queued"] * 35
    assert len(outside.queued) == 25


def test_what_is_told_as_not_queued_is_not_in_the_table(outside, table, monkeypatch):
    put = table._BatchWriteItem

    def no_answer(request: Any) -> None:
        put(request)
        raise error("InternalServerError", "BatchWriteItem")

    monkeypatch.setattr(table, "_BatchWriteItem", no_answer)
    assert words(post([sms(n) for n in range(30)])) == ["not_queued"] * 30
    assert table.of_kind("message") == []

    def out(_: int, operation: str, __: Any) -> None:
        if operation == "DeleteItem":
            raise error("InternalServerError", operation)

    table.before = out
    told = words(post([sms(n) for n in range(30)]))
    assert told == ["gateway_failure"] * 25 + ["not_queued"] * 5
    assert len(table.of_kind("message")) == 25
    assert outside.queued == []


def test_what_dispatch_took_is_not_told_as_not_queued(outside, monkeypatch):
    def no_answer(*, Entries: list[Any], **_: Any) -> None:  # noqa: N803
        for entry in Entries[:1]:
            row = messages.get(json.loads(entry["MessageBody"])["message_id"])
            if row is not None and row.status == "queued":
                queue_transitions.claim(row, "dispatch", timestamps.now())
        raise error("InternalError", "SendMessageBatch")

    monkeypatch.setattr(outside, "send_message_batch", no_answer)
    assert words(post([sms(1), sms(2)], key="k")) == ["queued", "not_queued"]


def test_a_message_that_fits_into_no_row_is_refused_alone(outside, table, monkeypatch):
    monkeypatch.setattr(idempotency, "MAX_REQUEST_BYTES", 150)
    results = post(
        [
            sms(1),
            {**sms(2), "text": string.ascii_letters + string.digits + string.ascii_letters[::-3]},
            sms(3),
        ]
    )
    assert words(results)[1] == "too_large"
    assert words(results)[::2] == ["queued"] * 2
    assert len(table.of_kind("message")) == len(outside.queued) == 2


def test_a_row_past_its_expiry_does_not_count(table):
    entry = batch._Entry(sms(1))
    batch._prepare(entry, "m1", RULES)
    row = entry.row
    assert row is not None
    row.expires = int(timestamps.now().timestamp()) + 60
    row.save()
    assert set(messages.get_existing([row])) == {"m1"}
    row.expires -= 120
    row.save()
    assert messages.get_existing([row]) == {}


@pytest.mark.parametrize("most_items, most_bytes", [(3, 10**9), (100, 3000), (1, 1)])
def test_parts_are_of_legal_size_and_in_order(most_items, most_bytes):
    rows = [messages.Row(f"r{n}", "row", state="ä" * 250 * (n % 4)) for n in range(40)]
    parts = list(batches.chunk_rows(rows, most_items, most_bytes))
    assert [row for part in parts for row in part] == rows
    for part in parts:
        size = sum(len(str(row.serialize()["state"]["S"]).encode()) for row in part)
        assert len(part) <= most_items
        assert len(part) == 1 or size <= most_bytes
