"""Fixtures: one simulator for all tests, reset before each."""

from collections.abc import Iterator

import pytest

from simulator_harness import KEY, Receiver, Skycore
from skycore_simulator.settings import Settings


@pytest.fixture(scope="session")
def running() -> Iterator[Skycore]:
    skycore = Skycore()
    yield skycore
    skycore.close()


@pytest.fixture
def skycore(running: Skycore) -> Skycore:
    running.control("POST", "reset", {})
    running.simulator.settings = Settings(api_key=KEY, postback_delay=0.005, retry_seconds=0.03)
    return running


@pytest.fixture(scope="session")
def listening() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def receiver(skycore: Skycore, listening: Receiver) -> Receiver:
    listening.clear()
    skycore.set(postback_url=listening.url)
    return listening


@pytest.fixture
def page() -> Iterator[Skycore]:
    """A simulator with its page."""
    skycore = Skycore(page=True)
    yield skycore
    skycore.close()
