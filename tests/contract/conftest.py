"""The functions in this process, once for each file of tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import _app
from tests.contract.in_process import InProcess, in_process

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def stack() -> Iterator[InProcess]:
    with in_process(_app) as made:
        yield made


@pytest.fixture
def sms() -> dict[str, Any]:
    return {"to": "+1 (774) 319-9144", "from": "60856", "text": "Hello"}
