"""A batch: what cannot be written or sent is told entry by entry, and nothing is orphaned."""

from __future__ import annotations

import json
import string
from typing import Any

import pytest
from botocore.exceptions import ClientError

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


def test_what_was_written_before_the_table_failed_goes_on(outside, table):
    def out_later(_: int, operation: str, __: Any) -> None:
        if operation == "TransactWriteItems" and table.calls[operation] >= 1:
            raise error("InternalServerError", operation)

    table.before = out_later
    results = post([sms(n) for n in range(250)])
    assert words(results) == ["queued"] * 100 + ["not_ready"] * 150
    assert len(outside.queued) == 100


def late(table, monkeypatch) -> list[Any]:
    """Let every write of new rows fail without an answer; return the writes, which may land."""
    writes: list[Any] = []
    for operation in ("TransactWriteItems", "PutItem"):
        real = getattr(table, f"_{operation}")

        def no_answer(request: Any, real: Any = real, operation: str = operation) -> Any:
            item = request.get("Item")
            if item and item["status"]["S"] == "released":
                return real(request)
            writes.append(lambda: real(request))
            raise error("InternalServerError", operation)

        monkeypatch.setattr(table, f"_{operation}", no_answer)
    return writes


@pytest.mark.parametrize("key", [None, "k"])
def test_a_write_that_lands_after_not_ready_was_answered_sends_nothing(
    outside, table, monkeypatch, key
):
    with monkeypatch.context() as patched:
        writes = late(table, patched)
        assert words(post([sms(n) for n in range(3)], key)) == ["not_ready"] * 3
    for write in writes:
        with pytest.raises(ClientError):
            write()
    assert messages.get_many(table.items) == {}
    assert outside.queued == []


def test_a_row_that_may_be_in_the_table_is_not_told_as_not_sent(outside, table):
    def out(_: int, operation: str, __: Any) -> None:
        if operation in {"TransactWriteItems", "PutItem"}:
            raise error("InternalServerError", operation)

    table.before = out
    assert words(post([sms(n) for n in range(3)])) == ["not_ready"] * 3
    assert [json.loads(body)["mend"]["status"] for body in outside.queued] == ["released"] * 3
    outside.queue_is_out = True
    assert words(post([sms(n) for n in range(3)])) == ["gateway_failure"] * 3


@pytest.mark.parametrize("key", [None, "k"])
def test_a_write_that_lands_twice_leaves_the_message_as_it_is(outside, table, monkeypatch, key):
    writes: list[Any] = []
    real = table._TransactWriteItems

    def twice(request: Any) -> Any:
        writes.append(lambda: real(request))
        return real(request)

    monkeypatch.setattr(table, "_TransactWriteItems", twice)
    (result,) = post([sms(1)], key)
    assert messages.transition(
        result["message_id"], "accepted", time=timestamps.now(), own=True, tracking_id="T"
    )
    with pytest.raises(ClientError):
        writes[0]()
    row = messages.get(result["message_id"])
    assert row is not None
    assert row.status == "accepted"


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
