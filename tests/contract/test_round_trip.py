"""What Skycore reads is what the caller meant: random valid requests, in both transports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simulator_harness import KEY, Skycore
from skycore.catalogue.actions import Action, all_actions
from skycore.client.client import SkycoreClient
from skycore.client.errors import InvalidRequest, Refused
from skycore.client.request import Credentials
from skycore.client.validation import prepare
from tests.contract.meaning import meant
from tests.unit.client.samples import requests_of

if TYPE_CHECKING:
    from collections.abc import Iterator

type Transport = Literal["post", "get"]
ANY_REQUEST = st.sampled_from(all_actions()).flatmap(
    lambda action: st.tuples(st.just(action), requests_of(action))
)
UNREAD = {"E100", "E101", "E108"}
LENIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None)
QUICK = settings(LENIENT, max_examples=60)


@pytest.fixture(scope="module")
def simulator() -> Iterator[Skycore]:
    skycore = Skycore()
    yield skycore
    skycore.close()


@pytest.fixture(scope="module")
def client(simulator: Skycore) -> Iterator[SkycoreClient]:
    with SkycoreClient(simulator.url, Credentials(api_key=KEY)) as client:
        yield client


def sent(client: SkycoreClient, action: Action, body: dict[str, Any], transport: Transport) -> None:
    """Send a request; a refusal because the account lacks a template, say, does not matter."""
    try:
        client.call(action, body, transport=transport)
    except Refused as refusal:
        if refusal.code in UNREAD:
            raise


def read_as_meant(
    client: SkycoreClient, simulator: Skycore, transport: Transport, request: Any
) -> None:
    """Send a request, and compare what the simulator read with what the caller meant."""
    action, body = request
    if transport == "get" and not action.get_form:
        with pytest.raises(InvalidRequest):
            client.call(action, body, transport="get")
        return
    sent(client, action, body, transport)
    entry = simulator.simulator.journal.requests[-1]
    assert entry.action == action.name
    assert entry.transport == {"post": "form", "get": "get"}[transport]
    assert entry.fields == meant(action, body, by_get=transport == "get")
    assert entry.unknown_fields == []
    assert KEY not in entry.text


def read_alike(client: SkycoreClient, simulator: Skycore, request: Any) -> None:
    """Send a request by both transports, and compare what the simulator read."""
    action, body = request
    prepare(action, body)
    if not action.get_form:
        return
    read = []
    transports: tuple[Transport, ...] = ("post", "get")
    for transport in transports:
        sent(client, action, body, transport)
        fields = simulator.simulator.journal.requests[-1].fields
        read.append({name: value for name, value in fields.items() if value != {}})
    assert read[0] == read[1]


@pytest.mark.parametrize("transport", ["post", "get"])
@given(request=ANY_REQUEST)
@QUICK
def test_the_simulator_reads_what_was_meant(
    client: SkycoreClient, simulator: Skycore, transport: Transport, request: Any
) -> None:
    read_as_meant(client, simulator, transport, request)


@given(request=ANY_REQUEST)
@QUICK
def test_both_transports_mean_the_same(
    client: SkycoreClient, simulator: Skycore, request: Any
) -> None:
    read_alike(client, simulator, request)
