"""What the postback tests share."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from skycore.postbacks.event import Event
from skycore.postbacks.parser import read_postback
from tests.event_schema import STRICT

NOW = datetime(2026, 11, 22, 10, 41, 15, 250000, tzinfo=UTC)


@pytest.fixture(scope="session")
def now() -> datetime:
    return NOW


@pytest.fixture(scope="session")
def read() -> Callable[[str | bytes], Event]:
    """The one event that a body tells."""

    def one(body: str | bytes) -> Event:
        (event,) = read_postback(body.encode() if isinstance(body, str) else body, NOW)
        return event

    return one


@pytest.fixture(scope="session")
def valid() -> Callable[[dict[str, Any]], None]:
    """Validates an event by the strict schema, and so by the one that users get."""
    return Draft202012Validator(STRICT).validate
