"""Fixtures: one simulator for all tests, put back to its first state before each."""

from collections.abc import Iterator

import pytest

from local.simulator.settings import Settings
from tests.unit.simulator.harness import KEY, Receiver, Skycore


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
