"""A scheduled message is sent once, in time, never early, unless something forbids it by then."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pynamodb.connection.base import Connection

from skycore import keyed_hash, timestamps
from skycore.problems import Problem
from skycore.queries.messages import cancel, get_message
from skycore.sending.batch import enqueue_batch
from skycore.sending.idempotency import MAX_QUEUED
from skycore.table import batches, models, opt_outs, parking
from tests.unit.sending.waiting_world import START, World, row, status
from tests.unit.table.fake_dynamodb import error
from tests.unit.table.tables import new_table

if TYPE_CHECKING:
    from tests.unit.table.fake_dynamodb import FakeDynamoDB

SMS = {"to": "+17743199144", "from": "60856", "text": "Hello"}
LATEST = timedelta(minutes=2)
WHO = {"caller": "arn", "session": None, "address": None}


@pytest.fixture
def world(table: FakeDynamoDB, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def at(world: World, **wait: float) -> str:
    return timestamps.to_text(world.now + timedelta(**wait))


def shown(id_: str) -> str:
    return str(get_message(id_)["status"])


def jump(world: World, **wait: float) -> None:
    """Let time pass, and sweep run at its beginning and in its last two minutes only.

    Between them it would find nothing: that is stored as done.
    """
    end = world.now + timedelta(**wait)
    world.run(seconds=min(timedelta(**wait), timedelta(seconds=30)).total_seconds())
    quick = end - world.now - timedelta(minutes=2)
    if quick > timedelta():
        world.skip(seconds=quick.total_seconds())
        world._next_sweep = world.now
        parking.save_oldest("parked", world.now - parking.SETTLED_AFTER)
    world.run(seconds=(end - world.now).total_seconds())


@pytest.mark.in_memory("runs sweep for hours of simulated time")
@pytest.mark.parametrize("wait", [1, 30, 59, 61, 600, 899, 900, 901, 960, 7200, 7211.5])
def test_it_is_sent_in_time_and_never_early(world: World, wait: float) -> None:
    due = world.now + timedelta(seconds=wait)
    id_ = world.enqueue(send_at=timestamps.to_text(due))
    assert shown(id_) == "scheduled"
    jump(world, seconds=wait - 0.1)
    assert (shown(id_), world.calls) == ("scheduled", [])
    world.run(seconds=121)
    assert shown(id_) == "accepted"
    assert timedelta() <= world.accepted_at()[0] - due <= LATEST
    assert len(world.calls) == 1


@pytest.mark.in_memory("runs sweep for hours of simulated time")
def test_thirty_five_days_ahead_it_waits_in_the_table_alone(world: World) -> None:
    id_ = world.enqueue(send_at=at(world, days=35))
    assert models.is_parked(row(id_).state)
    jump(world, days=34, hours=23, minutes=59)
    assert (world.receives, shown(id_)) == (0, "scheduled")
    world.run(minutes=3)
    assert shown(id_) == "accepted"


@pytest.mark.in_memory("runs sweep for hours of simulated time")
@settings(max_examples=8, deadline=None)
@given(waits=st.lists(st.floats(1, 1_200), min_size=1, max_size=6), pause=st.floats(0, 1_000))
def test_whatever_the_times_each_is_sent_once_and_never_early(
    waits: list[float], pause: float
) -> None:
    """`sweep` and `dispatch` may be down for a part of it: an update, or an outage of AWS."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Connection, "client", new_table())
        world = World(patch)
        due = [world.now + timedelta(seconds=wait) for wait in waits]
        for one in due:
            world.enqueue(send_at=timestamps.to_text(one))
        world.sweep_is_down = world.dispatch_is_down = True
        world.run(seconds=pause)
        world.sweep_is_down = world.dispatch_is_down = False
        up = world.now
        world._next_sweep = up
        world.run(seconds=max(1_330 - pause, 130))
        sent = sorted(world.accepted_at())
        assert len(sent) == len(due)
        for begun, wanted in zip(sent, sorted(due), strict=True):
            assert timedelta() <= begun - wanted
            assert begun - max(wanted, up) <= LATEST


def test_the_timeline_says_when_it_was_scheduled_and_when_queued(world: World) -> None:
    due = world.now + timedelta(hours=1)
    id_ = world.enqueue(send_at=timestamps.to_text(due))
    first = get_message(id_)
    assert first["send_at"] == timestamps.to_text(due)
    assert [step["event"] for step in first["timeline"]] == ["message_scheduled"]
    jump(world, hours=1, minutes=2)
    steps = get_message(id_)["timeline"]
    names = ["scheduled", "queued", "sending", "accepted"]
    assert [step["status"] for step in steps] == names
    assert steps[1]["time"] == timestamps.to_text(due)


@pytest.mark.parametrize("minutes", [5, 60])
def test_it_can_be_cancelled(world: World, minutes: int) -> None:
    id_ = world.enqueue(send_at=at(world, minutes=minutes))
    assert cancel(id_, WHO)["status"] == "cancelled"
    jump(world, minutes=minutes + 3)
    assert (shown(id_), world.calls) == ("cancelled", [])
    assert [s["status"] for s in get_message(id_)["timeline"]] == ["scheduled", "cancelled"]
    with pytest.raises(Problem, match="not_cancellable"):
        cancel(id_, WHO)


def test_an_opt_out_that_came_meanwhile_counts(world: World) -> None:
    id_ = world.enqueue(send_at=at(world, hours=1))
    opt_outs.record_opt_out("17743199144", "60856", world.now, "N211")
    jump(world, hours=1, minutes=2)
    assert (status(id_), world.calls) == ("rejected", [])
    assert "opted out" in str(row(id_).detail)


@pytest.mark.in_memory("runs sweep for hours of simulated time")
def test_it_expires_if_it_cannot_be_sent_in_time(world: World) -> None:
    id_ = world.enqueue(send_at=at(world, hours=1), expires_at=at(world, hours=1, minutes=10))
    world.sweep_is_down = world.dispatch_is_down = True
    world.run(hours=1, minutes=11)
    world.sweep_is_down = world.dispatch_is_down = False
    world.run(minutes=2)
    assert (shown(id_), world.calls) == ("expired", [])


@pytest.mark.in_memory("runs sweep for hours of simulated time")
def test_it_may_wait_for_14_days_after_it_was_due(world: World) -> None:
    """The row must outlive that, and so must its key."""
    id_ = world.enqueue(send_at=at(world, days=30))
    deadline = timestamps.from_text(str(row(id_).deadline))
    assert deadline == START + timedelta(days=30) + MAX_QUEUED
    assert row(id_).expires >= (deadline + timedelta(days=90)).timestamp() - 86_400


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"send_at": {"days": 35, "seconds": 1}}, "send_at"),
        ({"send_at": {"seconds": 0}}, "send_at"),
        ({"send_at": {"days": -1}}, "send_at"),
        ({"send_at": {"hours": 2}, "expires_at": {"hours": 2}}, "expires_at"),
        ({"send_at": {"hours": 2}, "expires_at": {"hours": 1}}, "expires_at"),
    ],
)
def test_a_time_that_cannot_be_met_is_refused(
    world: World, fields: dict[str, Any], field: str
) -> None:
    times = {name: at(world, **wait) for name, wait in fields.items()}
    with pytest.raises(Problem, match="invalid_request") as refused:
        world.enqueue(**times)
    errors: Any = refused.value.members["errors"]
    assert [error["field"] for error in errors] == [field]


@pytest.mark.parametrize("text", ["tomorrow", "2026-11-23T10:00:00", 5, True, "9999-99-99", ""])
def test_a_send_at_that_is_no_time_is_refused(world: World, text: Any) -> None:
    with pytest.raises(Problem, match="invalid_request"):
        world.enqueue(send_at=text)


@pytest.mark.parametrize("minutes", [5, 60])
def test_the_same_key_gets_the_same_answer_and_sends_once(world: World, minutes: int) -> None:
    body = {**SMS, "send_at": at(world, minutes=minutes)}
    first = world.queue(body, "order-1")
    again = world.queue(body, "order-1")
    assert (first.status, first.body["status"]) == (202, "scheduled")
    assert (again.status, again.replayed, again.body) == (202, True, first.body)
    jump(world, minutes=minutes + 3)
    late = world.queue(body, "order-1")  # its send_at is past: that is no new message
    assert (late.status, late.body) == (202, first.body)
    assert len(world.accepted_at()) == 1
    with pytest.raises(Problem, match="idempotency_key_reused"):
        world.queue({**body, "send_at": at(world, hours=3)}, "order-1")


def test_a_key_of_a_parked_message_puts_nothing_into_the_queue(world: World) -> None:
    """Ten thousand repeats must not fill the queue with copies of what waits for a month."""
    body = {**SMS, "send_at": at(world, days=30)}
    for _ in range(3):
        world.queue(body, "order-1")
    world.run(seconds=5)
    assert world.receives == 0


def test_a_call_that_ended_before_the_queue_had_it_loses_no_message(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row alone schedules a message that is due later than a copy in the queue can wait."""
    with monkeypatch.context() as patch:
        patch.setattr(world, "send_message_batch", lambda **_: pytest.fail("used the queue"))
        id_ = world.enqueue(send_at=at(world, minutes=16))
    assert models.is_parked(row(id_).state)


def test_a_batch_counts_scheduled_messages_apart(world: World) -> None:
    later = {**SMS, "send_at": at(world, hours=1)}
    soon = {**SMS, "send_at": at(world, minutes=3)}
    body = {"messages": [later, SMS, soon, {**SMS, "send_at": at(world, days=40)}]}
    known: dict[str, Any] = {"caller": "arn", "queue_url": "send", "policy": world.policy}
    result = enqueue_batch(body, key="campaign", **known)
    assert result.body["summary"] == {"queued": 1, "scheduled": 2, "refused": 1}
    jump(world, minutes=62)
    assert len(world.accepted_at()) == 3
    again = enqueue_batch(body, key="campaign", **known)
    assert [one["status"] for one in again.body["messages"][:3]] == [
        *("scheduled", "queued", "scheduled")
    ]
    world.run(minutes=5)
    assert len(world.accepted_at()) == 3


def test_a_scheduled_message_carries_its_caller(world: World) -> None:
    id_ = world.enqueue(send_at=at(world, hours=1))
    assert get_message(id_)["caller"] == "arn"


@pytest.mark.in_memory("runs sweep for hours of simulated time")
def test_it_counts_towards_the_ceiling_of_the_day_on_which_it_is_sent(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HASH_SECRET", "hash-secret")
    monkeypatch.setattr(keyed_hash, "_key", lambda _name: b"a secret of this test")
    world.context = replace(world.context, daily_ceiling=1)
    first, second = (world.enqueue(send_at=at(world, days=1, minutes=n)) for n in (1, 2))
    today = world.enqueue()
    world.run(seconds=5)
    assert shown(today) == "accepted"  # the scheduled ones do not count yet
    jump(world, days=1, minutes=5)
    assert (shown(first), shown(second)) == ("accepted", "queued")
    midnight = world.now.replace(hour=0, minute=0, second=0) + timedelta(days=1)
    jump(world, seconds=(midnight - world.now).total_seconds() + 60)
    assert shown(second) == "accepted"
    assert world.accepted_at()[2] >= midnight


def test_a_dry_run_checks_the_times_and_schedules_nothing(world: World) -> None:
    body = {**SMS, "dry_run": True, "send_at": at(world, days=36)}
    with pytest.raises(Problem, match="invalid_request"):
        world.queue(body)
    assert world.queue({**body, "send_at": at(world, days=1)}).status == 200
    world.run(minutes=3)
    assert world.receives == 0


def schedule_a_hundred(world: World, due: str, key: str | None = None) -> dict[str, Any]:
    """In ten transactions, as a batch of a thousand is written."""
    body = {"template": {**SMS, "send_at": due}, "recipients": [{}] * 100}
    known: dict[str, Any] = {"caller": "arn", "queue_url": "send", "policy": world.policy}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batches, "TRANSACTION_ROWS", 10)
        return enqueue_batch(body, key=key, **known).body


@pytest.mark.in_memory("runs sweep for hours of simulated time")
def test_a_batch_of_one_minute_is_scheduled_whole_and_each_is_sent_once(world: World) -> None:
    result = schedule_a_hundred(world, at(world, minutes=30))
    assert result["summary"] == {"queued": 0, "scheduled": 100, "refused": 0}
    due = world.now + timedelta(minutes=30)
    world.skip(minutes=30)
    world._next_sweep = world.now
    world.run(minutes=3)
    sent = world.accepted_at()
    assert len(sent) == 100
    assert min(sent) >= due
    assert {shown(one["message_id"]) for one in result["messages"]} == {"accepted"}


@pytest.mark.parametrize("lands", [False, True], ids=["fails", "answer is lost"])
def test_a_transaction_that_fails_neither_loses_nor_sends_what_it_refuses(
    world: World, table: FakeDynamoDB, monkeypatch: pytest.MonkeyPatch, lands: bool
) -> None:
    """The ninth of ten transactions fails: 80 are scheduled, 20 are refused as not_ready.

    None of the 20 is lost or queued at once: a repeat under the same key schedules them.
    """
    due, transactions, call = at(world, minutes=30), count(1), table._make_api_call

    def fail_ninth(name: str, kwargs: dict[str, Any]) -> Any:
        fails = name == "TransactWriteItems" and next(transactions) == 9
        answer = call(name, kwargs) if lands or not fails else None
        if fails:
            raise error("InternalServerError", name)
        return answer

    with monkeypatch.context() as patch:
        patch.setattr(table, "_make_api_call", fail_ninth)
        first = schedule_a_hundred(world, due, "campaign")
    assert first["summary"] == {"queued": 0, "scheduled": 80, "refused": 20}
    refused = [one for one in first["messages"] if one["status"] == "refused"]
    assert {(one["code"], one["http_status"]) for one in refused} == {("not_ready", 503)}
    world.run(seconds=5)
    assert world.receives == 0
    again = schedule_a_hundred(world, due, "campaign")
    assert again["summary"] == {"queued": 0, "scheduled": 100, "refused": 0}
    world.skip(minutes=30)
    world._next_sweep = world.now
    world.run(minutes=3)
    assert len(world.accepted_at()) == 100


@pytest.mark.parametrize("as_batch", [False, True])
def test_a_message_scheduled_before_sweep_ever_ran_is_found(world: World, as_batch: bool) -> None:
    """A first run of `sweep` after the due minute must look back to when it was scheduled."""
    due = at(world, minutes=20)
    if as_batch:
        known: dict[str, Any] = {"caller": "arn", "queue_url": "send", "policy": world.policy}
        enqueue_batch({"messages": [{**SMS, "send_at": due}]}, key=None, **known)
    else:
        world.enqueue(send_at=due)
    world.skip(minutes=40)
    world._next_sweep = world.now
    world.run(minutes=1)
    assert len(world.accepted_at()) == 1


def test_a_row_of_a_scheduled_message_reads_as_queued_to_the_previous_release(world: World) -> None:
    """A rollback must not lose it, nor send it early: `queued`, parked, and a `not_before`."""
    id_ = world.enqueue(send_at=at(world, hours=1))
    stored = row(id_)
    assert (stored.status, stored.steps[0].split()[1]) == ("queued", "queued")
    assert stored.not_before == stored.send_at
