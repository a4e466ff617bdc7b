"""The table, the topic and the queues in memory; Skycore's host and the bucket of inbound MMS."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from skycore.aws import clients
from skycore.table import opt_outs
from tests.unit.aws.fake_s3 import FakeS3
from tests.unit.client.skycore_server import Behaviour, Server, serve
from tests.unit.receiving.inbound_mms import PATHS, SENDER, Media
from tests.unit.sending.conftest import outside, table

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from tests.unit.sending.conftest import Outside
    from tests.unit.table.fake_dynamodb import FakeDynamoDB

__all__ = ["outside", "table"]


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> FakeS3:
    fake = FakeS3()
    monkeypatch.setattr(clients, "s3", lambda: fake)
    return fake


@pytest.fixture
def paths() -> dict[str, Behaviour]:
    return dict(PATHS)


@pytest.fixture
def skycore(paths: dict[str, Behaviour]) -> Iterator[Server]:
    """Skycore's host, with what it answers for each path."""

    def behave(connection: socket.socket, request: bytes) -> None:
        paths[request.split(b" ")[1].decode()](connection, request)

    with serve(behave) as server:
        yield server


@pytest.fixture
def known_sender(table: FakeDynamoDB) -> None:
    opt_outs._known_senders.clear()
    opt_outs.record_sender(SENDER)


@pytest.fixture
def media(
    table: FakeDynamoDB,
    outside: Outside,
    skycore: Server,
    s3: FakeS3,
    known_sender: None,
    monkeypatch: pytest.MonkeyPatch,
) -> Media:
    return Media(table, outside, skycore, monkeypatch)
