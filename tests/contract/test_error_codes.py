"""Every reply code of Skycore, from the simulator to the HTTP answer, for a send and for a read."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

from skycore.catalogue.actions import find_error
from skycore_simulator.tables import table
from tests.patience import until

if TYPE_CHECKING:
    from tests.contract.in_process import InProcess

ACCOUNT = {"E102", "E103", "E104", "E105", "E107", "E109", "E111", "E112", "E713"}
THROTTLE = ["E106", "E113", "E120"]
UNKNOWN = "E503"
CODES = [code for code in table("errors") if code not in THROTTLE]
PREFIX = f"+1774{random.randint(200, 999)}"  # E114 opts its number out for good


def send(stack: Any, code: str) -> Any:
    """Send a text that makes the simulator answer with the code."""
    to = f"{PREFIX}{int(code[1:]):04d}"
    return stack.post("/messages", {"to": to, "from": "60856", "text": f"skycore-error-{code}"})


def read(stack: Any, code: str) -> Any:
    """Call a reading action that makes the simulator answer with the code."""
    return stack.post("/actions/getPassTemplate", {"mms_id": f"skycore-error-{code}"})


def expected(code: str, *, reads: bool) -> tuple[int, str, bool]:
    """Return HTTP status, code and retryable, as the contract has them."""
    if code in ACCOUNT:
        return 502, "skycore_account", False
    if code in THROTTLE:
        return 429, "rate_limited", True
    if code == UNKNOWN:
        return 504, "outcome_unknown", reads
    known = find_error(code)
    return 422, "skycore_rejected", known is not None and known.retry != "no"


def checked(answer: Any, code: str, *, reads: bool) -> dict[str, Any]:
    """Check the answer to a call that Skycore refused with the code; return its body."""
    body: dict[str, Any] = answer.json()
    assert (answer.status_code, body["code"], body["retryable"]) == expected(code, reads=reads)
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert body["status"] == answer.status_code
    assert body["skycore_code"] == code
    known = find_error(code)
    meaning = known.meaning if known else "Skycore refused the request"
    again = "; a later try, under a new Idempotency-Key, may succeed"
    kept = answer.status_code == 422 and not reads
    assert body["detail"] == meaning + (again if kept and body["retryable"] else "")
    return body


def refused_send(stack: Any, code: str) -> None:
    """Check a refused send, and what is kept of it: an unknown outcome or a rejected message."""
    answer = send(stack, code)
    body = checked(answer, code, reads=False)
    assert ("Retry-After" in answer.headers) == answer.json()["retryable"]
    kept = {422: "rejected", 504: "unknown"}.get(answer.status_code)
    assert ("message_id" in body) == bool(kept)
    if kept:
        assert stack.get(f"/messages/{body['message_id']}").json()["status"] == kept


def refused_read(stack: Any, code: str) -> None:
    """Check a refused call that reads."""
    answer = read(stack, code)
    assert "message_id" not in checked(answer, code, reads=True)
    assert ("Retry-After" in answer.headers) == answer.json()["retryable"]


def throttled(stack: Any, code: str, call: Any) -> None:
    """Check a throttled call: when to come again, and that the calls go on after the pause."""
    answer = call(stack, code)
    body = checked(answer, code, reads=call is read)
    assert body["window"] in {"second", "minute", "day"}
    assert int(answer.headers["Retry-After"]) >= 1
    assert stack.control("requests")["requests"][-1]["code"] == code
    assert until(lambda: stack.post("/actions/loginUser", {}).status_code == 200)


def test_all_266_codes_are_walked() -> None:
    assert len(CODES) + len(THROTTLE) == 266


@pytest.mark.parametrize("code", CODES)
def test_a_code_is_answered_as_the_contract_says(stack: InProcess, code: str) -> None:
    refused_send(stack, code)
    refused_read(stack, code)


@pytest.mark.parametrize("code", ["E066", "E699"])
def test_an_undocumented_code_is_carried_through(stack: InProcess, code: str) -> None:
    assert find_error(code) is None
    checked(send(stack, code), code, reads=False)
    checked(read(stack, code), code, reads=True)


@pytest.mark.parametrize("call", [send, read], ids=["send", "read"])
@pytest.mark.parametrize("code", THROTTLE)
def test_a_throttling_code_says_when_to_come_again(stack: InProcess, code: str, call: Any) -> None:
    throttled(stack, code, call)
