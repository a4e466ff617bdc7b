"""A token's last use is known by its fingerprint, for a write in ten minutes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from skycore.aws.secrets import fingerprint
from skycore.table import audit
from skycore.table.audit import WRITE_INTERVAL, mark_token_used, token_last_used

if TYPE_CHECKING:
    from tests.unit.table.fake_dynamodb import FakeDynamoDB

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
TOKEN = "wPq4oT9xKz2bV7nR"


@pytest.fixture(autouse=True)
def a_new_process(monkeypatch: pytest.MonkeyPatch, table: FakeDynamoDB) -> None:
    monkeypatch.setattr(audit, "_last_written", {})


def test_a_fingerprint_is_twelve_digits_of_the_tokens_hash() -> None:
    assert fingerprint("abc") == "ba7816bf8f01"  # the SHA-256 of abc in FIPS 180-2
    assert fingerprint(TOKEN) != fingerprint(TOKEN.lower())


def test_a_token_that_was_never_used() -> None:
    assert token_last_used(fingerprint(TOKEN)) is None


def test_a_row_has_the_time_and_not_the_token(table: FakeDynamoDB) -> None:
    assert mark_token_used(fingerprint(TOKEN), NOON)
    assert token_last_used(fingerprint(TOKEN)) == NOON
    assert token_last_used(fingerprint("another")) is None
    (row,) = table.items.values()
    assert row["pk"] == {"S": f"token#{fingerprint(TOKEN)}"}
    assert row["sk"] == {"S": "used"}
    assert TOKEN not in repr(row)
    assert set(row) == {"pk", "sk", "kind", "used_at"}  # in no index, and it stays


def test_a_write_every_ten_minutes_whatever_comes(table: FakeDynamoDB) -> None:
    for second in range(0, 1200, 5):
        mark_token_used(fingerprint(TOKEN), NOON + timedelta(seconds=second))
    assert table.calls["PutItem"] == 2
    assert token_last_used(fingerprint(TOKEN)) == NOON + WRITE_INTERVAL
    mark_token_used(fingerprint("another"), NOON)
    assert table.calls["PutItem"] == 3


def test_an_old_postback_does_not_make_its_token_newer_or_older(
    table: FakeDynamoDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark_token_used(fingerprint(TOKEN), NOON)
    monkeypatch.setattr(audit, "_last_written", {})
    assert not mark_token_used(fingerprint(TOKEN), NOON - timedelta(days=3))
    assert token_last_used(fingerprint(TOKEN)) == NOON
