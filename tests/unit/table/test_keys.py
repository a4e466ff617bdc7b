"""The form of keys: rows outlive releases, so each form that was ever written stays readable."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from skycore.postbacks.identity import event_id
from skycore.table import models

NUMBER = "17743199144"
DIGEST = "0" * 32


@pytest.mark.parametrize("state", ["unparsed", "sending"])
def test_a_state_is_spread_over_shards_and_its_old_partition_is_still_read(state: str) -> None:
    written = {models.state_partition(state, f"row#{n}") for n in range(1000)}
    assert written == {f"state#{state}#{shard}" for shard in range(8)}
    assert set(models.state_partitions(state)) == written | {f"state#{state}"}


def test_parked_rows_are_listed_under_the_utc_minute_in_which_they_are_due() -> None:
    due = datetime(2026, 11, 22, 10, 41, 59, tzinfo=timezone(timedelta(hours=2)))
    written = {models.parked_partition(f"message#{n}", due) for n in range(1000)}
    assert written == {f"state#parked#2026-11-22T08:41#{shard}" for shard in range(16)}
    assert set(models.parked_partitions(due.astimezone(UTC))) == written
    until = datetime(2026, 11, 22, 8, 41, tzinfo=UTC)
    assert {models.parked_until(state) for state in written} == {until}
    assert {models.parked_until(state) for state in (None, "state#sending#1")} == {None}


def test_no_hour_of_queued_messages_is_one_partition_and_its_old_one_is_still_read() -> None:
    """A campaign's messages all end in one hour, and a partition takes 1,000 writes a second."""
    now = datetime(2026, 11, 22, 10, tzinfo=UTC)
    end = now + timedelta(minutes=41)
    listed = {models.queued_partition(f"message#{n}", now, end) for n in range(1000)}
    assert listed == {f"state#queued#2026-11-22T10#{shard}" for shard in range(4)}
    assert set(models.waiting_partitions(end)) == listed | {"state#queued#2026-11-22T10"}


def test_a_reference_is_not_in_its_key_and_two_references_do_not_share_one() -> None:
    key = models.reference_partition("order-4711")
    assert key == models.reference_partition("order-4711")
    assert "4711" not in key
    assert key != models.reference_partition("order-4712")
    assert len(models.reference_partition("\ud800" * 5000)) < 100


def test_a_sender_has_one_partition() -> None:
    assert models.sender_partition("60856") == "sender#60856"


@pytest.mark.parametrize("tracking_id", ["U01TXzM", "x" * 300, "a#3"])
def test_an_event_of_a_shared_tracking_id_is_found_by_its_id_alone(tracking_id: str) -> None:
    id_ = event_id(tracking_id, DIGEST)
    shared = {models.shared_event_key(id_, f"1774319{n:04}") for n in range(1000)}
    assert set(models.possible_event_keys(id_)) == shared | {models.event_key(id_)}
    assert {pk for pk, _ in models.possible_event_keys(id_)} == set(
        models.shared_tracking_partitions(tracking_id)
    )


def test_an_event_without_a_tracking_id_has_one_key() -> None:
    assert models.possible_event_keys(DIGEST) == [(f"event#{DIGEST}", f"event#{DIGEST}")]
