"""send and dispatch killed at every point: never a second message, always an honest status."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.conftest import Stack, warm
from tests.patience import until

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]
IN_FLIGHT_SECONDS = 31
RECEIPT_SECONDS = 8.0  # from the reply to the first receipt; a handler writes the pointer by then

# point: (messages that Skycore got, what the row says at once, what it says in the end,
#         answer to the same request with the same key, at once and in the end)
SEND = {
    "before the row": (0, None, None, 201, 201),
    "after the row": (0, "sending", "unknown", 409, 504),
    "during the call": (1, "sending", "unknown", 409, 504),
    "after the reply": (1, "sending", "unknown", 409, 504),
    "between pointer and row": (1, "delivered", "delivered", 201, 201),
    "before the answer": (1, "delivered", "delivered", 201, 201),
}
# point: (rows that there are, messages that Skycore gets though nobody repeats the call: at least,
#         at most). Four calls of the queue go out at once.
QUEUED_ROWS = 25
ENQUEUE = {
    "before the row": (0, 0, 0),
    "between rows and queue": (QUEUED_ROWS, 0, 0),
    "between calls of the queue": (QUEUED_ROWS, 5, QUEUED_ROWS),  # the last call has five
    "after the queue": (QUEUED_ROWS, QUEUED_ROWS, QUEUED_ROWS),
}
# point: (messages that Skycore got in the end, what the row says in the end)
DISPATCH = {
    "before taking it": (1, "delivered"),
    "after taking it": (0, "unknown"),
    "during the call": (1, "unknown"),
    "after the reply": (1, "unknown"),
    "between pointer and row": (1, "delivered"),
    "before the answer": (1, "delivered"),
}


class Function:
    """A function's handler in a process of its own, with the deployed function's environment."""

    def __init__(self, stack: Any, verb: str) -> None:
        name = stack.resource(f"{verb.title()}Function")
        known = stack.admin("lambda").get_function_configuration(FunctionName=name)
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
            **known["Environment"]["Variables"],
            "AWS_ENDPOINT_URL": stack.description["endpoint_url"],
            "AWS_REGION": stack.description["region"],
            "AWS_DEFAULT_REGION": stack.description["region"],
            "AWS_ACCESS_KEY_ID": stack.description["admin_access_key_id"],
            "AWS_SECRET_ACCESS_KEY": stack.description["admin_secret_access_key"],
            "PYTHONPATH": f"{ROOT / 'functions' / verb}:{ROOT / 'layers' / 'skycore'}",
        }

    def run(self, event: dict[str, Any], point: str) -> dict[str, Any] | None:
        """What the handler answers; None if it died at `point`."""
        done = subprocess.run(
            [sys.executable, str(ROOT / "tests/chaos/dying_handler.py"), point],
            input=json.dumps(event),
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode == 9:
            return None
        assert done.returncode == 0, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return answer

    def complete(self, event: dict[str, Any]) -> dict[str, Any]:
        """What the handler answers when nothing kills it."""
        answer = self.run(event, "never")
        assert answer is not None
        return answer


def number() -> str:
    return f"1774319{random.randint(1000, 8999)}"


def post_event(body: dict[str, Any], key: str) -> dict[str, Any]:
    sample: dict[str, Any] = json.loads((ROOT / "events/send/sms.json").read_text())
    sample["headers"]["Idempotency-Key"] = key
    sample["body"], sample["isBase64Encoded"] = json.dumps(body), False
    return sample


def got(stack: Any, to: str) -> int:
    return len(stack.control(f"messages?to={to}")["messages"])


def message(stack: Any, message_id: str) -> dict[str, Any] | None:
    answer = stack.get(f"/messages/{message_id}")
    return answer.json() if answer.status_code == 200 else None


def status(stack: Any, message_id: str) -> str | None:
    found = message(stack, message_id)
    return found["status"] if found else None


@pytest.fixture(scope="module", autouse=True)
def warmed(stack: Stack) -> None:
    """Start the functions that receipts need: another test may have left them cold."""
    warm(stack)


@pytest.fixture
def slow(stack: Stack, request: pytest.FixtureRequest) -> Iterator[None]:
    if "during" in request.node.name:
        stack.control("settings", {"mode": "slow", "slow_seconds": 4}, "PATCH")
    if "between pointer" in request.node.name:
        # A receipt that comes before the pointer cannot settle the message, which stays unknown.
        stack.control("settings", {"postback_delay": RECEIPT_SECONDS}, "PATCH")
    yield
    stack.control("settings", {"mode": None, "postback_delay": 0.2}, "PATCH")


@pytest.mark.usefixtures("slow")
@pytest.mark.parametrize("point", SEND)
def test_send_killed(stack: Stack, sms: dict[str, Any], point: str) -> None:
    count, at_once, in_the_end, first, last = SEND[point]
    send, to, key = Function(stack, "send"), number(), f"crash-{random.random()}"
    event = post_event({**sms, "to": to}, key)
    message_id = _message_id(event, key)
    assert send.run(event, point) is None
    died = time.monotonic()
    stack.control("settings", {"mode": None}, "PATCH")
    assert until(lambda: status(stack, message_id) == at_once)
    again = send.complete(event)
    assert again["statusCode"] == first
    assert until(lambda: got(stack, to) >= count)
    if at_once == "sending":
        time.sleep(max(0.0, IN_FLIGHT_SECONDS - (time.monotonic() - died)))
        assert status(stack, message_id) == in_the_end
        Function(stack, "sweep").run({}, "never")
        stack.event(
            lambda told: (
                told["type"] == "skycore.message_unknown"
                and told["data"]["message_id"] == message_id
            )
        )
    final = send.complete(event)
    assert final["statusCode"] == last
    total = got(stack, to)
    print(
        f"send killed {point}: Skycore got {total}; GET says {status(stack, message_id)}; "
        f"the same key {first}, later {last}"
    )
    assert total == max(count, 1 if first == 201 else 0)


@pytest.mark.usefixtures("slow")
@pytest.mark.parametrize("point", DISPATCH)
def test_dispatch_killed(stack: Stack, sms: dict[str, Any], point: str) -> None:
    count, in_the_end = DISPATCH[point]
    enqueue, dispatch = Function(stack, "enqueue"), Function(stack, "dispatch")
    # A queue of nobody's, so that the deployed dispatch does not take the message first.
    queue = stack.admin("sqs").create_queue(QueueName=f"crash-{random.randint(0, 10**9)}")
    enqueue.environment["SEND_QUEUE_URL"] = queue["QueueUrl"]
    to = number()
    sample = json.loads((ROOT / "events/enqueue/batch.json").read_text())
    sample["body"] = json.dumps({"messages": [{**sms, "to": to}]})
    sample["isBase64Encoded"] = False
    answer = enqueue.complete(sample)
    (entry,) = json.loads(answer["body"])["messages"]
    record = {"messageId": "1", "body": json.dumps({"message_id": entry["message_id"]})}
    event = {"Records": [record]}
    assert dispatch.run(event, point) is None
    died = time.monotonic()
    stack.control("settings", {"mode": None}, "PATCH")
    # The queue gives the message again, and again.
    for _ in range(2):
        assert dispatch.run(event, "never") == {"batchItemFailures": []}
    if in_the_end == "unknown":
        time.sleep(max(0.0, IN_FLIGHT_SECONDS - (time.monotonic() - died)))
    assert until(lambda: status(stack, entry["message_id"]) == in_the_end)
    total = got(stack, to)
    print(f"dispatch killed {point}: Skycore got {total}; GET says {in_the_end}")
    assert total == count


@pytest.mark.parametrize("point", ENQUEUE)
@pytest.mark.parametrize("keyed", [True, False], ids=["with a key", "without"])
def test_enqueue_killed(stack: Stack, sms: dict[str, Any], point: str, keyed: bool) -> None:
    rows, least, most = ENQUEUE[point]
    enqueue, to, key = Function(stack, "enqueue"), number(), f"crash-{random.random()}"
    event = json.loads((ROOT / "events/enqueue/batch.json").read_text())
    entries = [{**sms, "to": to, "text": f"Hello {n}"} for n in range(QUEUED_ROWS)]
    event["body"], event["isBase64Encoded"] = json.dumps({"messages": entries}), False
    event["headers"].pop("Idempotency-Key", None)
    if keyed:
        event["headers"]["Idempotency-Key"] = key
    if point == "before the row":
        point = "before rows"
    assert enqueue.run(event, point) is None
    assert len(listed(stack, to)) == rows
    assert until(lambda: got(stack, to) >= least)
    unrepeated = got(stack, to)
    assert unrepeated <= most
    if keyed:
        again = enqueue.complete(event)
        assert [row["status"] for row in json.loads(again["body"])["messages"]] == (
            ["queued"] * QUEUED_ROWS
        )
        expected = QUEUED_ROWS
    else:
        sweep_in(stack, hours=1.1)
        expected = rows
    assert until(lambda: got(stack, to) == expected)
    assert until(lambda: {row["status"] for row in listed(stack, to)} <= {"delivered"})
    texts = [row["text"] for row in stack.control(f"messages?to={to}")["messages"]]
    assert len(set(texts)) == len(texts) == expected
    print(f"enqueue killed {point}: {rows} rows, sent {unrepeated}, in the end {len(texts)}")


@pytest.mark.parametrize(("point", "status_then"), [("between rows and queue", "queued")])
def test_respond_async_killed(
    stack: Stack, sms: dict[str, Any], point: str, status_then: str
) -> None:
    send, to, key = Function(stack, "send"), number(), f"crash-{random.random()}"
    event = post_event({**sms, "to": to}, key)
    event["headers"]["Prefer"] = "respond-async"
    assert send.run(event, point) is None
    (row,) = listed(stack, to)
    assert row["status"] == status_then
    again = send.complete(event)
    assert again["statusCode"] == 202
    assert again["multiValueHeaders"]["Idempotency-Replayed"] == ["true"]
    assert until(lambda: status(stack, row["message_id"]) == "delivered")
    assert got(stack, to) == 1


def listed(stack: Any, to: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = stack.get(f"/messages?to=%2B{to}&limit=100").json()["messages"]
    return rows


def sweep_in(stack: Any, hours: float) -> None:
    """What sweep does when so much time has passed."""
    sweep = Function(stack, "sweep")
    sweep.environment["HOURS_LATER"] = str(hours)
    assert sweep.run({}, "later") is not None


def _message_id(event: dict[str, Any], key: str) -> str:
    from skycore.sending.idempotency import message_id

    return message_id(event["requestContext"]["identity"]["userArn"], key)
