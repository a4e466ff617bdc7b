"""The previous release with data in it, today's on top, and back: nothing is lost."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import uuid
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from tests.chaos.seen import rows
from tests.contract.released import INTERFACE
from tests.integration.conftest import ROOT, Stack, free_port
from tests.integration.test_sample_events import RELEASED, expect, handled
from tests.patience import until
from tests.template.released import SNAPSHOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

# The release that users have; a release moves it on (CONTRIBUTING.md).
PREVIOUS = "d619024b1d6e8d215ee18babb57a1c69c7b46ec5"
FOLDER = ROOT / ".local" / "upgrade"
MARK = uuid.uuid4().hex[:8]
WAITING = 12  # messages, and postbacks, that wait in their queues during the update
STOPPED = "17743199177"


@pytest.fixture(scope="module")
def previous() -> Path:
    """The previous release's files. They come from the history, so a clone must have it."""
    known = subprocess.run(
        ["git", "cat-file", "-e", f"{PREVIOUS}^{{commit}}"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if known.returncode:
        pytest.skip(f"the history has no {PREVIOUS}: git fetch --unshallow, then again")
    tree = FOLDER / "previous"
    shutil.rmtree(tree, ignore_errors=True)
    tree.mkdir(parents=True)
    archive = subprocess.run(
        ["git", "archive", PREVIOUS], cwd=ROOT, capture_output=True, check=True
    )
    subprocess.run(["tar", "x"], cwd=tree, input=archive.stdout, check=True)
    (tree / ".venv-emulator").symlink_to((ROOT / ".venv-emulator").resolve())
    return tree


@pytest.fixture(scope="module")
def environment() -> Iterator[dict[str, str]]:
    made = {
        **os.environ,
        "EMULATOR_PORT": str(free_port()),
        "SIMULATOR_PORT": str(free_port()),
        "LOCAL_DIR": str(FOLDER / "state"),
        "PARAMETERS": "",
    }
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "TABLE_NAME", "SKYCORE_URL"):
        made.pop(name, None)
    yield made
    _python(ROOT, made, "-m", "local", "down")


def _python(tree: Path, environment: dict[str, str], *arguments: str) -> None:
    path = f"{tree}:{tree / 'layers' / 'skycore'}"
    subprocess.run(
        [sys.executable, *arguments],
        cwd=tree,
        env={**environment, "PYTHONPATH": path},
        check=True,
    )


def deployed(tree: Path, environment: dict[str, str]) -> Stack:
    """The stack once a release's own `make up` has deployed it, with that release's simulator."""
    stop = "from local import simulator_process; simulator_process.stop()"
    _python(tree, environment, "-c", stop)
    _python(tree, environment, "-m", "local", "up")
    return Stack(json.loads((FOLDER / "state" / "stack.json").read_text()))


def resources(stack: Stack) -> dict[str, str]:
    """The physical ids of what holds data."""
    return {name: stack.resource(name) for name in json.loads(SNAPSHOT.read_text())}


def secrets(stack: Stack) -> list[str]:
    client = stack.admin("secretsmanager")
    names = ("ApiKey", "PostbackToken")
    return [client.get_secret_value(SecretId=stack.resource(n))["SecretString"] for n in names]


def keys(stack: Stack) -> set[tuple[str, str]]:
    kinds = ("message", "pointer", "event", "raw", "window", "opt_out")
    return {(row["pk"]["S"], row["sk"]["S"]) for kind in kinds for row in rows(stack, kind)}


@contextlib.contextmanager
def held(stack: Stack) -> Iterator[None]:
    """Neither `store` nor `dispatch` takes anything from its queue."""
    functions = stack.admin("lambda")

    def switch(on: bool) -> None:
        for verb in ("Store", "Dispatch"):
            name = stack.resource(f"{verb}Function")
            for source in functions.list_event_source_mappings(FunctionName=name)[
                "EventSourceMappings"
            ]:
                functions.update_event_source_mapping(UUID=source["UUID"], Enabled=on)

    switch(False)
    try:
        yield
    finally:
        switch(True)


def receipt(number: int) -> bytes:
    return (
        f"<POSTBACK><ORIGIN>SMS_MT</ORIGIN><CODE>N202</CODE><FROM>60856</FROM>"
        f"<TO>17743199144</TO><TRACKINGID>{MARK}-{number}</TRACKINGID>"
        f"<TIMESTAMP>2026-11-22T10:41:15-05:00</TIMESTAMP></POSTBACK>"
    ).encode()


def sent(stack: Stack) -> Counter[str]:
    """How often each of our texts is at this simulator, which began with its release."""
    told = stack.control("messages?direction=out&limit=1000")["messages"]
    return Counter(row["text"] for row in told if row["text"].startswith(MARK))


def status(stack: Stack, message_id: str) -> str:
    answer = stack.get(f"/messages/{message_id}")
    assert answer.status_code == 200, answer.text
    return str(answer.json()["status"])


def test_an_upgrade_and_a_rollback_lose_nothing(
    previous: Path, environment: dict[str, str], sms: dict[str, Any]
) -> None:
    before = deployed(previous, environment)
    first = before.post("/messages", sms, Idempotency_Key=f"{MARK} kept")
    assert first.status_code == 201
    message_id = first.json()["message_id"]
    assert until(lambda: status(before, message_id) == "delivered")
    before.control("inbound", {"from": STOPPED, "to": sms["from"], "text": "STOP"})
    stopped = {**sms, "to": f"+{STOPPED}", "dry_run": True}
    assert until(lambda: before.post("/messages", stopped).status_code == 422)
    batch = {"messages": [{**sms, "text": f"{MARK} {n}"} for n in range(WAITING)]}
    with held(before):
        queued = before.post("/messages/batch", batch, Idempotency_Key=MARK).json()["messages"]
        assert {row["status"] for row in queued} == {"queued"}
        for number in range(WAITING):
            assert before.postback(receipt(number))[0] == 200
        ids, known, rows_then = resources(before), secrets(before), keys(before)
        timeline = before.get(f"/messages/{message_id}").json()

        after = deployed(ROOT, environment)
        assert resources(after) == ids
        assert secrets(after) == known
        assert rows_then <= keys(after)
        assert after.get(f"/messages/{message_id}").json() == timeline
        assert {status(after, row["message_id"]) for row in queued} == {"queued"}
    _goes_on(after, sms, first.json(), queued)
    assert sent(after) == {f"{MARK} {n}": 1 for n in range(WAITING)}
    for number in range(WAITING):
        after.event(lambda event, n=number: event["subject"] == f"{MARK}-{n}")
    assert after.post("/messages", stopped).status_code == 422
    rows_then = keys(after)

    back = deployed(previous, environment)
    assert (resources(back), secrets(back)) == (ids, known)
    assert rows_then <= keys(back)
    _goes_on(back, sms, first.json(), queued)
    assert sent(back) == {}
    assert back.post("/messages", stopped).status_code == 422


def _goes_on(
    stack: Stack, sms: dict[str, Any], first: dict[str, Any], queued: list[dict[str, Any]]
) -> None:
    """The kept key answers as before, what waited was sent, and a new message is delivered."""
    again = stack.post("/messages", sms, Idempotency_Key=f"{MARK} kept")
    assert (again.status_code, again.json()) == (201, first)
    assert again.headers["Idempotency-Replayed"] == "true"
    for row in queued:
        assert until(lambda row=row: status(stack, row["message_id"]) == "delivered")
    new = stack.post("/messages", sms, Idempotency_Key=f"{MARK} {uuid.uuid4()}")
    assert new.status_code == 201
    assert until(lambda: status(stack, new.json()["message_id"]) == "delivered")


def test_todays_app_runs_on_the_previous_layer(previous: Path, environment: dict[str, str]) -> None:
    """For the seconds of an update, and of a rollback, in which only one half is in place."""
    if not (previous / INTERFACE.relative_to(ROOT)).exists():
        pytest.skip("the previous release promises no interface: 1.0.0 is the first that does")
    stack = deployed(previous, environment)
    for sample in RELEASED["samples"]:
        expect(handled(stack, sample, layer=previous / "layers" / "skycore"), sample)
