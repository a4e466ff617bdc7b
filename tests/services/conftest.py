"""DynamoDB Local, moto and the Skycore simulator, and the functions between them."""

from __future__ import annotations

import os
import secrets
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import IO, TYPE_CHECKING

import pytest

from tests.services import dynamodb_local
from tests.services.process import free_port, serving
from tests.services.stack import API_KEY, Stack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def dynamodb_url() -> Iterator[str]:
    """Return the run's DynamoDB Local, or one of this session's own."""
    if missing := dynamodb_local.missing():
        pytest.skip(missing)
    if url := os.environ.get("DYNAMODB_LOCAL_URL"):
        yield url
        return
    with dynamodb_local.running() as url:
        yield url


@pytest.fixture(scope="session")
def moto_url() -> Iterator[str]:
    """Return moto's server, which has SQS, SNS and Secrets Manager."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with serving("moto", port, command, os.environ, ROOT) as url:
        yield url


@pytest.fixture(scope="session")
def skycore_url() -> Iterator[str]:
    """Return the Skycore simulator. It sends no postbacks: a test says which come, and when."""
    port = free_port()
    command = [sys.executable, "-m", "skycore_simulator", "--port", str(port)]
    command += ["--api-key", API_KEY]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "simulator")}
    with serving("the simulator", port, command, environment, ROOT) as url:
        yield f"{url}/"


@pytest.fixture(scope="session")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IO[bytes]]:
    """Return the file that the functions' logs go to."""
    with (tmp_path_factory.mktemp("logs") / "functions.log").open("ab") as opened:
        yield opened


@pytest.fixture(scope="module")
def new_stack(
    dynamodb_url: str, moto_url: str, skycore_url: str, logs: IO[bytes]
) -> Iterator[Callable[[], Stack]]:
    """Make stacks whose functions run until the module's tests end."""
    urls = {"dynamodb": dynamodb_url, "moto": moto_url, "skycore": skycore_url}
    with ExitStack() as ends:
        yield lambda: Stack(urls, f"stack{secrets.token_hex(6)}", ends, logs)


@pytest.fixture(scope="module")
def stack(new_stack: Callable[[], Stack]) -> Stack:
    """Return a stack with a key, which the module's tests share."""
    made = new_stack()
    made.set_api_key()
    return made
