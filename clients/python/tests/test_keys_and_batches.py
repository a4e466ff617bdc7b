"""Keys that cannot work are refused before anything is sent; batches of every length."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ProxyConnectionError

from api_server import SENT, SMS, Answer, ApiServer, Clock, client_of, problem, queued, to
from skycore_client import NO_KEY, Client, InvalidRequest, Message, NoAnswer, Problem, RateLimited

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
