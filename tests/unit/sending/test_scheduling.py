"""A scheduled message is sent once, in time, never early, unless something forbids it by then."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from skycore import timestamps
from skycore.problems import Problem
from skycore.queries.messages import cancel, get_message
from skycore.sending.batch import enqueue_batch
from skycore.sending.idempotency import MAX_QUEUED
from skycore.table import models, opt_outs
from tests.unit.sending.waiting_world import START, World, row, status

SMS = {"to": "+17743199144", "from": "60856", "text": "Hello"}
LATEST = timedelta(minutes=2)


@pytest.fixture
def world(table, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def at(world: World, **wait: float) -> str:
    return timestamps.to_text(world.now + timedelta(**wait))


def shown(id_: str) -> str:
    return str(get_message(id_)["status"])


def jump(world: World, **wait: float) -> None:
    """Let time pass, and sweep run at its beginning and in its last two minutes only."""
    end = world.now + timedelta(**wait)
    world.run(seconds=min(timedelta(**wait), timedelta(seconds=30)).total_seconds())
    quick = end - world.now - timedelta(minutes=2)
    if quick > timedelta():
        world.skip(seconds=quick.total_seconds())
        world._next_sweep = world.now
    world.run(seconds=(end - world.now).total_seconds())


@pytest.mark.parametrize("wait", [1, 30, 59, 61, 600, 899, 900, 901, 960, 7200, 7211.5])
def test_it_is_sent_in_time_and_never_early(world, wait):
    due = world.now + timedelta(seconds=wait)
    id_ = world.enqueue(send_at=timestamps.to_text(due))
    assert shown(id_) == "scheduled"
    jump(world, seconds=wait - 0.1)
    assert (shown(id_), world.calls) == ("scheduled", [])
    world.run(seconds=121)
    assert shown(id_) == "accepted"
    assert timedelta() <= world.accepted_at()[0] - due <= LATEST
    assert len(world.calls) == 1


def test_thirty_five_days_ahead_it_waits_in_the_table_alone(world):
    id_ = world.enqueue(send_at=at(world, days=35))
    assert models.is_parked(row(id_).state)
    jump(world, days=34, hours=23, minutes=59)
    assert (world.receives, shown(id_)) == (0, "scheduled")
    world.run(minutes=3)
    assert shown(id_) == "accepted"


def test_the_timeline_says_when_it_was_scheduled_and_when_queued(world):
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
def test_it_can_be_cancelled(world, minutes):
    id_ = world.enqueue(send_at=at(world, minutes=minutes))
    assert cancel(id_)["status"] == "cancelled"
    jump(world, minutes=minutes + 3)
    assert (shown(id_), world.calls) == ("cancelled", [])
    assert [s["status"] for s in get_message(id_)["timeline"]] == ["scheduled", "cancelled"]
    with pytest.raises(Problem, match="not_cancellable"):
        cancel(id_)


def test_an_opt_out_that_came_meanwhile_counts(world):
    id_ = world.enqueue(send_at=at(world, hours=1))
    opt_outs.record_opt_out("17743199144", "60856", world.now, "N211")
    jump(world, hours=1, minutes=2)
    assert (status(id_), world.calls) == ("rejected", [])
    assert "opted out" in str(row(id_).detail)


def test_it_expires_if_it_cannot_be_sent_in_time(world):
    id_ = world.enqueue(send_at=at(world, hours=1), expires_at=at(world, hours=1, minutes=10))
    world.sweep_is_down = world.dispatch_is_down = True
    world.run(hours=1, minutes=11)
    world.sweep_is_down = world.dispatch_is_down = False
    world.run(minutes=2)
    assert (shown(id_), world.calls) == ("expired", [])


def test_it_may_wait_for_14_days_after_it_was_due(world):
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
def test_a_time_that_cannot_be_met_is_refused(world, fields, field):
    times = {name: at(world, **wait) for name, wait in fields.items()}
    with pytest.raises(Problem, match="invalid_request") as refused:
        world.enqueue(**times)
    assert [error["field"] for error in refused.value.members["errors"]] == [field]


@pytest.mark.parametrize("text", ["tomorrow", "2026-11-23T10:00:00", 5, True, "9999-99-99", ""])
def test_a_send_at_that_is_no_time_is_refused(world, text):
    with pytest.raises(Problem, match="invalid_request"):
        world.enqueue(send_at=text)


@pytest.mark.parametrize("minutes", [5, 60])
def test_the_same_key_gets_the_same_answer_and_sends_once(world, minutes):
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


def test_a_key_of_a_parked_message_puts_nothing_into_the_queue(world):
    """Ten thousand repeats must not fill the queue with copies of what waits for a month."""
    body = {**SMS, "send_at": at(world, days=30)}
    for _ in range(3):
        world.queue(body, "order-1")
    world.run(seconds=5)
    assert world.receives == 0


def test_a_call_that_ended_before_the_queue_had_it_loses_no_message(world, monkeypatch):
    """The row alone schedules a message that is due later than a copy in the queue can wait."""
    with monkeypatch.context() as patch:
        patch.setattr(world, "send_message_batch", lambda **_: pytest.fail("used the queue"))
        id_ = world.enqueue(send_at=at(world, minutes=16))
    assert models.is_parked(row(id_).state)


def test_a_batch_counts_scheduled_messages_apart(world):
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


def test_a_dry_run_checks_the_times_and_schedules_nothing(world):
    body = {**SMS, "dry_run": True, "send_at": at(world, days=36)}
    with pytest.raises(Problem, match="invalid_request"):
        world.queue(body)
    assert world.queue({**body, "send_at": at(world, days=1)}).status == 200
    world.run(minutes=3)
    assert world.receives == 0


def test_a_row_of_a_scheduled_message_reads_as_queued_to_the_previous_release(world):
    """A rollback must not lose it, nor send it early: `queued`, parked, and a `not_before`."""
    id_ = world.enqueue(send_at=at(world, hours=1))
    stored = row(id_)
    assert (stored.status, stored.steps[0].split()[1]) == ("queued", "queued")
    assert stored.not_before == stored.send_at
