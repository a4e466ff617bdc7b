"""Services of AWS that are slow or fail: time is left for keeping what is not done."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ReadTimeoutError
from pynamodb.exceptions import PutError, UpdateError

from skycore import timestamps
from skycore.client.errors import Refused
from skycore.problems import Problem
from skycore.receiving import publish as publishing
from skycore.sending.delivery import MIN_CALL_SECONDS, SendContext
from skycore.sending.dispatch import dispatch
from skycore.sending.rate_limit import RateLimiter, Slot
from skycore.sending.send import call_action, send
from skycore.table import messages, opt_outs, pauses, queue_transitions
from skycore.table.limiter import Limiter
from skycore.table.limits import Limits
from tests.unit.receiving.test_publish import arrive, receipt, retry, tell
from tests.unit.sending.test_sending import (
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
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.sending.conftest import Outside
    from tests.unit.table.fake_dynamodb import FakeDynamoDB

__all__ = ["line", "queue", "skycore"]


def out(*_: Any, **__: Any) -> Any:
    raise TimeoutError("no answer")


def pass_time(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    real = time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: real() + seconds)


def test_what_a_slow_table_leaves_no_time_for_is_told_later(
    table: FakeDynamoDB, outside: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrive(*(receipt("N202", tracking_id=f"X{n}") for n in range(30)))
    now = 0.0
    monkeypatch.setattr("skycore.receiving.publish.time.monotonic", lambda: now)

    def slow(event: Any) -> None:
        nonlocal now
        now += 1

    monkeypatch.setattr(publishing, "record_opt_outs", slow)
    assert tell(table) == []
    in_time = int(publishing.APPLY_BUDGET_SECONDS) + 1
    assert (len(outside.published), len(outside.queued)) == (in_time, 30 - in_time)


def test_a_slow_topic_leaves_time_for_the_retry_queue(
    table: FakeDynamoDB, outside: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrive(*(receipt("N202", tracking_id=f"X{n}") for n in range(40)))
    now = 0.0
    monkeypatch.setattr("skycore.receiving.publish.time.monotonic", lambda: now)
    real = outside.publish_batch

    def slow(**call: Any) -> Any:
        nonlocal now
        now += 4
        return real(**call)

    monkeypatch.setattr(outside, "publish_batch", slow)
    assert tell(table) == []
    assert (len(outside.published), len(outside.queued)) == (20, 20)
    monkeypatch.setattr(outside, "publish_batch", real)
    assert retry(outside) == []
    assert len(set(outside.ids())) == 40


def test_what_comes_again_is_read_together(table: FakeDynamoDB, outside: Outside) -> None:
    arrive(*(receipt("N202", tracking_id=f"X{n}") for n in range(10)))
    outside.topic_is_out = True
    tell(table)
    outside.topic_is_out = False
    table.calls.clear()
    assert retry(outside) == []
    assert len(outside.published) == 10
    assert table.calls == {"BatchGetItem": 2}  # the rows, and whose they are


@pytest.mark.parametrize("operation", ["UpdateItem", "PutItem"])
def test_a_write_without_an_answer_is_no_refused_condition(
    table: FakeDynamoDB, operation: str
) -> None:
    """Botocore's timeouts have a `response`, which is None."""

    def silent(_: int, called: str, __: object) -> None:
        if called == operation:
            raise ReadTimeoutError(endpoint_url="dynamodb")

    row = messages.new_row(
        "m",
        "queued",
        time=timestamps.now(),
        days=1,
        attempt="a",
        action="sendSMS",
        fingerprint="f",
    )
    table.before = silent
    write: dict[str, Callable[[], object]] = {
        "PutItem": lambda: messages.create(row),
        "UpdateItem": lambda: messages.transition("m", "sending", time=timestamps.now(), own=True),
    }
    with pytest.raises((UpdateError, PutError)):
        write[operation]()


@pytest.mark.usefixtures("table", "outside")
class TestSending:
    def test_a_row_whose_write_got_no_answer_keeps_no_key(
        self, line: SendContext, skycore: Skycore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = messages.create

        def unanswered(row: messages.MessageRow) -> None:
            real(row)
            out()

        with monkeypatch.context() as patched:
            patched.setattr(messages, "create", unanswered)
            with pytest.raises(Problem, match="not_ready"):
                post(line, key="k")
        assert post(line, key="k").status == 201
        assert skycore.calls == 1

    def test_a_refusal_stands_though_its_opt_out_could_not_be_noted(
        self, line: SendContext, skycore: Skycore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(opt_outs, "record_opt_out", out)
        skycore.outcome = Refused("E114")
        with pytest.raises(Problem) as first:
            post(line, key="k")
        again = post(line, key="k")
        assert (again.status, again.replayed) == (first.value.status, True)

    def test_an_outage_of_the_limits_fails_the_messages_that_it_concerns(
        self, line: SendContext, queue: list[tuple[str, str, int]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        message_id = queued()
        monkeypatch.setattr(RateLimiter, "acquire_batch", out)
        assert deliver(line, message_id) == ["q"]
        assert status(message_id) == "queued"

    def test_what_a_slow_table_leaves_no_time_for_is_not_sent(
        self, line: SendContext, queue: list[tuple[str, str, int]], skycore: Skycore
    ) -> None:
        message_id, late = queued(), time.monotonic() + MIN_CALL_SECONDS - 1
        body = {"q": json.dumps({"message_id": message_id})}
        assert dispatch(body, context=line, queues=QUEUES, deadline=late) == ["q"]
        assert status(message_id) == "queued"
        with pytest.raises(Problem) as refused:
            send({**SMS}, caller="arn", key="k", policy=RULES, context=line, deadline=late)
        assert (refused.value.code, refused.value.retryable) == ("not_ready", True)
        assert skycore.calls == 0
        assert post(line, key="k").status == 201

    @pytest.mark.parametrize("request_number", [1, 2])
    @pytest.mark.parametrize("is_send", [True, False])
    def test_a_limiter_that_fails_at_a_later_slot_sends_nothing_and_keeps_no_key(
        self,
        skycore: Skycore,
        monkeypatch: pytest.MonkeyPatch,
        request_number: int,
        is_send: bool,
    ) -> None:
        """The slot passes while connecting, or a refused key asks for a second request."""
        limited = SendContext(skycore, RateLimiter(Limits(per_second=10)), "send", 90)  # type: ignore[arg-type]
        real = skycore.call

        def call(*arguments: Any, before_write: Any, **options: Any) -> Any:
            if request_number == 2:
                before_write()
            patched.setattr(Limiter, "take", out)
            patched.setattr(Slot, "is_usable", lambda _: False)
            return real(*arguments, before_write=before_write, **options)

        def act() -> None:
            late = time.monotonic() + 25
            call_action("getMmsIds", {}, identity={}, context=limited, policy=RULES, deadline=late)

        with monkeypatch.context() as patched:
            patched.setattr(skycore, "call", call)
            with pytest.raises(Problem) as refused:
                post(limited, key="k") if is_send else act()
        assert (refused.value.code, refused.value.status) == ("not_ready", 503)
        assert refused.value.retryable
        assert skycore.calls == 0
        assert post(limited, key="k").status == 201

    def test_a_slow_claim_leaves_the_message_queued_and_pauses_nothing(
        self,
        line: SendContext,
        queue: list[tuple[str, str, int]],
        skycore: Skycore,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        claim = queue_transitions.claim

        def slow(*arguments: Any) -> bool:
            claimed = claim(*arguments)
            pass_time(monkeypatch, 25 - MIN_CALL_SECONDS + 1)
            return claimed

        message_id = queued()
        monkeypatch.setattr(queue_transitions, "claim", slow)
        assert deliver(line, message_id) == []
        row = messages.get(message_id)
        assert row is not None
        assert (row.status, int(row.tries)) == ("queued", 0)
        assert row.failed_for is None
        assert [json.loads(body)["message_id"] for _, body, _ in queue] == [message_id]
        assert skycore.calls == 0
        assert not pauses.read(consistent=True).by_scope

    def test_a_request_is_not_written_without_time_for_its_reply(
        self, line: SendContext, skycore: Skycore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = skycore.call

        def slow_to_connect(*arguments: Any, **options: Any) -> Any:
            pass_time(patched, 21)
            return real(*arguments, **options)

        with monkeypatch.context() as patched:
            patched.setattr(skycore, "call", slow_to_connect)
            with pytest.raises(Problem, match="not_ready"):
                post(line, key="k")
        assert skycore.calls == 0
        assert post(line, key="k").status == 201

    def test_a_note_of_an_outcome_is_tried_until_the_queue_has_it(
        self, line: SendContext, outside: Outside, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real, tries = outside.send_message_batch, 0

        def sometimes(**call: Any) -> Any:
            nonlocal tries
            tries += 1
            return {} if tries < 4 else real(**call)

        monkeypatch.setattr(outside, "send_message_batch", sometimes)
        monkeypatch.setattr(messages, "transition", out)
        sent = post(line, key="k")
        assert sent.status == 201
        (note,) = (json.loads(body)["mend"] for body in outside.queued)
        assert (note["message_id"], note["status"]) == (sent.body["message_id"], "accepted")
