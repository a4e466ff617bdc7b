"""Keys that cannot work are refused before anything is sent; batches of every length."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ProxyConnectionError

from api_server import SENT, SMS, Answer, ApiServer, Clock, client_of, problem, queued, to
from skycore_client import (
    NO_KEY,
    Client,
    Forbidden,
    GatewayFailure,
    InvalidRequest,
    Message,
    NoAnswer,
    Problem,
    RateLimited,
    RecipientOptedOut,
    Unavailable,
)

if TYPE_CHECKING:
    from api_server import Request


@pytest.mark.parametrize("key", ["", "order-\u00e9", "a\r\nb", "\t", "x" * 256])
def test_a_key_that_cannot_be_one_sends_nothing(
    server: ApiServer, client: Client, key: str
) -> None:
    """An empty order number must not mean a send without a key, which no retry may repeat."""
    with pytest.raises(ValueError, match="Idempotency-Key"):
        client.send(SMS, idempotency_key=key)
    with pytest.raises(ValueError, match="Idempotency-Key"):
        client.send_batch([SMS], idempotency_key=key)
    assert server.requests == []


def test_a_batchs_key_leaves_room_for_its_parts(server: ApiServer, client: Client) -> None:
    server.answers = [queued()]
    client.send_batch(to(1001), idempotency_key="x" * 240)
    assert max(len(key or "") for key in server.keys()) == 245  # noqa: SIM118 - a list
    with pytest.raises(ValueError, match="240"):
        client.send_batch(to(1), idempotency_key="x" * 241)


@pytest.mark.parametrize(
    ("count", "sizes"), [(0, []), (1, [1]), (1000, [1000]), (1001, [1000, 1]), (5000, [1000] * 5)]
)
def test_a_batch_of_any_length_has_one_result_for_each_message(
    server: ApiServer, client: Client, count: int, sizes: list[int]
) -> None:
    refused = {"status": "refused", "http_status": 422, "code": "recipient_opted_out"}
    server.answers = [queued({0: refused})]
    results = client.send_batch(iter(to(count)))
    assert [len(request.json()["messages"]) for request in server.requests] == sizes
    assert [isinstance(result, Problem) for result in results] == [
        n % 1000 == 0 for n in range(count)
    ]
    assert len(set(server.keys())) == len(sizes)


def test_messages_may_be_any_mappings(server: ApiServer, client: Client) -> None:
    server.answers = [queued()]
    (result,) = client.send_batch([MappingProxyType({"to": "1"})])
    assert isinstance(result, Message)


def test_a_batch_that_is_repeated_ends_in_time(
    server: ApiServer, client: Client, clock: Clock
) -> None:
    """Its results that may still be queued and failing calls share `retry_seconds`."""
    refused = {"status": "refused", "http_status": 503, "code": "not_queued", "retryable": True}
    began = clock.now

    def answer(_: Request) -> Answer:
        if clock.now - began < 50:
            return Answer(202, {"messages": [refused]})
        return problem(429, "rate_limited", retryable=True)

    server.answers = [answer]
    with pytest.raises(RateLimited):
        client.send_batch(to(1))
    assert clock.now - began <= 60


def test_an_error_of_a_proxy_proves_nothing(
    server: ApiServer, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """urllib3 has it also for a connection that broke after the request was sent."""
    client = client_of(server.url)
    tries: list[Any] = []

    def broken(request: Any) -> Any:
        tries.append(request)
        raise ProxyConnectionError(proxy_url="http://proxy", error=ConnectionResetError())

    monkeypatch.setattr(client._http, "send", broken)
    with pytest.raises(NoAnswer) as raised:
        client.send(SMS, idempotency_key=NO_KEY)
    assert raised.value.sent
    assert len(tries) == 1
    with pytest.raises(NoAnswer):
        client.send(SMS)
    assert len(tries) > 3


def test_a_proxy_of_the_environment_is_used_and_a_request_that_it_took_is_not_repeated(
    server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", server.url.removesuffix("/v1"))
    monkeypatch.setenv("no_proxy", "")
    client = client_of("http://api.example.com/v1")
    server.answers = [Answer(cut=True), SENT]
    with pytest.raises(NoAnswer):
        client.send(SMS, idempotency_key=NO_KEY)
    assert [request.target for request in server.requests] == ["http://api.example.com/v1/messages"]


def test_problems_of_a_later_release_are_still_problems(server: ApiServer, client: Client) -> None:
    server.answers = [problem(422, "invalid_request", errors=[{"pointer": "/to"}])]
    with pytest.raises(InvalidRequest) as raised:
        client.send(SMS)
    assert raised.value.errors == [{"pointer": "/to"}]


def test_a_long_batch_goes_in_parts(server: ApiServer, client: Client) -> None:
    server.answers = [queued({5: {"same_recipient_as": 2}})]
    results = client.send_batch(to(2500), template={"from": "60856"}, idempotency_key="night")
    assert [request.target for request in server.requests] == ["/v1/messages/batch"] * 3
    assert [len(request.json()["recipients"]) for request in server.requests] == [1000, 1000, 500]
    assert server.keys() == ["night.0", "night.1000", "night.2000"]
    messages = [result for result in results if isinstance(result, Message)]
    assert [message.message_id for message in messages] == [str(n) for n in range(2500)]
    assert messages[1005].data["same_recipient_as"] == 1002


def test_a_part_is_no_larger_than_the_api_takes(server: ApiServer, client: Client) -> None:
    server.answers = [queued()]
    client.send_batch([{"to": str(n), "text": "x" * 9000} for n in range(400)])
    assert len(server.requests) == 3
    assert all(len(request.body) < 2_000_000 for request in server.requests)


def test_an_empty_batch_sends_nothing(client: Client) -> None:
    assert client.send_batch([]) == []


def test_a_refused_message_has_its_problem_as_its_result(server: ApiServer, client: Client) -> None:
    server.answers = [
        queued({1: {"status": "refused", "http_status": 422, "code": "recipient_opted_out"}})
    ]
    first, second, third = client.send_batch(to(3))
    assert isinstance(first, Message)
    assert isinstance(second, RecipientOptedOut)
    assert second.status == 422
    assert isinstance(third, Message)
    assert len(server.requests) == 1


@pytest.mark.parametrize("code", ["not_queued", "not_ready", "gateway_failure"])
def test_a_message_that_was_not_queued_is_tried_again_with_the_same_key(
    server: ApiServer, client: Client, code: str
) -> None:
    retryable = code != "gateway_failure"
    refused = {"status": "refused", "http_status": 503, "code": code, "retryable": retryable}
    bad, good = {"messages": [refused]}, {"messages": [{"message_id": "m", "status": "queued"}]}
    server.answers = [Answer(202, bad), Answer(202, good)]
    (result,) = client.send_batch(to(1))
    assert isinstance(result, Message)
    assert len(set(server.keys())) == 1
    server.answers = [Answer(202, bad)]
    (result,) = client.send_batch(to(1))
    assert isinstance(result, Unavailable if retryable else GatewayFailure)


def test_a_batch_without_a_key_is_never_repeated(server: ApiServer, client: Client) -> None:
    """The messages that were queued would be queued twice."""
    refused = {"status": "refused", "http_status": 503, "code": "not_queued", "retryable": True}
    server.answers = [queued({1: refused})]
    first, second = client.send_batch(to(2), idempotency_key=NO_KEY)
    assert isinstance(first, Message)
    assert isinstance(second, Unavailable)
    assert server.keys() == [None]


def test_a_batch_that_fails_in_the_middle_names_the_key_to_repeat_it_with(
    server: ApiServer, client: Client
) -> None:
    rows = [{"message_id": "m", "status": "queued"}] * 1000
    server.answers = [Answer(202, {"messages": rows}), problem(403, "forbidden")]
    with pytest.raises(Forbidden) as raised:
        client.send_batch(to(1001))
    assert raised.value.idempotency_key
    assert server.keys()[0] == f"{raised.value.idempotency_key}.0"
