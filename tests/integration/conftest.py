"""The deployed local stack, brought up once on ports of its own and driven as users do."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from local.client import Client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parents[2]
LOCAL_DIR = os.environ.get("TEST_LOCAL_DIR", ".local/test")
PATIENCE = 60.0  # seconds for what should take two, on a machine that does much else


HERE = Path(__file__).parent
LONG_ONLY = pytest.StashKey[set[str]]()  # files of which a usual run takes nothing


@pytest.hookimpl(tryfirst=True)  # before -m takes tests out
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests of the whole run come last."""
    items.sort(key=lambda item: item.get_closest_marker("needs_the_whole_run") is not None)
    usual = {item.path for item in items if item.get_closest_marker("long") is None}
    config.stash[LONG_ONLY] = {item.path.name for item in items if item.path not in usual}


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Tests of the whole run fail in any other, and say why: a part of it proves nothing."""
    if item.get_closest_marker("needs_the_whole_run"):
        ran = {other.path.name for other in item.session.items if other.path.parent == HERE}
        every = {path.name for path in HERE.glob("test_*.py")} - item.config.stash[LONG_ONLY]
        left = sorted(every - ran)
        if left or hasattr(item.config, "workerinput"):
            pytest.fail(
                "this test compares roles with the calls of the whole integration run, in one "
                "process: run make test, or .venv/bin/pytest -m 'not long' tests/integration\n"
                f"not in this run: {', '.join(left) or 'what other processes ran'}",
                pytrace=False,
            )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Stack:
    """The stack with the eyes and hands that tests need: the caller's and the administrator's."""

    def __init__(self, description: dict[str, Any]) -> None:
        self.description = description
        self.client = Client(description)
        self._events: dict[str, dict[str, Any]] = {}

    def post(self, path: str, body: Any, **headers: str):
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.request("POST", path, body, names)

    def get(self, path: str):
        return self.client.request("GET", path)

    def postback(self, body: bytes, content_type: str = "text/xml", url: str | None = None):
        request = urllib.request.Request(
            url or self.description["postback_url"],
            data=body,
            headers={"Content-Type": content_type},
            method="POST",
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    def event(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first event that came, or comes within the deadline, and is wanted."""
        found: list[dict[str, Any]] = []

        def came() -> bool:
            self._events.update({event["id"]: event for event in self.client.receive()})
            found.extend(event for event in self._events.values() if wanted(event))
            return bool(found)

        types = sorted(event["type"] for event in self._events.values())
        assert until(came), f"no such event; the queue gave {types}"
        return found[0]

    def control(self, path: str, body: Any = None, method: str | None = None) -> Any:
        """Speaks to the simulator's control routes."""
        request = urllib.request.Request(
            f"{self.description['simulator_url']}_control/{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read() or b"null")

    def admin(self, service: str) -> Any:
        session = boto3.Session(
            self.description["admin_access_key_id"],
            self.description["admin_secret_access_key"],
            region_name=self.description["region"],
        )
        return session.client(service, endpoint_url=self.description["endpoint_url"])

    def resource(self, logical_id: str) -> str:
        found = self.admin("cloudformation").describe_stack_resource(
            StackName=self.description["stack_name"], LogicalResourceId=logical_id
        )
        name: str = found["StackResourceDetail"]["PhysicalResourceId"]
        return name


def until(happened: Callable[[], bool], patience: float = PATIENCE) -> bool:
    """Whether it happened before the deadline."""
    deadline = time.monotonic() + patience
    while not happened():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


@contextlib.contextmanager
def brought_up(local_dir: str, parameters: str = "") -> Iterator[Stack]:
    """A stack of its own, on ports of its own, with these template parameters."""
    environment = {
        **os.environ,
        "EMULATOR_PORT": str(free_port()),
        "SIMULATOR_PORT": str(free_port()),
        "LOCAL_DIR": local_dir,
        "PARAMETERS": parameters,
        "PYTHONPATH": str(ROOT),
        "CLOUDTRAIL_RECORDING": "1",  # for test_roles.py
    }
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "TABLE_NAME", "SKYCORE_URL"):
        environment.pop(name, None)
    local = [sys.executable, "-m", "local"]
    up = subprocess.run(
        [*local, "up"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    try:
        assert up.returncode == 0, up.stdout + up.stderr
        yield Stack(json.loads((ROOT / local_dir / "stack.json").read_text()))
    finally:
        subprocess.run([*local, "down"], cwd=ROOT, env=environment, check=False)


_shared = pytest.StashKey[Stack]()


@pytest.fixture(scope="session")
def stack(request) -> Stack:
    """One stack for all folders that ask for it: each has a fixture of its own, by import."""
    stash, config = request.config.stash, request.config
    if _shared not in stash:
        up = contextlib.ExitStack()
        config.add_cleanup(up.close)
        stash[_shared] = up.enter_context(brought_up(LOCAL_DIR, "LogLevel=DEBUG"))
    made: Stack = stash[_shared]
    return made


@pytest.fixture
def sms() -> dict[str, Any]:
    return {"to": "+1 (774) 319-9144", "from": "60856", "text": "Hello"}


@pytest.fixture(scope="session")
def operator(stack) -> dict[str, str]:
    """The environment of an operator who has the rights of OperatorPolicy and no others."""
    from tests.integration import operators
    from tests.integration.test_access import output

    return operators.operator_with(stack, output(stack, "OperatorPolicy"))


@pytest.fixture
def ops(stack, operator):
    """The operator's tool, as that operator runs it."""
    from tests.integration import operators

    return operators.Ops(stack, operator)
