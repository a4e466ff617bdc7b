"""The deployed local stack, brought up once on ports of its own and driven as users do."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config

from local.client import Client
from tests.patience import PATIENCE_SECONDS, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parents[2]
LOCAL_DIR = os.environ.get("TEST_LOCAL_DIR", ".local/test")
HERE = Path(__file__).parent
COLD_STARTS = 3  # that a function may take; one is over its time on a very slow machine
UNQUEUED = ("Ack", "Send", "Enqueue", "Messages", "Sweep")  # functions that no queue starts
# What starts each function without its calling AWS: nothing to do, or refused at the door.
NO_WORK = {
    "Store": {"Records": []},
    "Publish": {"Records": []},
    "Fetch": {"Records": []},
    "Dispatch": {"Records": []},
    "Ack": "ack/postback_xml",
    "Send": "send/sms",
    "Enqueue": "enqueue/batch",
    "Messages": "messages/list_by_number",
}
FULL_ANSWER = 10  # messages, the most that SQS gives at once
TOO_LARGE = "x" * 300_000  # for a postback; for JSON it is none
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
        long_only = item.config.stash[LONG_ONLY]
        every = {path.name for path in HERE.glob("test_*.py")} - long_only
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
        self.client = Client(description, timeout=PATIENCE_SECONDS)
        self.events: dict[str, dict[str, Any]] = {}  # that came so far, by id
        self.example_keys: set[str] = set()  # access keys of the examples' functions
        self._admin: dict[str, Any] = {}
        self._resources: dict[str, str] = {}

    def post(self, path: str, body: Any, **headers: str) -> Any:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.request("POST", path, body, names)

    def get(self, path: str) -> Any:
        return self.client.request("GET", path)

    def postback(self, body: bytes, content_type: str = "text/xml", url: str | None = None) -> Any:
        request = urllib.request.Request(
            url or self.description["postback_url"],
            data=body,
            headers={"Content-Type": content_type},
            method="POST",
        )
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    def event(self, wanted: Callable[..., bool]) -> dict[str, Any]:
        """Return the first event that came, or comes within the deadline, and is wanted."""
        found: list[dict[str, Any]] = []

        def came() -> bool:
            found.extend(event for event in self.events.values() if wanted(event))
            if not found:
                self.receive()
                found.extend(event for event in self.events.values() if wanted(event))
            return bool(found)

        if not until(came):
            types = sorted(event["type"] for event in self.events.values())
            pytest.fail(f"no such event; the queue gave {types}")
        return found[0]

    def receive(self) -> None:
        """Read the event queue until it gives fewer than a full answer."""
        while events := self.client.receive():
            self.events.update({event["id"]: event for event in events})
            if len(events) < FULL_ANSWER:
                return

    def control(self, path: str, body: Any = None, method: str | None = None) -> Any:
        """Speaks to the simulator's control routes."""
        request = urllib.request.Request(
            f"{self.description['simulator_url']}_control/{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
            return json.loads(answer.read() or b"null")

    @contextlib.contextmanager
    def unreachable_skycore(self) -> Iterator[None]:
        """Cut the simulator's API port for as long as the test needs, and no less."""
        self.control("line", {"open": False}, "PATCH")
        try:
            yield
        finally:
            self.control("line", {"open": True}, "PATCH")

    def admin(self, service: str) -> Any:
        """Return the administrator's client of a service, one for all tests."""
        if service not in self._admin:
            self._admin[service] = self.new_admin(service)
        return self._admin[service]

    def new_admin(self, service: Any) -> Any:
        """Return a client of its own, for a test that changes it."""
        session = boto3.Session(
            self.description["admin_access_key_id"],
            self.description["admin_secret_access_key"],
            region_name=self.description["region"],
        )
        config = Config(read_timeout=PATIENCE_SECONDS, retries={"total_max_attempts": 1})
        url = self.description["endpoint_url"]
        return session.client(service, endpoint_url=url, config=config)

    @property
    def emulator_secret(self) -> str:
        """The secret of the emulator's run."""
        return (ROOT / LOCAL_DIR / "emulator.secret").read_text()

    def admin_environment(self) -> dict[str, str]:
        """Return what makes a program the administrator."""
        return {
            "AWS_ACCESS_KEY_ID": self.description["admin_access_key_id"],
            "AWS_SECRET_ACCESS_KEY": self.description["admin_secret_access_key"],
        }

    def resource(self, logical_id: str) -> str:
        """Return a resource's physical id."""
        if logical_id not in self._resources:
            found = self.admin("cloudformation").describe_stack_resource(
                StackName=self.description["stack_name"], LogicalResourceId=logical_id
            )
            self._resources[logical_id] = found["StackResourceDetail"]["PhysicalResourceId"]
        return self._resources[logical_id]


def warm(stack: Stack) -> None:
    """Start every function but sweep once, one after the other, before a test needs it.

    The emulator unpacks a function's layers in the process that answers everybody: functions that
    start together, or under many requests, are late by more than a test may wait.
    """
    functions = stack.admin("lambda")
    for verb, given in NO_WORK.items():
        event = given
        if isinstance(given, str):
            sample = json.loads((ROOT / "events" / f"{given}.json").read_text())
            event = sample | {"body": TOO_LARGE, "isBase64Encoded": False}
            event["multiValueQueryStringParameters"] = None
        name = stack.resource(f"{verb}Function")
        for _ in range(COLD_STARTS):
            answer = functions.invoke(FunctionName=name, Payload=json.dumps(event))
            if "FunctionError" not in answer:
                break
        assert "FunctionError" not in answer, (verb, answer["Payload"].read())


def unhurried(stack: Stack) -> None:
    """Let functions take as long as they need: on a slow machine a cold start is over 9 seconds.

    Those that a queue starts keep their time: a queue's visibility timeout is six times that.
    tests/template/test_time_limits.py checks the time limits of the template.
    """
    functions = stack.admin("lambda")
    for verb in UNQUEUED:
        name, seconds = stack.resource(f"{verb}Function"), int(PATIENCE_SECONDS)
        known = functions.get_function_configuration(FunctionName=name)
        if known["Timeout"] != seconds:  # an update stops the function's processes
            functions.update_function_configuration(FunctionName=name, Timeout=seconds)


@contextlib.contextmanager
def found_up(file: str) -> Iterator[Stack]:
    """A stack that is up, made ready for tests."""
    stack = Stack(json.loads(Path(file).read_text()))
    unhurried(stack)
    warm(stack)
    yield stack


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
        with found_up(str(ROOT / local_dir / "stack.json")) as stack:
            yield stack
    finally:
        subprocess.run([*local, "down"], cwd=ROOT, env=environment, check=False)


_shared = pytest.StashKey[Stack]()


@pytest.fixture(scope="session")
def stack(request: pytest.FixtureRequest) -> Stack:
    """One stack for all folders that ask for it: each has a fixture of its own, by import.

    TEST_STACK_FILE names the file of a stack that is up already, and stays so; TEST_LOCAL_DIR is
    then its folder.
    """
    stash, config = request.config.stash, request.config
    if _shared not in stash:
        up = contextlib.ExitStack()
        config.add_cleanup(up.close)
        file = os.environ.get("TEST_STACK_FILE")
        made_here = (
            brought_up(LOCAL_DIR, "LogLevel=DEBUG DeletionProtection=on")
            if not file
            else found_up(file)
        )
        stash[_shared] = up.enter_context(made_here)
    made: Stack = stash[_shared]
    return made


@pytest.fixture
def sms() -> dict[str, Any]:
    return {"to": "+1 (774) 319-9144", "from": "60856", "text": "Hello"}


@pytest.fixture(scope="session")
def operator(stack: Stack) -> dict[str, str]:
    """The environment of an operator who has the rights of OperatorPolicy and no others."""
    from tests.integration import operators
    from tests.integration.test_access import output

    return operators.operator_with(stack, output(stack, "OperatorPolicy"))


@pytest.fixture
def ops(stack: Stack, operator: dict[str, str]) -> Any:
    """The operator's tool, as that operator runs it."""
    from tests.integration import operators

    return operators.Ops(stack, operator)
