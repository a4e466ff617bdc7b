"""What doctor makes of the API's answers: dry runs, empty lists, and an API without room."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ops.doctor import probes
from ops.doctor.checks import CHECKS
from ops.doctor.command import outcome
from skycore.aws import queues
from skycore.catalogue.actions import all_errors, find_action
from skycore.problems import Problem
from skycore.sending.batch import enqueue_batch
from skycore.sending.policy import SendPolicy
from skycore.sending.send import send
from skycore.table import batches, opt_outs
from tests.unit.ops.deployments import FakeStack, queue_url

if TYPE_CHECKING:
    from ops.doctor.check import Outcome
    from tests.unit.ops.servers import Server

BY_NAME = {check.name: check for check in CHECKS}
MISSING = (404, {"code": "message_not_found"})
DRY = {"dry_run": True, "fields": {}}


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch) -> FakeStack:
    fake = FakeStack()
    monkeypatch.setattr(probes, "call", lambda stack, _, path, *__: stack.calls[path])
    fake.calls = {
        "/messages": (200, DRY),
        "/messages/batch": (202, {"messages": [DRY]}),
        "/messages/doctor": MISSING,
    }
    return fake


def checked(name: str, stack: FakeStack) -> Outcome:
    return outcome(BY_NAME[name], stack.deployment())


# --- Dry runs of a send ---------------------------------------------------------------------------


def test_dry_runs_that_are_answered_as_such_are_ok(stack: FakeStack) -> None:
    assert checked("routes-answer", stack).result == "ok"


@pytest.mark.parametrize("code", sorted(probes.REFUSALS))
def test_a_number_that_may_not_be_sent_to_proves_as_much(stack: FakeStack, code: Any) -> None:
    stack.calls["/messages"] = (422, {"code": code})
    stack.calls["/messages/batch"] = (202, {"messages": [{"code": code}]})
    assert checked("routes-answer", stack).result == "ok"


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/messages", (201, {"message_id": "sent"})),
        ("/messages", (200, {"dry_run": False})),
        ("/messages", (422, {"code": "invalid_request"})),
        ("/messages/batch", (202, {"messages": [{"message_id": "queued"}]})),
        ("/messages/batch", (202, {"messages": []})),
        ("/messages/batch", (202, {})),
        ("/messages/batch", (500, {"code": "gateway_failure"})),
        ("/messages/doctor", (200, {})),
    ],
)
def test_another_answer_than_that_of_a_dry_run_is_a_problem(
    stack: FakeStack, path: str, answer: Any
) -> None:
    stack.calls[path] = answer
    found = checked("routes-answer", stack)
    assert [f" {path} answered {answer[0]}" in one.detail for one in found.findings] == [True]
    assert found.result == "problem"


class Forbidden:
    """What a dry run may not use: the rate limiter and Skycore."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(name)


@pytest.mark.parametrize("countries", ["", "44"])
def test_the_probes_are_dry_runs_for_the_functions_too(
    stack: FakeStack, monkeypatch: pytest.MonkeyPatch, countries: str
) -> None:
    policy: Any = SendPolicy.of("DE", countries, 90)
    monkeypatch.setattr(opt_outs, "opted_out", lambda _: set())
    written: list[Any] = []

    def write(things: list[Any]) -> set[int]:
        written.extend(things)
        return set()

    monkeypatch.setattr(batches, "put_all", write)
    monkeypatch.setattr(queues, "send_many", lambda _, bodies, **_known: write(bodies))
    answers: Any = {}
    bodies = {path: body for _, path, body, *_ in probes.ROUTES}
    context: Any = Forbidden()
    try:
        sent = send(
            bodies["/messages"] or {},
            caller="me",
            key=None,
            policy=policy,
            context=context,
            deadline=0,
        )
        answers["/messages"] = (sent.status, sent.body)
    except Problem as problem:
        answers["/messages"] = (problem.status, problem.body())
    sent = enqueue_batch(
        bodies["/messages/batch"] or {}, caller="me", key=None, queue_url="", policy=policy
    )
    answers["/messages/batch"] = (sent.status, sent.body)
    assert written == []
    if not countries:
        assert answers["/messages"][1]["dry_run"]
        assert answers["/messages/batch"][1]["messages"][0]["dry_run"]
    stack.calls |= answers
    assert checked("routes-answer", stack).result == "ok"


# --- The key --------------------------------------------------------------------------------------


def skycore(stack: FakeStack, status: int, **answer: str) -> Outcome:
    stack.resources["ApiKey"] = ("AWS::SecretsManager::Secret", "key")
    stages = {"VersionIdsToStages": {"v" * 32: ["AWSCURRENT"]}}
    stack.answers("secretsmanager", "describe_secret", stages)
    stack.calls = {probes.READ_ACTION: (status, dict(answer))}
    return checked("skycore", stack)


@pytest.mark.parametrize("code", sorted(probes.EMPTY_LISTS))
def test_an_account_with_nothing_to_list_has_a_key_that_works(stack: FakeStack, code: Any) -> None:
    found = skycore(stack, 422, code="skycore_rejected", skycore_code=code)
    assert found.result == "ok"


def test_the_codes_of_empty_lists_are_those_of_the_catalogue() -> None:
    known = {one.code for one in all_errors() if one.meaning.startswith("Account has no ")}
    assert known == probes.EMPTY_LISTS
    action = find_action(probes.READ_ACTION.rpartition("/")[2])
    assert action is not None
    assert action.effect == "read"


def test_another_refusal_of_skycore_is_a_problem(stack: FakeStack) -> None:
    found = skycore(stack, 422, code="skycore_rejected", skycore_code="E100")
    assert found.result == "problem"


# --- No room --------------------------------------------------------------------------------------

BUSY: tuple[int, dict[str, Any]] = (429, {"code": "rate_limited", "window": "day"})


def test_an_account_whose_calls_are_used_up_is_not_checked(stack: FakeStack) -> None:
    found = skycore(stack, *BUSY[:1], **BUSY[1])
    assert (found.result, found.findings) == ("not_checked", ())
    assert "no call is left for this day" in found.reason


def test_a_busy_api_is_not_checked_but_its_faults_are_found(stack: FakeStack) -> None:
    stack.calls["/messages"] = BUSY
    assert checked("routes-answer", stack).result == "not_checked"
    stack.calls["/messages/batch"] = (502, {"code": "gateway_failure"})
    found = checked("routes-answer", stack)
    assert found.result == "problem"
    assert len(found.findings) == 1


def test_a_busy_api_is_not_taken_for_another_host(stack: FakeStack, server: Server) -> None:
    stack.api_url = server.url
    server.answers(*BUSY)
    for name in ("address", "postback"):
        found = checked(name, stack)
        assert (found.result, found.findings) == ("not_checked", ())
        assert "the API is busy" in found.reason


def test_a_probe_that_the_api_has_no_room_for_is_not_checked(
    stack: FakeStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probes, "_is_first_use", lambda _: False)
    monkeypatch.setattr(probes, "_post", lambda *_: 429)
    monkeypatch.setattr("ops.doctor.deployment.try_address", lambda _: None)
    stack.postback_url = "https://api.example/v1/postbacks/token"
    stack.answers("sqs", "list_queues", {})
    stack.answers("sqs", "create_queue", {"QueueUrl": queue_url("doctor")})
    stack.answers("sns", "subscribe", {"SubscriptionArn": f"{stack.topic}:1"})
    stack.answers("sns", "unsubscribe", {})
    stack.answers("sqs", "delete_queue", {})
    found = checked("postback", stack)
    assert (found.result, found.findings) == ("not_checked", ())
    assert "the probe was answered 429" in found.reason
    for service in ("sqs", "sns"):
        stack.stubs[service].assert_no_pending_responses()  # nothing stays behind


def test_a_stack_name_without_room_for_the_probes_queue_is_not_checked(
    stack: FakeStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ops.doctor.deployment.try_address", lambda _: None)
    stack.name = "s" * 54
    found = checked("postback", stack)
    assert found.result == "not_checked"
    assert "a stack name of at most 53 characters" in found.reason
