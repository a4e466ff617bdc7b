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
from skycore.sending.rate_limit import RateLimiter
from skycore.sending.send import send
from skycore.table import messages, opt_outs
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
        assert (refused.value.code, refused.value.retryable) == ("skycore_unreachable", True)
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
