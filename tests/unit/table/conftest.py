"""The table in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pynamodb.connection.base import Connection

from skycore.table import parking
from tests.unit.table.tables import new_table

if TYPE_CHECKING:
    from tests.unit.table.fake_dynamodb import FakeDynamoDB


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> FakeDynamoDB:
    fake = new_table()
    monkeypatch.setattr(Connection, "client", fake)
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    parking.begin_progress.cache_clear()
    return fake
