"""What each thing that happens is counted as."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from skycore import metrics, timestamps
from skycore.client.errors import CredentialsMissing, NotSent, OutcomeUnknown, Refused
from skycore.problems import Problem
from skycore.receiving.ack import acknowledge
from skycore.receiving.store import store
from skycore.sending.batch import enqueue_batch
from skycore.sending.delivery import Queues, SendContext
from skycore.sending.dispatch import dispatch
from skycore.sending.rate_limit import RateLimiter
from skycore.sending.retry import MAX_TRIES
from skycore.sending.send import enqueue
from skycore.sending.sweep import sweep
from skycore.table import messages, opt_outs
from skycore.table.limits import Limits
from tests.unit.receiving.test_publish import Sender, arrive, receipt, tell
from tests.unit.sending.test_sending import RULES, SMS, TO, Skycore, post

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.unit.sending.conftest import Outside
    from tests.unit.table.fake_dynamodb import FakeDynamoDB

QUEUES = Queues("send", "dead")


@pytest.fixture(autouse=True)
def nothing_recorded() -> None:
    metrics._recorded.clear()


@pytest.fixture
def skycore() -> Skycore:
    return Skycore()


@pytest.fixture
def line(skycore: Skycore, table: FakeDynamoDB) -> SendContext:
    return SendContext(
        skycore=skycore,  # type: ignore[arg-type]
        rate_limiter=RateLimiter(Limits()),
        repair_queue="send",
        days=90,
    )


def counted() -> dict[Any, float]:
    """What was counted since the last time, by name or by (name, value of its dimension)."""
    found: dict[Any, float] = {}
    for name, value, by in metrics._recorded:
        if metrics.METRICS[name].unit == "Count":
            key = (name, by) if by else name
            found[key] = found.get(key, 0) + value
    metrics._recorded.clear()
    return found


def values(name: str) -> list[float]:
    return [value for recorded, value, _ in metrics._recorded if recorded == name]


def test_an_accepted_message(line: SendContext) -> None:
    post(line)
    assert values("Silence") == [1]
    assert len(values("SkycoreSeconds")) == 1
    assert counted() == {"Accepted": 1}


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (Refused("E110"), {("Rejected", "message"): 1}),
        (Refused("E104"), {("Rejected", "account"): 1, "AccountErrors": 1}),
        (Refused("E106"), {("Rejected", "limits"): 1}),
        (NotSent("no connection"), {("Rejected", "unreachable"): 1}),
        (OutcomeUnknown("no reply"), {"Unknown": 1}),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_call_that_did_not_end_well(
    line: SendContext, skycore: Skycore, outcome: Any, expected: dict[str, Any]
) -> None:
    skycore.outcome = outcome
    with pytest.raises(Problem):
        post(line)
    assert len(values("SkycoreSeconds")) == 1
    assert counted() == expected


def test_no_key_is_answered_with_the_command_that_sets_one(
    line: SendContext, skycore: Skycore
) -> None:
    skycore.outcome = CredentialsMissing()
    with pytest.raises(Problem) as raised:
        post(line)
    assert raised.value.code == "skycore_account"
    assert counted() == {("Rejected", "account"): 1, "AccountErrors": 1}
    assert "python -m ops --stack NAME set-key" in raised.value.detail


def test_a_send_without_a_key_does_not_count_as_a_call_of_skycore(
    line: SendContext, skycore: Skycore
) -> None:
    skycore.outcome = CredentialsMissing()
    with pytest.raises(Problem):
        post(line)
    assert not values("SkycoreSeconds")


def test_what_was_refused_before_the_call(line: SendContext) -> None:
    opt_outs.record_opt_out(TO, "60856", timestamps.now(), "N211")
    with pytest.raises(Problem):
        post(line)
    with pytest.raises(Problem):
        post(line, text=None)
    assert counted() == {("Rejected", "opted_out"): 1, ("Rejected", "request"): 1}


def test_an_answer_given_again_is_not_counted_again(line: SendContext) -> None:
    post(line, key="k")
    counted()
    assert post(line, key="k").replayed
    assert counted() == {}


def test_the_limits(skycore: Skycore, table: FakeDynamoDB) -> None:
    gate = RateLimiter(Limits(per_day=2, priority_share=0))
    limited = SendContext(skycore=skycore, rate_limiter=gate, repair_queue="send", days=90)  # type: ignore[arg-type]
    post(limited)
    assert values("DayAllowance") == [50]
    assert values("MinuteAllowance") == []
    assert len(values("LimiterWaitSeconds")) == 1
    post(limited)
    with pytest.raises(Problem):
        post(limited)
    assert values("DayAllowance") == [50, 0, 0]
    assert counted() == {"Accepted": 2, ("LimiterFull", "day"): 1, ("Rejected", "limits"): 1}


@pytest.fixture
def queue(outside: Outside, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(outside, "send_message", lambda **_: None, raising=False)
    return outside


def queued(**fields: Any) -> str:
    sent = enqueue({**SMS, **fields}, caller="arn", key="k", queue_url="send", policy=RULES)
    message_id: str = sent.body["message_id"]
    return message_id


def run(line: SendContext, message_id: str) -> None:
    body = json.dumps({"message_id": message_id})
    assert dispatch({"q": body}, context=line, queues=QUEUES, deadline=time.monotonic() + 25) == []


def test_a_queued_message(queue: Any, line: SendContext) -> None:
    message_id = queued()
    queued()  # the same once more
    assert counted() == {"Queued": 1}
    run(line, message_id)
    assert counted() == {"Accepted": 1}


def test_a_queued_message_that_is_set_aside(
    queue: Any, line: SendContext, skycore: Skycore
) -> None:
    message_id = queued()
    counted()
    skycore.outcome = Refused("E111")
    for _ in range(MAX_TRIES):
        row = messages.get(message_id)
        assert row is not None
        row.update([messages.MessageRow.not_before.remove()])
        run(line, message_id)
    found = counted()
    assert found[("Rejected", "account")] == MAX_TRIES
    assert found["SetAside"] == 1


def test_a_batch(queue: Any, line: SendContext) -> None:
    body = {"messages": [SMS, {**SMS, "to": "?"}, SMS]}
    enqueue_batch(body, caller="arn", key=None, queue_url="send", policy=RULES)
    assert counted() == {"Queued": 2, ("Rejected", "request"): 1}


def test_what_sweep_finds(queue: Any, line: SendContext, monkeypatch: pytest.MonkeyPatch) -> None:
    queued(expires_at=timestamps.to_text(timestamps.now() + timedelta(minutes=2)))
    counted()
    later = timestamps.now() + timedelta(hours=1)
    monkeypatch.setattr(timestamps, "now", lambda: later)
    assert sweep(time.monotonic() + 600, queue_url="send")["expired"] == 1
    assert counted() == {"Expired": 1}


def test_postbacks(table: FakeDynamoDB) -> None:
    now = timestamps.now()
    bodies = [receipt("N201"), receipt("N202"), receipt("N202"), b"?", receipt("X999")]
    assert store([(f"q{n}", body, now) for n, body in enumerate(bodies)], days=90) == []
    assert values("Silence") == [0]
    assert counted() == {
        ("Postbacks", "sms_sent"): 1,
        ("Postbacks", "sms_delivered"): 1,
        ("Postbacks", "unparsed"): 1,
        ("Postbacks", "unknown"): 1,
        "Duplicates": 1,
        "Unparsed": 1,
        "UnknownCodes": 1,
    }


def test_a_delivered_message(table: FakeDynamoDB, outside: Outside) -> None:
    Sender().finish()
    arrive(receipt("N202"))  # stored as arrived at NOW
    metrics._recorded.clear()
    tell(table)
    tell(table)  # again, as the stream may
    assert values("DeliverySeconds") == [0]


def test_a_wrong_token() -> None:
    class Secret:
        def values(self, **_: Any) -> Iterator[Any]:
            yield "right"

    with pytest.raises(Problem):
        acknowledge(b"", "wrong", secret=Secret(), queue_url="q")  # type: ignore[arg-type]
    assert counted() == {"WrongTokens": 1}
