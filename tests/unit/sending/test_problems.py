"""What callers are told when a call of Skycore fails, and what happens to its slot."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from skycore.aws import clients
from skycore.client.errors import (
    HTTP_PROBLEMS,
    CredentialsMissing,
    HttpRefused,
    NotReady,
    OutcomeUnknown,
    Refused,
)
from skycore.problems import RETRY_AFTER, TITLES, Problem
from skycore.sending import delivery, rate_limit, send
from skycore.sending.batch import enqueue_batch
from skycore.sending.dispatch import dispatch
from skycore.sending.rate_limit import RateLimiter, Turn
from skycore.sending.send import call_action, enqueue
from skycore.table import messages, queue_transitions
from skycore.table.limiter import Limiter
from skycore.table.limits import Limits, Wait
from tests.unit.sending.test_sending import (
    QUEUES,
    RULES,
    SMS,
    Skycore,
    line,
    post,
    queue,
    queued,
    skycore,
    status,
)

if TYPE_CHECKING:
    from skycore.sending.delivery import SendContext
    from tests.unit.sending.conftest import Outside

__all__ = ("line", "queue", "skycore")

pytestmark = pytest.mark.usefixtures("table", "outside")

# Whether the same request may be repeated by a machine, as the contract has it.
RETRYABLE = {
    *("in_progress", "rate_limited", "skycore_unreachable", "not_ready"),
    *("not_queued", "not_stored", "ceiling_reached"),
}


@pytest.mark.parametrize("code", TITLES)
@pytest.mark.parametrize("retry_after", [None, 7])
@pytest.mark.parametrize("override", [None, True, False])
def test_retry_after_comes_exactly_with_retryable(
    code: Any, retry_after: int | None, override: bool | None
) -> None:
    problem = Problem(code, "", retry_after=retry_after, retryable=override)
    retryable = problem.body()["retryable"]
    assert retryable == ((code in RETRYABLE) if override is None else override)
    expected = {"Retry-After": str(retry_after or RETRY_AFTER)} if retryable else {}
    assert problem.headers() == expected


STATUSES = {"skycore_account": 502, "skycore_unreachable": 503, "rate_limited": 429}


@pytest.mark.parametrize("http_status", HTTP_PROBLEMS)
def test_an_http_error_without_a_reply_frees_the_key(
    line: SendContext, skycore: Skycore, monkeypatch: pytest.MonkeyPatch, http_status: Any
) -> None:
    skycore.outcome = HttpRefused(http_status, "40")
    with pytest.raises(Problem) as caught:
        post(line, key="k")
    problem = caught.value
    assert (problem.code, problem.status) == (
        HTTP_PROBLEMS[http_status],
        STATUSES[HTTP_PROBLEMS[http_status]],
    )
    assert str(http_status) in problem.detail
    assert problem.headers() == ({"Retry-After": "40"} if problem.retryable else {})
    skycore.outcome = None
    later = time.time_ns() + 41_000_000_000  # an HTTP 429 pauses calls
    monkeypatch.setattr(time, "time_ns", lambda: later)
    monkeypatch.setattr(time, "time", lambda: later / 1e9)
    assert post(line, key="k").status == 201


@pytest.mark.parametrize("seconds", [40, 3000])
def test_an_http_429_without_a_reply_pauses_every_call(
    line: SendContext, skycore: Skycore, seconds: int
) -> None:
    skycore.outcome = HttpRefused(429, str(seconds))
    with pytest.raises(Problem) as caught:
        post(line)
    assert (caught.value.retry_after, caught.value.body()["window"]) == (seconds, "second")
    skycore.outcome = None
    for call in (post, act):
        with pytest.raises(Problem, match="rate_limited"):
            call(line)
    assert (skycore.calls, skycore.accepted) == (1, 0)


def act(line: SendContext) -> Any:
    deadline = time.monotonic() + 25
    return call_action("getMmsIds", {}, identity={}, context=line, policy=RULES, deadline=deadline)


@pytest.mark.parametrize("http_status", HTTP_PROBLEMS)
def test_a_queued_message_waits_after_an_http_error_without_a_reply(
    line: SendContext, skycore: Skycore, queue: list[tuple[str, str, int]], http_status: Any
) -> None:
    skycore.outcome = HttpRefused(http_status, "600")
    message_id = queued()
    body = {"q": json.dumps({"message_id": message_id})}
    assert dispatch(body, context=line, queues=QUEUES, deadline=time.monotonic() + 25) == []
    assert status(message_id) == "queued"
    if http_status == 429:
        assert queue[-1][2] >= 600


def out(*_: Any, **__: Any) -> Any:
    raise ClientError({"Error": {"Code": "ThrottlingException", "Message": ""}}, "UpdateItem")


OUTAGES = {
    "the ledger": (messages, "create"),
    "the opt-outs": (send, "check_opt_out"),
    "the limiter": (RateLimiter, "acquire"),
}


@pytest.mark.parametrize("service", OUTAGES)
def test_what_fails_before_the_call_is_not_ready(
    line: SendContext, skycore: Skycore, monkeypatch: pytest.MonkeyPatch, service: str
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(*OUTAGES[service], out)
        with pytest.raises(Problem) as caught:
            post(line, key="k")
    problem = caught.value
    assert (problem.code, problem.status, problem.retryable) == ("not_ready", 503, True)
    assert skycore.calls == 0
    assert post(line, key="k").status == 201


@pytest.mark.parametrize("error", [NotReady("credentials not read"), CredentialsMissing("no key")])
def test_what_is_not_ready_takes_no_slot(
    line: SendContext, skycore: Skycore, monkeypatch: pytest.MonkeyPatch, error: Any
) -> None:
    skycore.unready = error
    monkeypatch.setattr(RateLimiter, "acquire", out)
    with pytest.raises(Problem) as caught:
        post(line)
    expected = "not_ready" if isinstance(error, NotReady) else "skycore_account"
    assert caught.value.code == expected
    with pytest.raises(Problem, match=expected):
        call_action(
            "getMmsIds", {}, identity={}, context=line, policy=RULES, deadline=time.monotonic() + 25
        )


def test_an_action_whose_limiter_is_out_is_not_ready(
    line: SendContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RateLimiter, "acquire", out)
    with pytest.raises(Problem, match="not_ready"):
        call_action(
            "getMmsIds", {}, identity={}, context=line, policy=RULES, deadline=time.monotonic() + 25
        )


def test_a_message_that_the_table_did_not_take_is_not_ready_to_be_queued(
    monkeypatch: pytest.MonkeyPatch, queue: list[tuple[str, str, int]]
) -> None:
    monkeypatch.setattr(messages, "create", out)
    with pytest.raises(Problem, match="not_ready"):
        enqueue(SMS, caller="arn", key=None, queue_url="send", policy=RULES)
    assert queue == []


def test_a_message_that_may_be_in_the_table_is_not_said_to_be_unqueued(
    outside: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "create", out)
    monkeypatch.setattr(queue_transitions, "release", out)
    with pytest.raises(Problem, match="not_ready"):  # dispatch releases it
        enqueue(SMS, caller="arn", key=None, queue_url="send", policy=RULES)
    outside.queue_is_out = True
    with pytest.raises(Problem, match="gateway_failure") as caught:
        enqueue(SMS, caller="arn", key=None, queue_url="send", policy=RULES)
    assert "may be sent" in caught.value.detail


@pytest.mark.parametrize("error", [NotReady("credentials not read"), CredentialsMissing("no key")])
def test_queued_messages_take_no_slot_while_nothing_can_be_sent(
    line: SendContext,
    skycore: Skycore,
    queue: list[tuple[str, str, int]],
    monkeypatch: pytest.MonkeyPatch,
    error: Any,
) -> None:
    skycore.unready = error
    monkeypatch.setattr(RateLimiter, "acquire_batch", out)
    ids = [queued(), queued()]
    bodies = {str(n): json.dumps({"message_id": one}) for n, one in enumerate(ids)}
    assert dispatch(bodies, context=line, queues=QUEUES, deadline=time.monotonic() + 25) == []
    assert [status(one) for one in ids] == ["queued", "queued"]
    # Without a key they are paused, and wait in the table.
    assert len(queue) == (2 if isinstance(error, NotReady) else 0)
    assert {int(row.tries) for row in map(messages.get, ids) if row} == {0}


def test_the_answer_to_the_call_stands_though_the_row_cannot_be_deleted(
    line: SendContext, skycore: Skycore, monkeypatch: pytest.MonkeyPatch
) -> None:
    skycore.outcome = HttpRefused(413)
    monkeypatch.setattr(queue_transitions, "release", out)
    with pytest.raises(Problem, match="skycore_unreachable"):
        post(line)


def test_queued_messages_take_no_slot_without_a_connection(
    skycore: Skycore, queue: list[tuple[str, str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = Limits(per_minute=20)
    context = delivery.SendContext(skycore, RateLimiter(limits), "send", 90)  # type: ignore[arg-type]
    monkeypatch.setattr(skycore, "ready", lambda **_: 3)
    monkeypatch.setattr(rate_limit.Slot, "is_usable", lambda _: True)  # on a slow machine, too
    ids = [queued(to=f"+1774319{n:04}") for n in range(10)]
    bodies = {str(n): json.dumps({"message_id": one}) for n, one in enumerate(ids)}
    assert dispatch(bodies, context=context, queues=QUEUES, deadline=time.monotonic() + 25) == []
    assert [status(one) for one in ids].count("accepted") == 3
    assert context.rate_limiter.limiter.allowance(limits)["minute"] == 17
    assert len(queue) == 7


def test_connections_are_counted_again_after_a_wait_for_slots(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []

    def take(_: Limiter, __: Limits, *, count: int, **___: Any) -> Any:
        asked.append(count)
        return (0,) * count if len(asked) == 3 else Wait(0, "second", 1)

    monkeypatch.setattr(Limiter, "take", take)
    monkeypatch.setattr(rate_limit, "wait_until", lambda _: None)
    counts = iter([8, 2])
    slots = RateLimiter(Limits(per_second=5)).acquire_batch(10, lambda: next(counts))
    assert asked == [10, 8, 2]
    assert slots == (0, 0)


# A batch's template

TEMPLATE = {"from": "60856", "text": "Hello"}


def batch(template: dict[str, Any], *recipients: dict[str, Any]) -> Any:
    body = {"template": template, "recipients": [*recipients]}
    return enqueue_batch(body, caller="arn", key=None, queue_url="send", policy=RULES)


@pytest.mark.parametrize("fields", [1, 20, 90, 100_000])
def test_a_template_with_unknown_fields_is_refused_once(fields: int) -> None:
    template = {**TEMPLATE, **{f"x{n}": "y" * 1_000 for n in range(fields)}}
    with pytest.raises(Problem, match="invalid_request") as caught:
        batch(template, *[{"to": f"+1774319{n:04}"} for n in range(1_000)])
    errors = caught.value.body()["errors"]
    assert len(errors) == (1 if fields > 90 else min(fields, 20))
    assert all(error["field"].startswith("template") for error in errors)


def test_a_template_may_have_fields_of_the_actions_that_recipients_choose(
    queue: list[tuple[str, str, int]],
) -> None:
    own = {"action": "sendSavedMMS", "mms_id": "1", "text": None}
    result = batch({**TEMPLATE, "custom_subject": "s"}, {"to": "+17743190001", **own})
    assert result.body["messages"][0]["errors"][0]["field"] == "text"


def test_a_message_names_twenty_bad_fields_at_most(line: SendContext) -> None:
    unknown: dict[str, Any] = {f"x{n}": n for n in range(50)}
    with pytest.raises(Problem) as caught:
        post(line, **unknown, dry_run=1, expires_at=2)
    assert len(caught.value.body()["errors"]) == 20


# The slot


class Slot:
    """A slot; `in_time` says for each check, in turn, that it has not passed."""

    at_ms = 0

    def __init__(self, *in_time: bool) -> None:
        self.in_time = list(in_time)
        self.reacquired = 0

    def is_usable(self) -> bool:
        return self.in_time.pop(0)

    def reacquire(self) -> None:
        self.reacquired += 1


@pytest.mark.parametrize(
    ("in_time", "requests", "reacquired"),
    [
        ((True,), 1, 0),
        ((False, True), 1, 1),  # connecting took too long
        ((True, True), 2, 1),  # Skycore counts the request with newer credentials, too
    ],
)
def test_each_request_has_a_slot_of_its_own_that_has_not_passed(
    in_time: Any, requests: int, reacquired: int
) -> None:
    slot = Slot(*in_time)
    turn = Turn(slot)  # type: ignore[arg-type]
    for _ in range(requests):
        turn.take()
    assert (slot.reacquired, slot.in_time) == (reacquired, [])


def test_a_slot_that_passes_again_is_not_used() -> None:
    turn = Turn(Slot(False, False))  # type: ignore[arg-type]
    with pytest.raises(Problem, match="rate_limited"):
        turn.take()
    assert turn.began is None  # no call is measured


@pytest.mark.parametrize("limits", [Limits(), Limits(10)], ids=["no limits", "10 a second"])
def test_queued_calls_wait_for_the_end_of_a_short_pause(
    limits: Limits, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1_764_400_000_000]
    monkeypatch.setattr(rate_limit, "now_ms", lambda: clock[0])
    monkeypatch.setattr(rate_limit, "wait_until", lambda at: clock.append(max(clock.pop(), at)))
    limiter = RateLimiter(limits, Limiter(lambda: clock[0]))
    began = clock[0]
    limiter.report_result(Problem("rate_limited", "too fast", skycore_code="E113"))
    slots = limiter.acquire_batch(1)
    assert isinstance(slots, tuple)
    Turn(limiter.slot(slots[0], single=False)).take()
    assert clock[0] >= began + 1_000


def test_a_slow_handshake_takes_another_slot_instead_of_a_late_one(
    line: SendContext, skycore: Skycore, monkeypatch: pytest.MonkeyPatch
) -> None:
    limiter = RateLimiter(Limits(per_minute=5), Limiter(lambda: rate_limit.now_ms()))  # noqa: PLW0108 - it is replaced below
    context = delivery.SendContext(skycore, limiter, "send", 90)  # type: ignore[arg-type]
    written: list[Any] = []

    def call(action: Any, fields: Any, *, before_write: Any, **_: Any) -> Any:
        now = rate_limit.now_ms()
        with monkeypatch.context() as patched:
            patched.setattr(rate_limit, "now_ms", lambda: now + 2_500)  # connecting took so long
            patched.setattr(rate_limit, "wait_until", lambda _: None)
            before_write()
            written.append(fields)
        raise OutcomeUnknown("enough")

    monkeypatch.setattr(skycore, "call", call)
    acquired: list[Any] = []
    real = RateLimiter.acquire

    def acquire(limiter: RateLimiter) -> Any:
        acquired.append(limiter)
        return real(limiter)

    monkeypatch.setattr(RateLimiter, "acquire", acquire)
    with pytest.raises(Problem, match="outcome_unknown"):
        post(context)
    assert len(acquired) == 2
    assert len(written) == 1


# Codes


@pytest.mark.parametrize("code", ["The number 17743199144 did not take: Hello", "E110\nx", ""])
def test_a_code_that_does_not_look_like_one_is_in_no_log_answer_or_row(
    line: SendContext,
    skycore: Skycore,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    code: str,
) -> None:
    from skycore.catalogue.actions import find_action
    from skycore.client.reply import read_reply

    action = find_action("sendSMS")
    assert action is not None
    body = f"<RESPONSE><STATUS>Failure</STATUS><ERRORCODE>{code}</ERRORCODE></RESPONSE>"
    with pytest.raises(Refused) as refused:
        read_reply(action, 200, body.encode())
    skycore.outcome = refused.value
    with pytest.raises(Problem) as caught:
        post(line, key="k")
    message_id = str(caught.value.members["message_id"])
    row = messages.get(message_id)
    assert row is not None
    said = f"{caplog.text} {capsys.readouterr()} {caught.value.body()} {row.attribute_values}"
    assert "did not take" not in said
    assert "E110" not in said
    assert "skycore_code" not in caught.value.body()


# Secrets


@pytest.mark.parametrize(
    ("stored", "key"),
    [
        ('\ufeff{"API_KEY": "0123456789abcdef"}\n', "0123456789abcdef"),
        ('"0123456789abcdef"', "0123456789abcdef"),
        (b"0123456789abcdef\r\n", "0123456789abcdef"),
    ],
)
def test_a_key_written_by_hand_is_used(
    monkeypatch: pytest.MonkeyPatch, stored: bytes | str, key: str
) -> None:
    client = secret_client(monkeypatch, stored)
    client.ready()
    assert client._credentials.api_key == key


def test_a_key_that_cannot_be_used_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    client = secret_client(monkeypatch, '{"key": "0123456789abcdef"}')
    with pytest.raises(Problem) as caught:
        delivery.get_ready(client, time.monotonic() + 25)
    assert caught.value.code == "skycore_account"
    assert 'without "api_key"' in caught.value.detail
    assert "set-key" in caught.value.detail
    assert "0123456789" not in caught.value.detail


def test_a_binary_key_that_is_no_text_is_explained_to_the_caller(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = secret_client(monkeypatch, b"\xff\x00\xfe")
    with pytest.raises(Problem) as caught:
        delivery.get_ready(client, time.monotonic() + 25)
    assert caught.value.code == "skycore_account"
    assert "binary and not text" in caught.value.detail


def secret_client(monkeypatch: pytest.MonkeyPatch, stored: str | bytes) -> Any:
    class Manager:
        def get_secret_value(self, **_: Any) -> dict[str, Any]:
            name = "SecretBinary" if isinstance(stored, bytes) else "SecretString"
            return {name: stored}

    monkeypatch.setattr(clients, "secretsmanager", Manager)
    delivery.skycore_client.cache_clear()
    client = delivery.skycore_client("http://127.0.0.1:9/", "name")
    delivery.skycore_client.cache_clear()
    return client
