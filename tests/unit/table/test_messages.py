"""Many new messages at once: all or none of a hundred, and one by one where one is there."""

from __future__ import annotations

import pytest
from pynamodb.exceptions import TransactWriteError

from skycore import timestamps
from skycore.table import batches, messages
from tests.unit.table.fake_dynamodb import FakeDynamoDB, error


def row(n: int, attempt: str = "mine") -> messages.MessageRow:
    return messages.new_row(
        f"m{n}",
        "queued",
        time=timestamps.now(),
        days=90,
        attempt=attempt,
        action="sendSMS",
        fingerprint="f",
    )


def rows(count: int) -> list[messages.MessageRow]:
    return [row(n) for n in range(count)]


@pytest.mark.parametrize(("count", "transactions"), [(0, 0), (1, 1), (100, 1), (101, 2), (250, 3)])
def test_they_go_a_hundred_at_a_time(table: FakeDynamoDB, count: int, transactions: int) -> None:
    assert messages.create_many(rows(count)) == {}
    assert len(table.of_kind("message")) == count
    assert table.calls["TransactWriteItems"] == transactions
    assert table.calls["PutItem"] == 0


def test_those_that_exist_are_told_and_stay(table: FakeDynamoDB) -> None:
    assert messages.create(row(7, "theirs")) is None
    existing = messages.create_many(rows(120))
    assert {id_: found.attempt for id_, found in existing.items()} == {"m7": "theirs"}
    assert len(table.of_kind("message")) == 120


def test_one_that_is_written_meanwhile_costs_its_hundred_single_writes(table: FakeDynamoDB) -> None:
    def meanwhile(_: int, operation: str, __: object) -> None:
        table.before = lambda *_: None
        if operation == "TransactWriteItems":
            assert messages.create(row(42, "theirs")) is None
        else:
            table.before = meanwhile

    table.before = meanwhile
    existing = messages.create_many(rows(150))
    assert {id_: found.attempt for id_, found in existing.items()} == {"m42": "theirs"}
    assert len(table.of_kind("message")) == 150
    assert table.calls["TransactWriteItems"] == 2
    assert table.calls["PutItem"] == 100


def test_a_repeat_of_a_write_whose_answer_was_lost_counts_as_written(table: FakeDynamoDB) -> None:
    mine = rows(30)
    messages.create_many(mine)
    assert batches.put_all_new(mine) is False
    assert [messages.create(one) for one in mine] == [None] * 30


@pytest.mark.parametrize("code", ["ValidationException", "InternalServerError"])
def test_any_other_failure_is_not_taken_for_a_row_that_exists(
    table: FakeDynamoDB, code: str
) -> None:
    def out(_: int, operation: str, __: object) -> None:
        if operation == "TransactWriteItems":
            raise error(code, operation)

    table.before = out
    with pytest.raises(TransactWriteError):
        messages.create_many(rows(3))
    assert table.of_kind("message") == []


def test_large_ones_share_a_transaction_only_as_far_as_dynamodb_takes_them(
    table: FakeDynamoDB,
) -> None:
    large = rows(40)
    for one in large:
        one.request = bytes(300_000)
    assert messages.create_many(large) == {}
    assert len(table.of_kind("message")) == 40
