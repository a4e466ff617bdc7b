"""What Skycore may do to a send, for every action that sends: never a second one, and the truth.

The table that this proves is printed at the end (`pytest -s`).
"""

from __future__ import annotations

import contextlib
import random
import socketserver
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from local.openapi.examples import minimal
from skycore.catalogue.actions import all_actions
from tests.integration.conftest import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

SENDS = [action for action in all_actions() if action.effect == "send"]
SLOW_SECONDS = 3.0


@dataclass(frozen=True)
class Expected:
    """What the caller is told, what the message's status is, how many Skycore has taken."""

    http: int
    code: str | None
    status: str | None  # None: there is no message, and its key is free
    sent: int


ACCEPTED = Expected(201, None, "accepted", 1)
UNKNOWN_SENT = Expected(504, "outcome_unknown", "unknown", 1)
UNKNOWN_NOT_SENT = Expected(504, "outcome_unknown", "unknown", 0)
REJECTED = Expected(422, "skycore_rejected", "rejected", 0)
UNREACHABLE = Expected(503, "skycore_unreachable", None, 0)

# Modes of the simulator (simulator/README.md), and places where no Skycore is.
FAULTS = {
    "normal": ACCEPTED,
    "slow": ACCEPTED,
    "silent": UNKNOWN_SENT,
    "trickle": UNKNOWN_SENT,
    "reset_before": UNKNOWN_NOT_SENT,
    "reset_after": UNKNOWN_SENT,
    "half": UNKNOWN_SENT,
    "truncated": UNKNOWN_SENT,
    "garbage": UNKNOWN_SENT,
    "empty": UNKNOWN_SENT,
    "huge": UNKNOWN_SENT,
    "wrong_root": UNKNOWN_SENT,
    "no_status": UNKNOWN_SENT,
    "doctype": UNKNOWN_SENT,
    "bad_bytes": ACCEPTED,
    "loose_ampersand": ACCEPTED,
    "failure_without_status": UNKNOWN_NOT_SENT,
    "unknown_code": REJECTED,
    "http500": UNKNOWN_SENT,
    "http503": UNKNOWN_NOT_SENT,
    "http302": UNKNOWN_NOT_SENT,
    "connection refused": UNREACHABLE,
    "no such name": UNREACHABLE,
    "no TLS": UNREACHABLE,
}
SHORT = {"reset_after", "half", "garbage", "http500", "http302"}  # in make test
ELSEWHERE = {
    "connection refused": "http://127.0.0.1:{closed}/",
    "no such name": "https://skycore.invalid/",
    "no TLS": "https://127.0.0.1:{plain}/",
}


class PlainServer(socketserver.BaseRequestHandler):
    """Answers every TLS handshake with plain text."""

    def handle(self) -> None:
        self.request.recv(65536)
        self.request.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


@contextlib.contextmanager
def plain_server() -> Iterator[int]:
    """The port of a server that speaks no TLS."""
    with socketserver.TCPServer(("127.0.0.1", 0), PlainServer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()


@contextlib.contextmanager
def fault(stack, name: str) -> Iterator[None]:
    """Skycore is as the fault says, for the function that sends."""
    if name not in ELSEWHERE:
        stack.control("settings", {"mode": name, "slow_seconds": SLOW_SECONDS}, "PATCH")
        yield
        stack.control("settings", {"mode": None, "slow_seconds": None}, "PATCH")
        return
    functions, function = stack.admin("lambda"), stack.resource("SendFunction")
    known = functions.get_function_configuration(FunctionName=function)["Environment"]["Variables"]

    def skycore_at(url: str) -> None:
        functions.update_function_configuration(
            FunctionName=function, Environment={"Variables": {**known, "SKYCORE_URL": url}}
        )

    with plain_server() as plain:
        skycore_at(ELSEWHERE[name].format(closed=free_port(), plain=plain))
        try:
            yield
        finally:
            skycore_at(known["SKYCORE_URL"])


@pytest.fixture(scope="module")
def table():
    rows: list[tuple[str, str, Expected]] = []
    yield rows
    wide = max(len(name) for name in FAULTS)
    print(f"\n{'Skycore':{wide}}  {'answer':29}{'status':10}{'at Skycore':12}the same key later")
    for name, expected in FAULTS.items():
        of = [row for row in rows if row[0] == name]
        if of:
            answer = f"{expected.http} {expected.code or ''}"
            later = "the same answer" if expected.status else "sent, once"
            print(
                f"{name:{wide}}  {answer:29}{expected.status or 'none':10}{expected.sent:<12}"
                f"{later}; {len({row[1] for row in of})} actions"
            )


@pytest.fixture(autouse=True)
def fresh(stack):
    stack.control("settings", {"postback_delay": 3600}, "PATCH")  # receipts would mend the unknown
    stack.control("reset", {})
    yield
    stack.control("settings", {"mode": None, "postback_delay": 0.2}, "PATCH")
    stack.control("reset", {})


def sent(stack) -> Counter[str]:
    """How many calls of each action Skycore has done what they asked for."""
    return Counter(stack.control("counts")["accepted_by_action"])


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[] if n in SHORT else pytest.mark.long) for n in FAULTS]
)
def test_every_send_tells_the_truth_and_is_never_doubled(stack, table, name):
    expected, run = FAULTS[name], random.randbytes(4).hex()
    bodies = {action.name: {"action": action.name, **minimal(action)} for action in SENDS}

    def post(action: str):
        return stack.post("/messages", bodies[action], Idempotency_Key=f"{name} {action} {run}")

    waits = name in {"slow", "silent", "trickle"}
    with fault(stack, name), ThreadPoolExecutor(len(SENDS) if waits else 1) as pool:
        answers = dict(zip(bodies, pool.map(post, bodies), strict=True))
        took = max(answer.elapsed.total_seconds() for answer in answers.values())
    assert sent(stack) == Counter({action: expected.sent for action in bodies if expected.sent})
    assert stack.control("counts")["redirects_followed"] == 0
    assert name != "slow" or took >= SLOW_SECONDS
    for action, answer in answers.items():
        told = answer.json()
        assert (answer.status_code, told.get("code")) == (expected.http, expected.code), action
        again = post(action)
        if expected.status is None:
            assert "message_id" not in told
            assert again.status_code == 201, action
            assert "Idempotency-Replayed" not in again.headers
        else:
            assert (again.status_code, again.json()) == (answer.status_code, told), action
            assert again.headers["Idempotency-Replayed"] == "true"
            kept = stack.get(f"/messages/{told['message_id']}").json()
            assert kept["status"] == expected.status, action
        table.append((name, action, expected))
    once = expected.sent or int(expected.status is None)
    assert sent(stack) == Counter({action: once for action in bodies if once})


def test_subscribers_hear_of_an_unknown_outcome(stack, sms):
    stack.control("settings", {"mode": "garbage"}, "PATCH")
    told = stack.post("/messages", sms).json()
    assert told["code"] == "outcome_unknown"
    event = stack.event(
        lambda event: (
            event["type"] == "skycore.message_unknown"
            and event["data"]["message_id"] == told["message_id"]
        )
    )
    assert event["data"]["terminal"] is True
