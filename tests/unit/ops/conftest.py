"""What the tests of the operator's tool share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.ops.servers import Server

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def server() -> Iterator[Server]:
    """A host that an address may lead to."""
    running = Server()
    yield running
    running.close()
