"""No queued message stays so for ever: dead-lettered, redriven, never queued, never taken."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from skycore import timestamps
from skycore.client.errors import Refused
from skycore.problems import Problem
from skycore.queries.messages import cancel, get_message
from skycore.sending.batch import enqueue_batch
from skycore.sending.dispatch import dispatch
from skycore.sending.idempotency import MAX_QUEUED
from skycore.sending.policy import SendPolicy
from skycore.sending.rate_limit import RateLimiter
from skycore.sending.retry import BACKOFF, MAX_TRIES
from skycore.sending.send import enqueue
from skycore.table import messages, models, queue_transitions
from skycore.table.limits import Wait
from tests.unit.sending.test_sending import (
    NOTHING,
    QUEUES,
    RULES,
    SMS,
    Skycore,
    deliver,
    line,
    post,
    queue,
    queued,
    skycore,
    status,
    swept,
)

if TYPE_CHECKING:
    from skycore.sending.delivery import SendContext
    from tests.unit.sending.conftest import Outside
    from tests.unit.table.fake_dynamodb import FakeDynamoDB

__all__ = ["line", "queue", "skycore"]
pytestmark = pytest.mark.usefixtures("table", "outside")


class Clock:
    """The time as the code sees it, moved by hand."""

    def __init__(self) -> None:
        self.moment = timestamps.now()

    def pass_(self, **time_passed: float) -> None:
        self.moment += timedelta(**time_passed)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(timestamps, "now", lambda: made.moment)
    monkeypatch.setattr("skycore.sending.retry.random.uniform", lambda *_: 0)
    return made


def found(message_id: str) -> messages.MessageRow:
    row = messages.get(message_id)
    assert row is not None
    return row


def steps(message_id: str) -> list[str]:
    return [step.split(" ")[1] for step in found(message_id).steps]


def give(line: SendContext, body: str) -> None:
    deadline = time.monotonic() + 25
    assert dispatch({"q": body}, context=line, queues=QUEUES, deadline=deadline) == []


def try_until_dead_lettered(
    line: SendContext, message_id: str, queue: list[Any], clock: Clock
) -> str:
    """Follow the copies of a message whose calls all fail; return its dead letter."""
    body = json.dumps({"message_id": message_id})
    for wait in BACKOFF:
        give(line, body)
        name, body, delay = queue[-1]
        assert (name, delay) == ("send", min(900, wait))
        early = len(queue)
        give(line, body)  # a copy too early costs no try
        assert len(queue) == early + 1
        clock.pass_(seconds=wait + 1)
    give(line, body)
    name, body, _ = queue[-1]
    assert name == "dead"
    return str(body)


NOT_ITS_SENDER = Refused("E111", "sender not of this account", {})  # of this message alone


def dead_lettered(
    line: SendContext, skycore: Skycore, queue: list[Any], clock: Clock
) -> tuple[str, str]:
    """Return the id of a dead-lettered message, and its dead letter."""
    message_id = queued()
    skycore.outcome = NOT_ITS_SENDER
    dead = try_until_dead_lettered(line, message_id, queue, clock)
    skycore.outcome = None
    return message_id, dead


def test_five_failed_calls_end_it_and_say_why(
    line: SendContext, skycore: Skycore, queue: list[tuple[str, str, int]], clock: Clock
) -> None:
    message_id = queued()
    skycore.outcome = NOT_ITS_SENDER
    try_until_dead_lettered(line, message_id, queue, clock)
    row = found(message_id)
    assert (row.status, row.outbox, row.code) == ("rejected", "rejected", "E111")
    assert row.detail is not None
    assert row.detail.startswith("5 calls failed and nothing was sent")
    assert steps(message_id)[-1] == "rejected"
    told = get_message(message_id)
    assert (told["status"], told["detail"]) == ("rejected", row.detail)
    assert told["skycore_code"] == "E111"
    with pytest.raises(Problem, match="not_cancellable"):
        cancel(message_id, {})


def test_while_it_waits_for_another_try_it_says_why(
    line: SendContext, skycore: Skycore, queue: list[tuple[str, str, int]], clock: Clock
) -> None:
    message_id = queued()
    skycore.outcome = NOT_ITS_SENDER
    give(line, json.dumps({"message_id": message_id}))
    told = get_message(message_id)
    assert told["status"] == "queued"
    assert told["detail"].startswith("1 call failed and nothing was sent; the last: ")
    assert told["skycore_code"] == "E111"
    clock.pass_(seconds=BACKOFF[0] + 1)
    skycore.outcome = Refused("E106", "API calls too close together", {})
    give(line, queue[-1][1])  # a limit is no reason of its own
    assert get_message(message_id)["detail"] == told["detail"]
    clock.pass_(seconds=60)
    skycore.outcome = None
    give(line, queue[-1][1])
    sent = get_message(message_id)
    assert sent["status"] == "accepted"
    assert "detail" not in sent
    assert "skycore_code" not in sent


def test_moved_back_it_is_tried_again_five_times_and_sent_once(
    line: SendContext, skycore: Skycore, queue: list[tuple[str, str, int]], clock: Clock
) -> None:
    message_id = queued()
    skycore.outcome = NOT_ITS_SENDER
    dead = try_until_dead_lettered(line, message_id, queue, clock)
    clock.pass_(days=2)
    give(line, dead)  # moved back by a person; still no connection
    assert (status(message_id), found(message_id).tries) == ("queued", 1)
    for wait in BACKOFF[:-1]:
        clock.pass_(seconds=wait + 1)
        give(line, queue[-1][1])
    assert (status(message_id), found(message_id).tries) == ("queued", MAX_TRIES - 1)
    clock.pass_(seconds=BACKOFF[-1] + 1)
    skycore.outcome = None
    give(line, queue[-1][1])
    give(line, queue[-1][1])
    give(line, dead)
    assert (status(message_id), skycore.accepted) == ("accepted", 1)
    assert found(message_id).code is None


def test_moved_back_twice_it_is_sent_once(
    line: SendContext, skycore: Skycore, queue: list[tuple[str, str, int]], clock: Clock
) -> None:
    message_id, dead = dead_lettered(line, skycore, queue, clock)
    give(line, dead)
    give(line, dead)
    assert (status(message_id), skycore.accepted) == ("accepted", 1)


def test_moved_back_it_is_sent_though_the_tables_answer_was_lost(
    line: SendContext,
    skycore: Skycore,
    queue: list[tuple[str, str, int]],
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    message_id, dead = dead_lettered(line, skycore, queue, clock)
    revive = queue_transitions.requeue_dead_letter
    monkeypatch.setattr(
        queue_transitions,
        "requeue_dead_letter",
        lambda *given: revive(*given) and False,
    )
    give(line, dead)
    assert (status(message_id), skycore.accepted) == ("accepted", 1)


def test_moved_back_it_waits_for_a_limit_like_any_other(
    line: SendContext,
    skycore: Skycore,
    queue: list[tuple[str, str, int]],
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    message_id, dead = dead_lettered(line, skycore, queue, clock)
    with monkeypatch.context() as patched:
        patched.setattr(RateLimiter, "acquire_batch", lambda *_: Wait(0, "minute", 60))
        give(line, dead)
    assert (status(message_id), queue[-1][0]) == ("queued", "send")
    give(line, queue[-1][1])
    assert (status(message_id), skycore.accepted) == ("accepted", 1)


def test_moved_back_too_late_it_is_not_sent(
    line: SendContext, skycore: Skycore, queue: list[tuple[str, str, int]], clock: Clock
) -> None:
    message_id = queued(expires_at=(clock.moment + timedelta(hours=1)).isoformat())
    skycore.outcome = NOT_ITS_SENDER
    dead = try_until_dead_lettered(line, message_id, queue, clock)
    skycore.outcome = None
    clock.pass_(hours=1)
    give(line, dead)
    assert (status(message_id), skycore.accepted) == ("rejected", 0)


def test_dispatch_dies_before_the_dead_letter_queue_has_it(
    line: SendContext, skycore: Skycore, queue: list[tuple[str, str, int]], clock: Clock
) -> None:
    message_id = queued()
    skycore.outcome = NOT_ITS_SENDER
    try_until_dead_lettered(line, message_id, queue, clock)
    queue.clear()
    deliver(line, message_id)  # the send queue gives it again
    ((name, body, _),) = queue
    assert (name, json.loads(body)) == ("dead", {"message_id": message_id, "set_aside": True})
    assert status(message_id) == "rejected"


def test_what_never_reached_the_queue_is_queued_again_once(
    line: SendContext, skycore: Skycore, queue: list[tuple[str, str, int]], clock: Clock
) -> None:
    lost = queued()
    clock.pass_(minutes=59)
    assert swept()["queued_again"] == 0
    clock.pass_(minutes=2)
    assert swept()["queued_again"] == 1
    clock.pass_(minutes=61)
    assert swept()["queued_again"] == 0
    ((name, body, _),) = queue
    assert name == "send"
    give(line, body)
    give(line, body)
    assert (status(lost), skycore.accepted) == ("accepted", 1)


def test_what_waits_for_a_limit_is_not_queued_again(
    line: SendContext,
    queue: list[tuple[str, str, int]],
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    message_id = queued()
    monkeypatch.setattr(RateLimiter, "acquire_batch", lambda *_: Wait(0, "day", 900))
    deliver(line, message_id)
    updates = len(queue)
    assert updates == 1
    clock.pass_(hours=3)
    assert swept() == NOTHING
    assert len(queue) == updates


@pytest.mark.parametrize("seen", [True, False])
def test_what_the_queue_lost_ends_after_a_fortnight(
    line: SendContext,
    queue: list[tuple[str, str, int]],
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    seen: bool,
) -> None:
    message_id = queued()
    if seen:
        monkeypatch.setattr(RateLimiter, "acquire_batch", lambda *_: Wait(0, "day", 900))
        deliver(line, message_id)
    clock.moment += MAX_QUEUED - timedelta(seconds=5)
    assert swept()["expired"] == 0
    assert status(message_id) == "queued"
    clock.pass_(seconds=10)
    assert get_message(message_id)["status"] == "expired"
    swept()
    assert (status(message_id), found(message_id).outbox) == ("expired", "expired")


def test_a_late_one_is_found_though_sweep_was_down_for_hours(
    queue: list[tuple[str, str, int]], clock: Clock
) -> None:
    message_id = queued(expires_at=(clock.moment + timedelta(minutes=5)).isoformat())
    clock.pass_(hours=5)
    assert swept() == NOTHING | {"expired": 1}
    assert status(message_id) == "expired"


def test_sweep_reads_no_row_that_need_not_be_looked_at(table: FakeDynamoDB, clock: Clock) -> None:
    for n in range(50):
        far = (clock.moment + timedelta(days=1 + n)).isoformat()
        queued(client_reference=str(n), expires_at=far)
    before = table.calls["BatchGetItem"]
    swept()
    assert table.calls["BatchGetItem"] == before


def test_every_queued_row_is_listed_where_sweep_looks(
    line: SendContext, skycore: Skycore, queue: list[tuple[str, str, int]], clock: Clock
) -> None:
    message_id = queued()
    assert found(message_id).state in set(models.undispatched_partitions())
    skycore.outcome = NOT_ITS_SENDER
    deliver(line, message_id)
    row = found(message_id)
    assert row.deadline is not None
    assert row.state in models.waiting_partitions(timestamps.from_text(row.deadline))[1:]


def test_a_late_message_expires_though_an_earlier_release_listed_it(
    line: SendContext, clock: Clock
) -> None:
    message_id = queued(expires_at=(clock.moment + timedelta(minutes=30)).isoformat())
    old, *shards = models.waiting_partitions(timestamps.from_text(found(message_id).deadline or ""))
    assert found(message_id).state in shards
    listed = [messages.MessageRow.state.set(old)]
    assert messages.update(message_id, listed, messages.MessageRow.status == "queued")
    clock.pass_(minutes=31)
    assert swept() == {**NOTHING, "expired": 1}


def test_a_message_that_is_not_queued_has_no_time_to_be_sent_by(line: SendContext) -> None:
    assert found(post(line).body["message_id"]).deadline is None


def test_a_refused_message_leaves_no_row_behind_wherever_it_dies(
    table: FakeDynamoDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    abroad = SendPolicy.of("US", "44", 90)
    with pytest.raises(Problem, match="country_not_allowed"):
        enqueue(SMS, caller="arn", key="k", queue_url="send", policy=abroad)
    assert table.calls["PutItem"] == 0
    waiting = enqueue(SMS, caller="arn", key="k", queue_url="send", policy=RULES)
    again = enqueue(SMS, caller="arn", key="k", queue_url="send", policy=abroad)
    assert (again.replayed, again.body) == (True, waiting.body)


def test_a_repeat_while_the_queue_is_out_does_not_say_that_nothing_will_be_sent(
    outside: Outside,
) -> None:
    first = enqueue(SMS, caller="arn", key="k", queue_url="send", policy=RULES)
    body = {"messages": [SMS]}
    told = enqueue_batch(body, caller="arn", key="b", queue_url="send", policy=RULES).body
    outside.queue_is_out = True
    again = enqueue(SMS, caller="arn", key="k", queue_url="send", policy=RULES)
    assert (again.status, again.replayed, again.body) == (202, True, first.body)
    again = enqueue_batch(body, caller="arn", key="b", queue_url="send", policy=RULES)
    assert again.replayed
    assert again.body == told
