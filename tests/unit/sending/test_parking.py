"""A message that waits for long is parked: it costs nothing, and is sent in time."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skycore import timestamps
from skycore.queries.messages import cancel
from skycore.sending.idempotency import MAX_QUEUED
from skycore.sending.rate_limit import RateLimiter
from skycore.table import models, parking
from skycore.table.limits import Wait
from tests.unit.sending.waiting_world import START, World, row, status
from tests.unit.table.fake_dynamodb import FakeDynamoDB, error
from tests.unit.table.tables import new_table

if TYPE_CHECKING:
    from datetime import datetime

DAYS = 90  # EventRetentionDays of these tests
WRITES_A_SECOND = 500  # of a partition of an index, half of what DynamoDB takes


@pytest.fixture
def world(table: FakeDynamoDB, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def parked_until(world: World, **wait: float) -> tuple[str, datetime]:
    """A queued message that is not to be sent before a time."""
    id_, due = world.enqueue(), world.now + timedelta(**wait)
    assert parking.park(row(id_), due, not_before=due)
    return id_, due


def is_parked(id_: str) -> bool:
    return str(row(id_).state).startswith("state#parked#")


@pytest.mark.parametrize("wait", [16 * 60, 1800, 1853, 86_400 + 30])
def test_it_is_sent_in_time_and_never_early(world: World, wait: int) -> None:
    id_, due = parked_until(world, seconds=wait)
    world.skip(seconds=wait - 600)
    world.run(seconds=599)
    assert (status(id_), world.calls) == ("queued", [])
    world.run(seconds=121)
    assert status(id_) == "accepted"
    assert timedelta() <= world.accepted_at()[0] - due <= timedelta(minutes=2)


def test_what_is_due_within_a_quarter_of_an_hour_is_a_delayed_copy(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    id_ = world.enqueue()
    until = world.now + timedelta(minutes=10)
    wait_for(monkeypatch, world, until)
    world.run(seconds=5)
    assert not is_parked(id_)
    world.run(minutes=12)
    assert status(id_) == "accepted"


def wait_for(monkeypatch: pytest.MonkeyPatch, world: World, until: datetime) -> None:
    """The day's limit has no call left before a time."""
    acquire = RateLimiter.acquire_batch

    def full(limiter: RateLimiter, count: int, *_: Any) -> Any:
        left = (until - world.now).total_seconds()
        return Wait(0, "day", round(left)) if left > 0 else acquire(limiter, count)

    monkeypatch.setattr(RateLimiter, "acquire_batch", full)


def test_what_waits_for_the_next_day_costs_nothing_meanwhile(
    world: World, table: FakeDynamoDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait_for(monkeypatch, world, world.now + timedelta(hours=9))
    ids = [world.enqueue() for _ in range(30)]
    world.run(minutes=5)
    assert all(is_parked(id_) for id_ in ids)
    receives, updates = world.receives, table.calls["UpdateItem"]
    world.run(minutes=30)
    assert world.receives == receives
    assert table.calls["UpdateItem"] - updates <= 31  # sweep's own progress
    world.skip(hours=8)
    world.run(minutes=30)
    assert {status(id_) for id_ in ids} == {"accepted"}


def test_nothing_is_lost_though_sweep_was_down_for_days(world: World) -> None:
    ids = [parked_until(world, hours=1 + 7 * n)[0] for n in range(8)]
    late = world.enqueue(expires_at=(world.now + timedelta(hours=30)).isoformat())
    far = world.now + timedelta(hours=200)
    assert parking.park(row(late), far, not_before=far)
    world.run(minutes=5)
    world.skip(days=2.5)
    assert {status(id_) for id_ in ids} == {"queued"}
    world.run(minutes=5)
    assert {status(id_) for id_ in ids} == {"accepted"}
    assert status(late) == "expired"


def test_nothing_is_lost_though_sweep_never_ran_before(world: World) -> None:
    world.sweep_is_down = True
    waits: list[dict[str, float]] = [{"hours": 1}, {"minutes": 16}, {"hours": 5}]
    ids = [parked_until(world, **wait)[0] for wait in waits]
    late = world.enqueue(expires_at=(world.now + timedelta(minutes=30)).isoformat())
    far = world.now + timedelta(hours=9)
    assert parking.park(row(late), far, not_before=far)
    world.skip(hours=6)
    world.run(minutes=5)
    assert {status(id_) for id_ in ids} == {"accepted"}
    assert (status(late), row(late).outbox) == ("expired", "expired")


def test_parking_does_not_change_what_sweep_has_finished(world: World) -> None:
    world.run(minutes=10)
    before = parking.oldest("parked")
    parked_until(world, hours=1)
    assert before is not None
    assert parking.oldest("parked") == before


def test_parking_writes_the_progress_once(world: World, table: FakeDynamoDB) -> None:
    parked_until(world, hours=1)
    updates = table.calls["UpdateItem"]
    for _ in range(10):
        parked_until(world, hours=1)
    assert table.calls["UpdateItem"] - updates == 10


def test_late_messages_end_though_sweep_was_down_for_days(world: World) -> None:
    soon = world.now + timedelta(hours=2)
    world.run(minutes=1)
    world.dispatch_is_down = world.sweep_is_down = True
    id_ = world.enqueue(expires_at=soon.isoformat())
    world.run(days=1)
    world.sweep_is_down = False
    world.run(minutes=2)
    assert (status(id_), row(id_).outbox) == ("expired", "expired")


def test_a_minute_is_not_finished_before_all_its_messages_are_queued(world: World) -> None:
    ids = [parked_until(world, minutes=16)[0] for _ in range(40)]
    world.run(minutes=15)
    world.queue_is_out = True
    world.run(minutes=10)
    assert {status(id_) for id_ in ids} == {"queued"}
    assert all(is_parked(id_) for id_ in ids)
    world.queue_is_out = False
    world.run(minutes=3)
    assert {status(id_) for id_ in ids} == {"accepted"}


def test_one_bad_shard_does_not_hold_up_the_others(world: World, table: FakeDynamoDB) -> None:
    ids = [parked_until(world, minutes=16)[0] for _ in range(20)]
    bad = row(ids[0]).state

    def out(_number: int, operation: str, request: Any) -> None:
        if operation == "Query" and {"S": bad} in request["ExpressionAttributeValues"].values():
            raise error("InternalServerError", operation)

    table.before = out
    world.run(minutes=20)
    found = {id_: status(id_) for id_ in ids}
    assert "accepted" in found.values()
    assert all((now == "queued") == (row(id_).state == bad) for id_, now in found.items())
    table.before = lambda *_: None
    world.run(minutes=3)
    assert {status(id_) for id_ in ids} == {"accepted"}


def test_a_message_that_moved_while_it_was_released_stays_as_it_is(world: World) -> None:
    ids = [parked_until(world, hours=1)[0] for _ in range(5)]
    rows = [row(id_) for id_ in ids]
    cancel(ids[2], {})
    parking.mark_released(rows)
    assert [is_parked(id_) for id_ in ids] == [False] * 5
    assert [str(row(id_).state or "")[:13] for id_ in ids].count("state#queued#") == 4
    assert status(ids[2]) == "cancelled"


def test_a_cancelled_message_is_not_parked_and_a_parked_one_can_be_cancelled(world: World) -> None:
    id_, _ = parked_until(world, hours=1)
    before = row(id_)
    assert cancel(id_, {})["status"] == "cancelled"
    assert not parking.park(before, world.now + timedelta(hours=2))
    world.run(minutes=63)
    assert (status(id_), world.calls) == ("cancelled", [])


def test_it_expires_while_it_is_parked(world: World) -> None:
    id_ = world.enqueue(expires_at=(world.now + timedelta(minutes=30)).isoformat())
    far = world.now + timedelta(hours=5)
    parking.park(row(id_), far, not_before=far)
    world.run(minutes=32)
    assert (status(id_), row(id_).outbox) == ("expired", "expired")


def test_a_row_outlives_its_wait_by_the_retention(world: World) -> None:
    far = world.now + timedelta(days=35)
    for id_ in (world.enqueue(), world.enqueue(expires_at=far.isoformat())):
        found = row(id_)
        assert found.deadline is not None
        deadline = timestamps.from_text(found.deadline)
        assert deadline in {START + MAX_QUEUED, far}
        assert int(found.expires or 0) >= (deadline + timedelta(days=DAYS)).timestamp()


def test_a_repeat_under_its_key_leaves_it_parked(world: World) -> None:
    id_, due = parked_until(world, hours=2)
    world.put({"message_id": id_})  # the copy that a repeat queues
    world.run(minutes=5)
    assert (status(id_), world.calls, is_parked(id_)) == ("queued", [], True)
    world.skip(minutes=110)
    world.run(minutes=10)
    assert [at >= due for at in world.accepted_at()] == [True]


# --- the index --------------------------------------------------------------------------------


def test_no_partition_of_a_due_minute_gets_too_many_writes() -> None:
    """As many as the whole index by day takes, all due in one minute, evenly spread."""
    due, fastest = START, models.DAY_SHARDS * 1_000
    ids = [models.message_partition(f"{n:032x}") for n in range(20_000)]
    spread = Counter(models.parked_partition(pk, due) for pk in ids)
    assert set(spread) == set(models.parked_partitions(due))
    busiest = max(spread.values()) / len(ids) * fastest
    assert busiest <= 1.1 * WRITES_A_SECOND


@settings(max_examples=8, deadline=None)
@given(
    waits=st.lists(st.integers(60, 7200), min_size=1, max_size=6),
    down=st.integers(0, 7200),
)
def test_whenever_it_is_due_it_is_released_once_its_minute_has_come(waits: Any, down: Any) -> None:
    """However long sweep was down before, and whatever is parked beside it."""
    with pytest.MonkeyPatch.context() as patch:
        from pynamodb.connection.base import Connection

        patch.setattr(Connection, "client", new_table())
        patch.setattr("time.sleep", lambda _seconds: None)
        world = World(patch)
        world.run(minutes=2)
        ids = [parked_until(world, seconds=wait)[0] for wait in waits]
        world.skip(seconds=down)
        world.run(minutes=3)
        for id_, wait in zip(ids, waits, strict=True):
            due = timestamps.from_text(str(row(id_).not_before))
            if due < world.now - timedelta(minutes=2):
                assert status(id_) == "accepted", wait
            elif due > world.now:
                assert status(id_) == "queued", wait
