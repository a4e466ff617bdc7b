"""Sending's rules with the table, the queues and Skycore in memory."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from skycore import timestamps
from skycore.client.errors import NotSent, OutcomeUnknown, Refused
from skycore.client.reply import Reply
from skycore.problems import Problem
from skycore.queries.messages import cancel
from skycore.sending.delivery import Queues, SendContext
from skycore.sending.dispatch import dispatch
from skycore.sending.policy import SendPolicy
from skycore.sending.rate_limit import RateLimiter
from skycore.sending.send import enqueue, send
from skycore.sending.sweep import sweep
from skycore.table import messages, opt_outs
from skycore.table import queue_transitions as queued_rows
from skycore.table.limits import Limits
from tests.unit.table.fake_dynamodb import FakeDynamoDB, error

if TYPE_CHECKING:
    from tests.unit.sending.conftest import Outside

RULES = SendPolicy.of("US", "", 90)
QUEUES = Queues("send", "dead")
TO = "17743199144"
NOTHING = {"probes": 0, "unknown": 0, "expired": 0, "queued_again": 0, "released": 0}
SMS = {"to": f"+{TO}", "from": "60856", "text": "Hello"}


class Skycore:
    """The client that flows call: it answers what it is told, and counts."""

    def __init__(self) -> None:
        self.calls = 0
        self.accepted = 0
        self.outcome: Any = None
        self.unready: Exception | None = None

    def ready(self, *, count: int = 1, **_: Any) -> int:
        if isinstance(self.unready, Exception):
            raise self.unready
        return count

    def call(self, action: Any, fields: Any, *, before_write: Any, **_: Any) -> Reply:
        if isinstance(self.outcome, NotSent):
            raise self.outcome
        before_write()
        self.calls += 1
        if isinstance(self.outcome, Exception):
            raise self.outcome
        self.accepted += 1
        return Reply(action.name, {"status": "Success", "tracking_id": f"T{self.calls}"})


@pytest.fixture
def skycore() -> Skycore:
    return Skycore()


@pytest.fixture
def line(skycore: Skycore) -> SendContext:
    return SendContext(
        skycore=skycore,  # type: ignore[arg-type]
        rate_limiter=RateLimiter(Limits()),
        repair_queue="send",
        days=90,
    )


@pytest.fixture
def queue(outside: Outside, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, int]]:
    """What went into a queue one by one: (queue, body, delay)."""
    sent: list[tuple[str, str, int]] = []

    def take(*, QueueUrl: str, MessageBody: str, DelaySeconds: int, **_: Any) -> None:  # noqa: N803
        sent.append((QueueUrl, MessageBody, DelaySeconds))

    monkeypatch.setattr(outside, "send_message", take, raising=False)
    return sent


def post(line: SendContext, key: str | None = None, **fields: Any) -> Any:
    return send(
        {**SMS, **fields},
        caller="arn",
        key=key,
        policy=RULES,
        context=line,
        deadline=time.monotonic() + 25,
    )


def queued(key: str | None = None, **fields: Any) -> str:
    sent = enqueue({**SMS, **fields}, caller="arn", key=key, queue_url="send", policy=RULES)
    return str(sent.body["message_id"])


def deliver(line: SendContext, message_id: str) -> list[str]:
    body = json.dumps({"message_id": message_id})
    return dispatch({"q": body}, context=line, queues=QUEUES, deadline=time.monotonic() + 25)


def swept() -> dict[str, int]:
    return sweep(time.monotonic() + 600, queue_url="send")


def stop(moment: Any = None) -> None:
    opt_outs.record_opt_out(TO, "60856", moment or timestamps.now(), "N211")


def status(message_id: str) -> str:
    row = messages.get(message_id)
    assert row is not None
    return row.status


@pytest.mark.usefixtures("table", "outside")
class TestSend:
    @pytest.mark.parametrize("code", ["E618", "E626", "E351", "E358"])
    def test_a_key_that_can_only_replay_is_not_advised_to_be_repeated(
        self, line: SendContext, skycore: Skycore, code: str
    ) -> None:
        skycore.outcome = Refused(code, "")
        with pytest.raises(Problem) as caught:
            post(line, key="k")
        assert (caught.value.code, caught.value.retryable) == ("skycore_rejected", False)
        assert caught.value.headers() == {}
        assert "new Idempotency-Key" in caught.value.detail
        replayed = post(line, key="k")
        assert (replayed.replayed, replayed.body["retryable"]) == (True, False)
        assert replayed.body == caught.value.body()

    def test_without_a_key_a_refusal_for_now_may_be_repeated(
        self, line: SendContext, skycore: Skycore
    ) -> None:
        skycore.outcome = Refused("E618", "")
        with pytest.raises(Problem) as caught:
            post(line)
        assert caught.value.retryable
        assert "Retry-After" in caught.value.headers()

    def test_an_unknown_outcome_says_what_happened_and_that_it_may_have_gone(
        self, line: SendContext, skycore: Skycore
    ) -> None:
        skycore.outcome = OutcomeUnknown("no whole reply in time")
        with pytest.raises(Problem) as raised:
            post(line)
        row = messages.get(str(raised.value.members["message_id"]))
        assert row is not None
        assert row.detail == raised.value.detail
        assert "(no whole reply in time)" in raised.value.detail
        assert "may have taken" in raised.value.detail

    def test_a_failure_of_ours_before_the_call_frees_the_key(
        self, line: SendContext, skycore: Skycore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def out(*_: Any, **__: Any) -> None:
            raise TimeoutError("the limiter's item")

        with monkeypatch.context() as patched:
            patched.setattr(RateLimiter, "acquire", out)
            with pytest.raises(Problem, match="not_ready"):
                post(line, key="k")
        assert post(line, key="k").status == 201
        assert skycore.calls == 1

    def test_a_repeat_after_expires_at_gets_the_kept_answer(
        self, line: SendContext, skycore: Skycore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        soon = (timestamps.now() + timedelta(seconds=10)).isoformat()
        first = post(line, key="k", expires_at=soon)
        later = timestamps.now() + timedelta(seconds=20)
        monkeypatch.setattr(timestamps, "now", lambda: later)
        again = post(line, key="k", expires_at=soon)
        assert (again.status, again.body, again.replayed) == (201, first.body, True)
        assert skycore.calls == 1

    def test_one_message_may_confirm_an_opt_out(self, line: SendContext) -> None:
        stop()
        with pytest.raises(Problem, match="recipient_opted_out"):
            post(line)
        assert post(line, opt_out_confirmation=True).status == 201
        with pytest.raises(Problem, match="recipient_opted_out"):
            post(line, opt_out_confirmation=True)

    def test_a_stop_towards_the_sender_and_all_has_one_confirmation(
        self, line: SendContext
    ) -> None:
        stop()
        opt_outs.record_opt_out(TO, None, timestamps.now(), "E114")
        assert post(line, opt_out_confirmation=True).status == 201
        with pytest.raises(Problem, match="recipient_opted_out"):
            post(line, opt_out_confirmation=True)

    def test_a_stop_by_a_clock_ahead_of_ours_has_one_confirmation(
        self, line: SendContext, skycore: Skycore
    ) -> None:
        stop(timestamps.now() + timedelta(hours=5))
        skycore.outcome = NotSent("refused")
        with pytest.raises(Problem, match="skycore_unreachable"):
            post(line, opt_out_confirmation=True)
        skycore.outcome = None
        assert post(line, opt_out_confirmation=True).status == 201
        with pytest.raises(Problem, match="recipient_opted_out"):
            post(line, opt_out_confirmation=True)

    def test_a_dry_run_knows_a_confirmation_that_was_sent_and_takes_none(
        self, line: SendContext
    ) -> None:
        stop()
        for _ in range(2):
            assert post(line, opt_out_confirmation=True, dry_run=True).status == 200
        assert post(line, opt_out_confirmation=True).status == 201
        with pytest.raises(Problem, match="recipient_opted_out"):
            post(line, opt_out_confirmation=True, dry_run=True)

    def test_a_confirmation_that_was_not_sent_may_be_tried_again(
        self, line: SendContext, skycore: Skycore
    ) -> None:
        stop()
        skycore.outcome = NotSent("refused")
        with pytest.raises(Problem, match="skycore_unreachable"):
            post(line, opt_out_confirmation=True)
        skycore.outcome = None
        assert post(line, opt_out_confirmation=True).status == 201

    def test_each_recipient_that_is_blacklisted_is_an_opt_out(
        self, line: SendContext, skycore: Skycore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        groups = [
            {"to": TO, "status": "Failure", "error_code": "E114"},
            {"to": "17743199145", "status": "Success", "tracking_id": "T2"},
        ]
        reply = Reply("sendMessageBySubscriberRef", {"subscribers": groups})
        monkeypatch.setattr(skycore, "call", lambda *_, **__: reply)
        body = {"action": "sendMessageBySubscriberRef", "subscriber_ref": "s", "text": "Hello"}
        body["campaign_ref"] = "club"
        deadline = time.monotonic() + 25
        send(body, caller="arn", key=None, policy=RULES, context=line, deadline=deadline)
        stopped = opt_outs.opted_out([(TO, "60856"), ("17743199145", "60856")])
        assert stopped == {(TO, "60856")}

    def test_an_unknown_outcome_is_never_tried_again(
        self, line: SendContext, skycore: Skycore
    ) -> None:
        skycore.outcome = OutcomeUnknown("reset")
        for _ in range(3):
            try:
                answer = post(line, key="k").status
            except Problem as problem:
                answer = problem.status
            assert answer == 504
        assert skycore.calls == 1


@pytest.mark.usefixtures("table", "outside")
class TestQueued:
    def test_a_repeat_after_an_opt_out_gets_the_kept_answer(
        self, line: SendContext, skycore: Skycore
    ) -> None:
        message_id = queued(key="k")
        assert deliver(line, message_id) == []
        stop()
        again = enqueue(SMS, caller="arn", key="k", queue_url="send", policy=RULES)
        assert (again.status, again.replayed) == (202, True)
        assert skycore.calls == 1

    def test_who_opts_out_while_it_waits_gets_nothing(
        self, line: SendContext, skycore: Skycore
    ) -> None:
        message_id = queued()
        stop()
        deliver(line, message_id)
        assert (status(message_id), skycore.calls) == ("rejected", 0)

    def test_the_one_confirmation_goes_out_and_no_second(
        self, line: SendContext, skycore: Skycore
    ) -> None:
        stop()
        first = queued(opt_out_confirmation=True)
        with pytest.raises(Problem, match="recipient_opted_out"):
            queued(opt_out_confirmation=True)
        deliver(line, first)
        assert (status(first), skycore.calls) == ("accepted", 1)

    def test_a_confirmation_to_who_stops_later_is_the_only_one(
        self, line: SendContext, skycore: Skycore
    ) -> None:
        two = [queued(opt_out_confirmation=True) for _ in range(2)]
        stop()
        for message_id in two:
            deliver(line, message_id)
        assert [status(message_id) for message_id in two] == ["accepted", "rejected"]

    def test_however_often_the_queue_names_it_it_is_sent_once(
        self, line: SendContext, skycore: Skycore
    ) -> None:
        message_id = queued()
        body = json.dumps({"message_id": message_id})
        bodies = {str(n): body for n in range(5)}
        for _ in range(3):
            deadline = time.monotonic() + 25
            assert dispatch(bodies, context=line, queues=QUEUES, deadline=deadline) == []
        assert skycore.calls == 1

    def test_waiting_for_a_limit_is_no_try_and_leaves_no_line(
        self,
        line: SendContext,
        skycore: Skycore,
        queue: list[tuple[str, str, int]],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        message_id = queued()
        skycore.outcome = Refused("E106", "Minimum 1 seconds between calls", {})
        clock = timestamps.now()
        for _ in range(20):
            clock += timedelta(minutes=20)
            monkeypatch.setattr(timestamps, "now", lambda moment=clock: moment)
            deliver(line, message_id)
            assert queue[-1][0] == "send"
        row = messages.get(message_id)
        assert row is not None
        assert (row.tries, row.status) == (0, "queued")
        assert [line_.split()[1] for line_ in row.steps] == ["queued"]

    def test_it_is_not_sent_late(
        self, line: SendContext, skycore: Skycore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        soon = (timestamps.now() + timedelta(seconds=5)).isoformat()
        message_id = queued(expires_at=soon)
        later = timestamps.now() + timedelta(seconds=6)
        monkeypatch.setattr(timestamps, "now", lambda: later)
        deliver(line, message_id)
        assert (status(message_id), skycore.calls) == ("expired", 0)

    def test_sweep_says_what_is_late_and_what_died(
        self, line: SendContext, skycore: Skycore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        late = queued(expires_at=(timestamps.now() + timedelta(seconds=5)).isoformat())
        waiting = queued()
        row = messages.get(queued())
        assert row is not None
        assert queued_rows.claim(row, "attempt", timestamps.now())
        later = timestamps.now() + timedelta(seconds=40)
        monkeypatch.setattr(timestamps, "now", lambda: later)
        assert swept() == NOTHING | {"unknown": 1, "expired": 1}
        assert [status(id_) for id_ in (late, waiting, row.message_id)] == [
            "expired",
            "queued",
            "unknown",
        ]
        assert swept() == NOTHING

    def test_a_queue_that_is_out_leaves_nothing_behind(self, outside: Outside) -> None:
        outside.queue_is_out = True
        with pytest.raises(Problem, match="not_queued"):
            queued(key="k")
        outside.queue_is_out = False
        assert status(queued(key="k")) == "queued"

    def test_a_queue_without_an_answer_may_have_it(
        self, outside: Outside, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def no_answer(*, Entries: list[Any], **_: Any) -> None:  # noqa: N803
            row = messages.get(json.loads(Entries[0]["MessageBody"])["message_id"])
            if row is not None and row.status == "queued":
                queued_rows.claim(row, "dispatch", timestamps.now())
            raise error("InternalError", "SendMessageBatch")

        monkeypatch.setattr(outside, "send_message_batch", no_answer)
        assert status(queued(key="k")) == "sending"

    def test_a_repeat_that_was_told_queued_keeps_its_row(
        self, outside: Outside, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        take = outside.send_message_batch

        def out(**_: Any) -> None:
            monkeypatch.setattr(outside, "send_message_batch", take)
            again = enqueue(SMS, caller="arn", key="k", queue_url="send", policy=RULES)
            assert (again.status, again.replayed) == (202, True)
            monkeypatch.setattr(outside, "send_message_batch", out)
            raise error("InternalError", "SendMessageBatch")

        monkeypatch.setattr(outside, "send_message_batch", out)
        assert status(queued(key="k")) == "queued"

    def test_a_delete_whose_answer_was_lost_is_one(
        self, outside: Outside, table: FakeDynamoDB, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        outside.queue_is_out = True
        delete = table._DeleteItem

        def twice(request: Any) -> Any:
            delete(request)
            return delete(request)

        monkeypatch.setattr(table, "_DeleteItem", twice)
        with pytest.raises(Problem, match="not_queued"):
            queued(key="k")

    def test_a_cancellation_whose_answer_was_lost_is_one(
        self, table: FakeDynamoDB, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        message_id = queued()
        update = table._UpdateItem

        def twice(request: Any) -> Any:
            update(request)
            return update(request)

        with monkeypatch.context() as patched:
            patched.setattr(table, "_UpdateItem", twice)
            assert cancel(message_id, {})["status"] == "cancelled"
        with pytest.raises(Problem, match="not_cancellable"):
            cancel(message_id, {})

    def test_what_reads_as_expired_is_not_cancelled(self, monkeypatch: pytest.MonkeyPatch) -> None:
        message_id = queued(expires_at=(timestamps.now() + timedelta(seconds=5)).isoformat())
        later = timestamps.now() + timedelta(seconds=6)
        monkeypatch.setattr(timestamps, "now", lambda: later)
        with pytest.raises(Problem, match="not_cancellable"):
            cancel(message_id, {})
