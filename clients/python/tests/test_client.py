"""What the client sends, and what it repeats."""

from __future__ import annotations

import socket
from datetime import UTC, datetime
from typing import Any

import pytest

from api_server import (
    ACCEPTED,
    HASTY,
    PATIENT,
    SENT,
    SMS,
    Answer,
    ApiServer,
    Clock,
    client_of,
    problem,
    signature_of,
)
from skycore_client import (
    NO_KEY,
    Client,
    Forbidden,
    GatewayFailure,
    InvalidRequest,
    Message,
    NoAnswer,
    NotCancellable,
    OutcomeUnknown,
    Problem,
    RateLimited,
    RecipientOptedOut,
    SkycoreError,
    SkycoreRejected,
)

SILENCE = Answer(silent=True)
CUT = Answer(cut=True)


def test_a_message_is_sent_and_described(server: ApiServer, client: Client) -> None:
    server.answers = [SENT]
    message = client.send(SMS, idempotency_key="order-1")
    assert message == Message(
        message_id="m-1",
        status="accepted",
        tracking_id="t-1",
        to="17743199144",
        sender="60856",
        client_reference="order-1",
        data=ACCEPTED,
    )
    (request,) = server.requests
    assert (request.method, request.target, request.json()) == ("POST", "/v1/messages", SMS)
    assert "prefer" not in request.headers
    assert server.keys() == ["order-1"]


def test_a_replayed_answer_says_so(server: ApiServer, client: Client) -> None:
    server.answers = [Answer(201, ACCEPTED, {"Idempotency-Replayed": "true"})]
    assert client.send(SMS).replayed


def test_a_message_can_be_queued(server: ApiServer, client: Client) -> None:
    server.answers = [Answer(202, {**ACCEPTED, "status": "queued"})]
    assert client.send(SMS, queue=True).status == "queued"
    assert server.requests[0].headers["prefer"] == "respond-async"


@pytest.mark.parametrize("text", ["Hello", "né, 1+1=2 & ~*'"])
def test_requests_are_signed_as_aws_documents_it(
    server: ApiServer, client: Client, text: str
) -> None:
    server.answers = [Answer(200, {"messages": [], "cursor": None})]
    list(client.messages(to=f"+1 774 {text}", client_reference=f"{text}/"))
    server.answers = [SENT]
    client.send({**SMS, "text": text})
    server.answers = [Answer(200, ACCEPTED)]
    client.message(f"{text}==/ 1")
    for request in server.requests:
        assert request.headers["x-amz-security-token"] == "session"
        scope, signature = signature_of(request, "secret")
        assert f"Credential=AKIDEXAMPLE/{scope}," in request.headers["authorization"]
        assert scope.endswith("/eu-west-1/execute-api/aws4_request")
        assert request.headers["authorization"].endswith(f"Signature={signature}")


def test_the_region_of_an_api_gateway_address_is_taken_from_it(
    monkeypatch: pytest.MonkeyPatch, server: ApiServer
) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    client = Client("https://abc.execute-api.ap-south-1.amazonaws.com/v1")
    client._url = server.url
    server.answers = [SENT]
    client.send(SMS)
    assert "/ap-south-1/execute-api/" in server.requests[0].headers["authorization"]
    with pytest.raises(ValueError, match="region"):
        Client("https://sms.example.com")


def test_each_message_has_a_key_of_its_own_by_default(server: ApiServer, client: Client) -> None:
    server.answers = [SENT]
    client.send(SMS)
    client.send(SMS)
    one, other = server.keys()
    assert one
    assert other
    assert one != other


# (the first answer, whether it is repeated with a key, whether without one)
FAILURES = [
    (SILENCE, True, False),
    (CUT, True, False),
    (Answer(201, b'{"message_id": "m'), True, False),
    (Answer(502, b"<html>Bad gateway</html>"), True, False),
    (problem(500, "gateway_failure"), True, False),
    (problem(502, "gateway_failure"), True, False),
    (problem(504, "gateway_failure"), True, False),
    (problem(409, "in_progress", retryable=True), True, True),
    (problem(429, "rate_limited", retryable=True), True, True),
    (problem(503, "skycore_unreachable", retryable=True), True, True),
    (problem(503, "not_ready", retryable=True), True, True),
    (problem(504, "outcome_unknown"), False, False),
    (problem(502, "skycore_account"), False, False),
    (problem(422, "invalid_request"), False, False),
    (problem(422, "recipient_opted_out"), False, False),
    (problem(422, "skycore_rejected", retryable=True), False, False),
    (problem(403, "forbidden"), False, False),
    (problem(400, "invalid_json"), False, False),
    (Answer(403, b""), False, False),
    (Answer(302, b"", {"Location": "/elsewhere"}), False, False),
]


@pytest.mark.parametrize(
    "first, with_key, without_key",
    FAILURES,
    ids=lambda value: f"{value.status}-{value.body}"[:40] if isinstance(value, Answer) else "",
)
@pytest.mark.parametrize("key", ["order-1", NO_KEY], ids=["key", "no-key"])
def test_exactly_what_is_safe_is_repeated(
    server: ApiServer,
    first: Answer,
    with_key: bool,
    without_key: bool,
    key: str,
) -> None:
    client = client_of(server.url, HASTY if first.silent else PATIENT)
    server.answers = [first, SENT]
    if without_key if key is NO_KEY else with_key:
        assert client.send(SMS, idempotency_key=key).message_id == "m-1"
        assert len(server.requests) > 1
        assert set(server.keys()) == {None if key is NO_KEY else key}
    else:
        with pytest.raises(SkycoreError) as raised:
            client.send(SMS, idempotency_key=key)
        assert len(server.requests) == 1
        assert raised.value.idempotency_key == (None if key is NO_KEY else key)


def test_a_connection_that_was_never_made_is_tried_again_without_a_key(clock: Clock) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        client = client_of(f"http://127.0.0.1:{unused.getsockname()[1]}")
        with pytest.raises(NoAnswer) as raised:
            client.send(SMS, idempotency_key=NO_KEY)
    assert not raised.value.sent
    assert len(clock.pauses) > 3


def test_an_action_that_changes_something_is_never_repeated_after_a_timeout(
    server: ApiServer,
) -> None:
    client = client_of(server.url, HASTY)
    server.answers = [SILENCE, Answer(200, {})]
    with pytest.raises(NoAnswer):
        client.act("subscribe", mobile="+17743199144", campaign_ref="club")
    assert len(server.requests) == 1


def test_a_reading_action_is_repeated_if_the_api_says_so(server: ApiServer, client: Client) -> None:
    server.answers = [
        problem(504, "outcome_unknown", retryable=True),
        Answer(200, {"status": "Success"}),
    ]
    assert client.act("getCampaigns") == {"status": "Success"}
    assert [request.target for request in server.requests] == ["/v1/actions/getCampaigns"] * 2


def test_tries_end_and_pauses_grow(server: ApiServer, client: Client, clock: Clock) -> None:
    server.answers = [Answer(500, {"code": "gateway_failure"})]
    with pytest.raises(GatewayFailure):
        client.send(SMS)
    assert 50 < sum(clock.pauses) <= 60
    assert clock.pauses[0] < 1 < clock.pauses[-1] <= 8


def test_retry_after_is_respected(server: ApiServer, client: Client, clock: Clock) -> None:
    limited = problem(429, "rate_limited", retryable=True)
    limited.headers["Retry-After"] = "17"
    server.answers = [limited, SENT]
    client.send(SMS)
    assert clock.pauses == [17]


def test_a_longer_retry_after_is_raised_at_once(
    server: ApiServer, client: Client, clock: Clock
) -> None:
    limited = problem(429, "rate_limited", retryable=True, window="day")
    limited.headers["Retry-After"] = "3600"
    server.answers = [limited]
    with pytest.raises(RateLimited) as raised:
        client.send(SMS)
    assert raised.value.retry_after == 3600
    assert raised.value.body["window"] == "day"
    assert clock.pauses == []


@pytest.mark.parametrize(
    "answer, kind",
    [
        (
            problem(422, "invalid_request", errors=[{"field": "to", "detail": "bad"}]),
            InvalidRequest,
        ),
        (problem(422, "recipient_opted_out"), RecipientOptedOut),
        (problem(422, "skycore_rejected", skycore_code="E714"), SkycoreRejected),
        (problem(504, "outcome_unknown", message_id="m-1"), OutcomeUnknown),
        (problem(403, "forbidden"), Forbidden),
        (problem(418, "of_a_later_release"), Problem),
        (Answer(403, b"<html>"), Forbidden),
        (Answer(404, ["no", "problem"]), InvalidRequest),
    ],
)
def test_problems_are_typed(
    server: ApiServer, client: Client, answer: Answer, kind: type[Problem]
) -> None:
    server.answers = [answer]
    with pytest.raises(Problem) as raised:
        client.send(SMS)
    error = raised.value
    assert type(error) is kind
    assert error.status == answer.status
    given: dict[str, Any] = answer.body if isinstance(answer.body, dict) else {}
    assert error.skycore_code == given.get("skycore_code")
    assert error.message_id == given.get("message_id")
    assert error.errors == given.get("errors", [])
    if error.errors:
        assert str(error) == "422 invalid_request: why; to bad"


def test_listings_follow_their_cursors(server: ApiServer, client: Client) -> None:
    server.answers = [
        Answer(200, {"messages": [ACCEPTED], "cursor": "a b+c"}),
        Answer(500, {"code": "gateway_failure"}),
        Answer(200, {"messages": [], "cursor": "d"}),
        Answer(200, {"messages": [ACCEPTED], "cursor": None}),
    ]
    since = datetime(2026, 11, 22, tzinfo=UTC)
    found = list(client.messages(sender="60856", since=since))
    assert [message.message_id for message in found] == ["m-1", "m-1"]
    asked = "from=60856&since=2026-11-22T00%3A00%3A00%2B00%3A00"
    assert [request.target for request in server.requests] == [
        f"/v1/messages?{asked}",
        f"/v1/messages?cursor=a%20b%2Bc&{asked}",
        f"/v1/messages?cursor=a%20b%2Bc&{asked}",
        f"/v1/messages?cursor=d&{asked}",
    ]


def test_unparsed_postbacks_are_listed(server: ApiServer, client: Client) -> None:
    server.answers = [Answer(200, {"events": [{"event_id": "e"}], "cursor": None})]
    assert list(client.unparsed()) == [{"event_id": "e"}]


def test_cancelling_again_after_a_lost_answer_succeeds(server: ApiServer, client: Client) -> None:
    cancelled = Answer(200, {**ACCEPTED, "status": "cancelled"})
    server.answers = [CUT, problem(409, "not_cancellable"), cancelled]
    assert client.cancel("m-1").status == "cancelled"
    server.answers = [problem(409, "not_cancellable"), Answer(200, ACCEPTED)]
    with pytest.raises(NotCancellable):
        client.cancel("m-1")
