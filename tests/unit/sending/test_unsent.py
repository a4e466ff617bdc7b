"""What proves that nothing was sent is not lost: requeues, dead letters and released keys."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from skycore import timestamps
from skycore.client.errors import NotSent, OutcomeUnknown, Refused
from skycore.problems import Problem
from skycore.sending.dispatch import dispatch
from skycore.sending.rate_limit import RateLimiter
from skycore.sending.retry import BACKOFF, MAX_TRIES
from skycore.sending.send import enqueue
from skycore.table import messages, opt_outs, queue_transitions
from tests.unit.sending.conftest import overlap
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
    stop,
    swept,
)
from tests.unit.table.fake_dynamodb import FakeDynamoDB, error

if TYPE_CHECKING:
    from skycore.sending.delivery import SendContext
    from tests.unit.sending.conftest import Outside

__all__ = ["line", "queue", "skycore"]
pytestmark = pytest.mark.usefixtures("table", "outside")


def refuse(monkeypatch: pytest.MonkeyPatch, function: str, *, of: Any = queue_transitions) -> None:
    """Let a write of the table fail, as it does when all tries of the SDK had no answer."""

    def out(*_: Any, **__: Any) -> Any:
        raise error("InternalServerError", function)

    monkeypatch.setattr(of, function, out)


def records(outside: Outside) -> list[dict[str, Any]]:
    bodies = [json.loads(body) for body in outside.queued]
    return [body["mend"] for body in bodies if "mend" in body]


def apply(context: Any, outside: Outside) -> list[str]:
    """Deliver the recorded outcomes to dispatch."""
    bodies = {str(n): body for n, body in enumerate(outside.queued) if "mend" in body}
    outside.queued.clear()
    return dispatch(bodies, context=context, queues=QUEUES, deadline=time.monotonic() + 25)


def pass_time(monkeypatch: pytest.MonkeyPatch, **passed: float) -> None:
    later = timestamps.now() + timedelta(**passed)
    monkeypatch.setattr(timestamps, "now", lambda: later)


@pytest.mark.parametrize("outcome", [Refused("E106", "wait 5 seconds"), NotSent("refused")])
@pytest.mark.parametrize("swept_first", [False, True])
def test_a_message_that_was_not_sent_is_tried_again_though_its_requeue_failed(
    line: SendContext,
    skycore: Skycore,
    queue: list[tuple[str, str, int]],
    outside: Outside,
    monkeypatch: pytest.MonkeyPatch,
    outcome: Any,
    swept_first: bool,
) -> None:
    message_id = queued()
    skycore.outcome = outcome
    with monkeypatch.context() as patched:
        refuse(patched, "requeue")
        assert deliver(line, message_id) == []
    assert status(message_id) == "sending"
    if swept_first:  # the record waits in a long queue
        pass_time(monkeypatch, seconds=40)
        assert swept()["unknown"] == 1
    skycore.outcome = None
    assert apply(line, outside) == []
    assert status(message_id) in {"queued", "accepted"}  # accepted if its pause is over
    pass_time(monkeypatch, seconds=60)
    deliver(line, message_id)
    assert (status(message_id), skycore.calls) == (
        "accepted",
        2 if isinstance(outcome, Refused) else 1,
    )


def test_a_record_of_an_earlier_attempt_changes_nothing(
    line: SendContext,
    skycore: Skycore,
    queue: list[tuple[str, str, int]],
    outside: Outside,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    message_id = queued()
    skycore.outcome = NotSent("refused")
    with monkeypatch.context() as patched:
        refuse(patched, "requeue")
        deliver(line, message_id)
    (record,) = [body for body in outside.queued if "mend" in body]
    apply(line, outside)
    pass_time(monkeypatch, seconds=60)
    skycore.outcome = OutcomeUnknown("reset")
    deliver(line, message_id)
    outside.queued.append(record)
    assert apply(line, outside) == []
    assert (status(message_id), skycore.calls) == ("unknown", 1)


def test_a_dead_letter_is_one_though_its_write_failed(
    line: SendContext,
    skycore: Skycore,
    queue: list[tuple[str, str, int]],
    outside: Outside,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    message_id = queued()
    skycore.outcome = Refused("E111", "")  # of this message alone
    for wait in BACKOFF:
        deliver(line, message_id)
        pass_time(monkeypatch, seconds=wait + 1)
    with monkeypatch.context() as patched:
        refuse(patched, "dead_letter")
        deliver(line, message_id)
    assert status(message_id) == "sending"
    assert apply(line, outside) == []
    row = messages.get(message_id)
    assert row is not None
    assert (row.status, row.tries) == ("rejected", MAX_TRIES - 1)
    assert queue_transitions.is_dead_lettered(row)
    assert [(name, json.loads(body)["set_aside"]) for name, body, _ in queue if name == "dead"] == [
        ("dead", True)
    ]


PROBLEMS = [
    (NotSent("refused"), "skycore_unreachable"),
    (Refused("E106", "wait 5 seconds"), "rate_limited"),
    (Refused("E104", ""), "skycore_account"),
]


@pytest.mark.parametrize(("outcome", "code"), PROBLEMS)
def test_the_caller_hears_the_problem_though_its_key_is_not_free_yet(
    line: SendContext,
    skycore: Skycore,
    outside: Outside,
    monkeypatch: pytest.MonkeyPatch,
    outcome: Any,
    code: str,
) -> None:
    skycore.outcome = outcome
    monkeypatch.setattr(RateLimiter, "report_result", lambda *_: None)  # it would pause calls
    with monkeypatch.context() as patched:
        refuse(patched, "release")
        with pytest.raises(Problem) as caught:
            post(line, key="k")
    assert caught.value.code == code
    assert ("Retry-After" in caught.value.headers()) is caught.value.retryable
    with pytest.raises(Problem, match="in_progress"):
        post(line, key="k")
    pass_time(monkeypatch, seconds=40)
    assert swept()["unknown"] == 1
    assert apply(line, outside) == []
    skycore.outcome = None
    assert post(line, key="k").status == 201


def test_a_confirmation_is_free_again_though_its_release_failed(
    line: SendContext, skycore: Skycore, outside: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop()
    skycore.outcome = NotSent("refused")
    with monkeypatch.context() as patched:
        refuse(patched, "release_confirmation", of=opt_outs)
        with pytest.raises(Problem, match="skycore_unreachable"):
            post(line, opt_out_confirmation=True)
    skycore.outcome = None
    with pytest.raises(Problem, match="recipient_opted_out"):
        post(line, opt_out_confirmation=True)
    assert apply(line, outside) == []
    assert post(line, opt_out_confirmation=True).status == 201


def test_a_claim_without_an_answer_does_not_end_as_unknown(
    line: SendContext,
    skycore: Skycore,
    queue: list[tuple[str, str, int]],
    outside: Outside,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    message_id = queued()
    claim = messages.transition_if

    def no_answer(*given: Any, **named: Any) -> Any:
        claim(*given, **named)
        raise error("InternalServerError", "UpdateItem")

    with monkeypatch.context() as patched:
        patched.setattr(messages, "transition_if", no_answer)
        assert deliver(line, message_id) == ["q"]
    assert status(message_id) == "queued"
    deliver(line, message_id)
    assert (status(message_id), skycore.calls) == ("accepted", 1)


def test_a_claim_that_lands_after_a_requeue_does_not_take_the_message(
    queue: list[tuple[str, str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    row = messages.get(queued())
    assert row is not None
    claims: list[Any] = []
    write = messages.transition_if

    def recorded(*given: Any, **named: Any) -> Any:
        claims.append((given, named))
        return write(*given, **named)

    with monkeypatch.context() as patched:
        patched.setattr(messages, "transition_if", recorded)
        assert queue_transitions.claim(row, "attempt", timestamps.now())
    now = timestamps.now()
    assert queue_transitions.requeue(row, tries=1, not_before=now, code=None, detail=None)
    ((given, named),) = claims
    assert write(*given, **named) is None
    assert status(row.message_id) == "queued"


def test_a_synchronous_repeat_keeps_the_row_of_a_call_that_is_failing(
    line: SendContext, skycore: Skycore, outside: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = overlap(outside, monkeypatch, lambda: post(line, key="k"))
    first = enqueue(SMS, caller="arn", key="k", queue_url="send", policy=RULES)
    assert [(one.status, one.replayed) for one in [first, *answers]] == [(202, False), (202, True)]
    message_id = first.body["message_id"]
    assert json.loads(outside.queued[0])["message_id"] == message_id
    deliver(line, message_id)
    assert (status(message_id), skycore.calls) == ("accepted", 1)


@pytest.mark.in_memory("moves a row's expiry to this second")
def test_a_row_that_expires_this_second_ends_a_repeat_at_once(
    line: SendContext, table: FakeDynamoDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    post(line, key="k")
    ((key, item),) = [one for one in table.items.items() if one[0][0].startswith("message#")]
    now = timestamps.now().replace(microsecond=1000)
    monkeypatch.setattr(timestamps, "now", lambda: now)
    item["expires"] = {"N": str(int(now.timestamp()))}
    table.items[key] = item
    table.calls.clear()
    assert post(line, key="k").replayed
    assert table.calls["PutItem"] == 1
