"""What Skycore reads is what the caller meant: many more requests than make test sends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings

from tests.contract.test_round_trip import (
    ANY_REQUEST,
    LENIENT,
    client,
    read_alike,
    read_as_meant,
    simulator,
)

if TYPE_CHECKING:
    from simulator_harness import Skycore
    from skycore.client.client import SkycoreClient

__all__ = ["client", "simulator"]
pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]
DEEP = settings(LENIENT, max_examples=1500)


@pytest.mark.parametrize("transport", ["post", "get"])
@given(request=ANY_REQUEST)
@DEEP
def test_the_simulator_reads_what_was_meant(
    client: SkycoreClient, simulator: Skycore, transport: Any, request: pytest.FixtureRequest
) -> None:
    read_as_meant(client, simulator, transport, request)


@given(request=ANY_REQUEST)
@DEEP
def test_both_transports_mean_the_same(
    client: SkycoreClient, simulator: Skycore, request: pytest.FixtureRequest
) -> None:
    read_alike(client, simulator, request)
