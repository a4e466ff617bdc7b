"""Many rows in few calls; what DynamoDB leaves is tried again, and what it refuses stands alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from skycore.table import batches
from skycore.table.messages import TrackingRow
from skycore.table.models import Row

if TYPE_CHECKING:
    from tests.unit.table.fake_dynamodb import FakeDynamoDB


def rows(count: int) -> list[Row]:
    return [Row(f"row#{n}", "row") for n in range(count)]


def key(n: int) -> batches.Key:
    return f"row#{n}", "row"


@pytest.mark.parametrize(("count", "reads", "writes"), [(1, 1, 1), (100, 1, 4), (101, 2, 5)])
def test_calls_are_few(table: FakeDynamoDB, count: int, reads: int, writes: int) -> None:
    assert batches.put_all(rows(count)) == set()
    assert set(batches.read_all(map(key, range(count)))) == set(map(key, range(count)))
    assert table.calls == {"BatchWriteItem": writes, "BatchGetItem": reads}


def test_what_was_not_processed_is_tried_again(table: FakeDynamoDB) -> None:
    table.unprocessed = lambda _, entries: len(entries) // 2
    assert batches.put_all(rows(30)) == set()
    assert len(batches.read_all(map(key, range(30)))) == 30


def test_what_is_never_processed_is_handed_back(table: FakeDynamoDB) -> None:
    table.unprocessed = lambda operation, _: 1 if operation == "BatchWriteItem" else 0
    assert batches.put_all(rows(30)) == {key(24), key(29)}
    assert table.calls["BatchWriteItem"] == 2 * batches.MAX_ATTEMPTS
    assert len(table.items) == 28


def test_keys_that_are_never_read_are_an_error(table: FakeDynamoDB) -> None:
    batches.put_all(rows(3))
    table.unprocessed = lambda _, entries: len(entries)
    with pytest.raises(TimeoutError):
        batches.read_all([key(1)])


def test_a_row_that_the_table_refuses_does_not_keep_others_out(table: FakeDynamoDB) -> None:
    bad = Row("x" * 3000, "row")
    assert batches.put_all([*rows(24), bad]) == {("x" * 3000, "row")}
    assert len(table.items) == 24


def test_large_rows_share_a_call_only_as_far_as_it_takes_them(table: FakeDynamoDB) -> None:
    large = [TrackingRow(f"row#{n}", "row", message_id="x" * 390_000) for n in range(60)]
    assert batches.put_all(large) == set()
    assert len(table.items) == 60
