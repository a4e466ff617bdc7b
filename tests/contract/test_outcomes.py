"""What Skycore may do to a send, for every action that sends: never a second one, and the truth."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from local.openapi.examples import minimal
from skycore.catalogue.actions import all_actions

if TYPE_CHECKING:
    from tests.contract.in_process import InProcess

SENDS = [action for action in all_actions() if action.effect == "send"]


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

# Modes of the simulator (local/simulator/README.md), and places where no Skycore is.
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
WAITS = {"slow", "silent", "trickle"}  # for seconds that nobody can shorten: tests/integration
ELSEWHERE = {
    "connection refused": "http://127.0.0.1:{closed}/",
    "no such name": "https://skycore.invalid/",
    "no TLS": "https://127.0.0.1:{plain}/",
}


def send_all(stack: Any, name: str, run: str) -> dict[str, Any]:
    """Send every action under a key of its own; return the answers by action."""
    return {action.name: send(stack, action.name, name, run) for action in SENDS}


def send(stack: Any, action: str, name: str, run: str) -> Any:
    """Send an action; the same again for the same fault and run."""
    (known,) = [one for one in SENDS if one.name == action]
    body = {"action": action, **minimal(known)}
    return stack.post("/messages", body, Idempotency_Key=f"{name} {action} {run}")


def sent(stack: Any) -> Counter[str]:
    """Return how many calls of each action Skycore has done what they asked for."""
    return Counter(stack.control("counts")["accepted_by_action"])


def check_outcome(stack: Any, name: str, answers: dict[str, Any], run: str) -> None:
    """Check the answers given under a fault, and the same requests again once it is over."""
    expected = FAULTS[name]
    assert sent(stack) == Counter({action: expected.sent for action in answers if expected.sent})
    assert stack.control("counts")["redirects_followed"] == 0
    for action, answer in answers.items():
        told = answer.json()
        assert (answer.status_code, told.get("code")) == (expected.http, expected.code), action
    stack.control("settings", {"mode": None}, "PATCH")
    for action, answer in answers.items():
        told, again = answer.json(), send(stack, action, name, run)
        if expected.status is None:
            assert "message_id" not in told
            assert again.status_code == 201, action
            assert "Idempotency-Replayed" not in again.headers
        else:
            assert (again.status_code, again.json()) == (answer.status_code, told), action
            assert again.headers["Idempotency-Replayed"] == "true"
            kept = stack.get(f"/messages/{told['message_id']}").json()
            assert kept["status"] == expected.status, action
    once = expected.sent or int(expected.status is None)
    assert sent(stack) == Counter({action: once for action in answers if once})


@pytest.mark.parametrize("name", [name for name in FAULTS if name not in WAITS | ELSEWHERE.keys()])
def test_every_send_tells_the_truth_and_is_never_doubled(stack: InProcess, name: str) -> None:
    run = random.randbytes(4).hex()
    stack.control("reset", {})
    stack.control("settings", {"mode": name}, "PATCH")
    try:
        answers = send_all(stack, name, run)
        check_outcome(stack, name, answers, run)
    finally:
        stack.control("settings", {"mode": None}, "PATCH")
