"""What Skycore may do to a send, through the deployed stack: never a second one, and the truth.

tests/contract/test_outcomes.py walks all faults and actions; make test-long does so here.
The table that this proves is printed at the end (`pytest -s`).
"""

from __future__ import annotations

import contextlib
import random
import socketserver
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from tests.contract.test_outcomes import (
    ELSEWHERE,
    FAULTS,
    SENDS,
    WAITS,
    Expected,
    check_outcome,
    send,
)
from tests.integration.conftest import Stack, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

SLOW_SECONDS = 3.0
SHORT = {"reset_after", "http302"}  # in make test, with one action


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
def fault(stack: Stack, name: str) -> Iterator[None]:
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
def table() -> Iterator[Any]:
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
def fresh(stack: Stack) -> Iterator[None]:
    stack.control("settings", {"postback_delay": 3600}, "PATCH")  # receipts would mend the unknown
    stack.control("reset", {})
    yield
    stack.control("settings", {"mode": None, "postback_delay": 0.2}, "PATCH")
    stack.control("reset", {})


@pytest.mark.parametrize("name", sorted(SHORT))
def test_a_send_tells_the_truth_and_is_never_doubled(stack: Stack, name: str) -> None:
    run = random.randbytes(4).hex()
    with fault(stack, name):
        answers = {"sendSMS": send(stack, "sendSMS", name, run)}
    check_outcome(stack, name, answers, run)


@pytest.mark.long
@pytest.mark.parametrize("name", FAULTS)
def test_every_send_tells_the_truth_and_is_never_doubled(
    stack: Stack, table: Any, name: Any
) -> None:
    expected, run = FAULTS[name], random.randbytes(4).hex()
    actions = [action.name for action in SENDS]
    with fault(stack, name), ThreadPoolExecutor(len(SENDS) if name in WAITS else 1) as pool:
        made = pool.map(lambda action: send(stack, action, name, run), actions)
        answers = dict(zip(actions, made, strict=True))
        took = max(answer.elapsed.total_seconds() for answer in answers.values())
    assert name != "slow" or took >= SLOW_SECONDS
    check_outcome(stack, name, answers, run)
    table.extend((name, action, expected) for action in actions)


def test_subscribers_hear_of_an_unknown_outcome(stack: Stack, sms: dict[str, Any]) -> None:
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
