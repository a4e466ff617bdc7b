"""A thousand scheduled messages and an update of the stack while they go: each once, none early."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.chaos.seen import wait
from tests.integration.conftest import ROOT, free_port
from tests.integration.conftest import Stack as Deployed
from tests.patience import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.conftest import Stack

pytestmark = [pytest.mark.long, pytest.mark.timeout(3600)]
FOLDER = ".local/scheduled"
MARK = uuid.uuid4().hex[:8]
EACH = 500  # messages of each kind: copies in the queue, and parked in the table
PARKED = timedelta(minutes=16)  # a copy in the queue waits for 15 at most
PATIENCE = 1200.0  # for a thousand calls through an emulator that is being updated
# Two copies of dispatch are what the emulator can run beside an update on two cores.
COPIES = "DispatchMaximumConcurrency=2"


@pytest.fixture(scope="module")
def environment() -> Iterator[dict[str, str]]:
    """The ports and the folder of a stack of its own."""
    made = {
        **os.environ,
        "EMULATOR_PORT": str(free_port()),
        "SIMULATOR_PORT": str(free_port()),
        "LOCAL_DIR": FOLDER,
        "PYTHONPATH": str(ROOT),
    }
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "TABLE_NAME", "SKYCORE_URL"):
        made.pop(name, None)
    yield made
    local(made, "down")


def local(environment: dict[str, str], command: str, parameters: str = "") -> None:
    known = {**environment, "PARAMETERS": parameters}
    subprocess.run([sys.executable, "-m", "local", command], cwd=ROOT, env=known, check=True)


def deployed(environment: dict[str, str], parameters: str) -> Stack:
    local(environment, "up", parameters)
    return Deployed(json.loads((ROOT / FOLDER / "stack.json").read_text()))


def schedule(stack: Stack, kind: str, due: datetime) -> list[str]:
    """Schedule messages of one kind for one time; return their ids."""
    template = {"to": "+17743199144", "from": "60856", "send_at": due.isoformat()}
    recipients = [{"text": f"{MARK} {kind} {n}"} for n in range(EACH)]
    body = {"template": template, "recipients": recipients}
    answers: list[Any] = []

    def scheduled() -> bool:
        answers.append(stack.post("/messages/batch", body, Idempotency_Key=f"{MARK}-{kind}"))
        if answers[-1].status_code != 202:
            return False
        return bool(answers[-1].json()["summary"]["scheduled"] == EACH)

    assert until(scheduled), answers[-1].text[:1000]
    return [one["message_id"] for one in answers[-1].json()["messages"]]


def sent(stack: Stack) -> Counter[str]:
    """How often each of our texts reached Skycore."""
    found = stack.control(f"messages?direction=out&limit={4 * EACH}")["messages"]
    return Counter(row["text"] for row in found if row["text"].startswith(MARK))


def test_a_thousand_scheduled_messages_go_once_and_never_early_through_an_update(
    environment: dict[str, str],
) -> None:
    stack = deployed(environment, f"{COPIES} LogLevel=INFO")
    due = {}
    ids = {}
    due["parked"] = datetime.now(UTC) + PARKED
    ids["parked"] = schedule(stack, "parked", due["parked"])
    due["queued"] = due["parked"] - timedelta(minutes=4)
    ids["queued"] = schedule(stack, "queued", due["queued"])
    until_due = (due["queued"] - datetime.now(UTC)).total_seconds()
    assert until_due > 0, "scheduling took more than 12 minutes"
    assert sent(stack) == {}
    # The update begins before the first are due, and ends while they go.
    time.sleep(max(0.0, until_due - 20))
    stack = deployed(environment, f"{COPIES} LogLevel=DEBUG LogRetentionDays=7")
    wanted = {f"{MARK} {kind} {n}" for kind in ids for n in range(EACH)}
    assert wait(stack, lambda: set(sent(stack)) == wanted, PATIENCE), len(sent(stack))
    assert set(sent(stack).values()) == {1}
    latest = timedelta()
    for kind, messages in ids.items():
        for message_id in messages:
            answer: list[Any] = []

            def settled(id_: str = message_id, answer: list[Any] = answer) -> bool:
                answer.append(stack.get(f"/messages/{id_}").json())
                return answer[-1]["status"] in {"accepted", "sent", "delivered"}

            assert until(settled), answer[-1]
            steps = [step for step in answer[-1]["timeline"] if step["status"] == "sending"]
            begun = [datetime.fromisoformat(step["time"]) for step in steps]
            assert min(begun) >= due[kind], message_id
            latest = max(latest, max(begun) - due[kind])
    print(f"the last call began {latest.total_seconds():.0f} s after its time")
