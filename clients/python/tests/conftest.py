"""Fixtures: a server, a client of it, and a clock that the client's pauses move."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

import skycore_client.client
from api_server import ApiServer, Clock, client_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from skycore_client import Client


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    times = SimpleNamespace(sleep=clock.sleep, monotonic=lambda: clock.now)
    monkeypatch.setattr(skycore_client.client, "time", times)
    return clock


@pytest.fixture
def server() -> Iterator[ApiServer]:
    server = ApiServer()
    yield server
    server.close()


@pytest.fixture
def client(server: ApiServer) -> Client:
    return client_of(server.url)
