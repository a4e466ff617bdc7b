"""The table in memory."""

from __future__ import annotations

import pytest
from pynamodb.connection.base import Connection

from tests.unit.table.fake_dynamodb import FakeDynamoDB


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> FakeDynamoDB:
    fake = FakeDynamoDB()
    monkeypatch.setattr(Connection, "client", fake)
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    return fake
