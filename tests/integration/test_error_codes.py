"""Every reply code of Skycore, from the simulator to the HTTP answer, for a send and for a read."""

from __future__ import annotations

import random

import pytest

from skycore.catalogue.errors import find_error
from skycore_simulator.tables import table
from tests.integration.conftest import until

ACCOUNT = {"E102", "E103", "E104", "E105", "E107", "E109", "E111", "E112", "E713"}
THROTTLE = ["E106", "E113", "E120"]
UNKNOWN = "E503"
CODES = [code for code in table("errors") if code not in THROTTLE]
PREFIX = f"+1774{random.randint(200, 999)}"  # E114 opts its number out for good


def send(stack, code: str):
    to = f"{PREFIX}{int(code[1:]):04d}"
    return stack.post("/messages", {"to": to, "from": "60856", "text": f"skycore-error-{code}"})


def read(stack, code: str):
    return stack.post("/actions/getPassTemplate", {"mms_id": f"skycore-error-{code}"})


def expected(code: str, *, reads: bool) -> tuple[int, str, bool]:
    """HTTP status, code and retryable, as the contract has them."""
    if code in ACCOUNT:
        return 502, "skycore_account", False
    if code in THROTTLE:
        return 429, "rate_limited", True
    if code == UNKNOWN:
        return 504, "outcome_unknown", reads
    known = find_error(code)
    return 422, "skycore_rejected", known is not None and known.retry != "no"


def told(answer, code: str, *, reads: bool) -> dict:
    body = answer.json()
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


def test_all_266_codes_are_walked():
    assert len(CODES) + len(THROTTLE) == 266


@pytest.mark.parametrize("code", CODES)
def test_a_code_is_told(stack, code):
    answer = send(stack, code)
    body = told(answer, code, reads=False)
    assert "Retry-After" not in answer.headers
    # What stands is kept: an outcome that nobody knows, and a message that was refused.
    kept = {422: "rejected", 504: "unknown"}.get(answer.status_code)
    assert ("message_id" in body) == bool(kept)
    if kept:
        assert stack.get(f"/messages/{body['message_id']}").json()["status"] == kept
    answer = read(stack, code)
    assert "message_id" not in told(answer, code, reads=True)
    assert "Retry-After" not in answer.headers


@pytest.mark.parametrize("code", ["E066", "E699"])
def test_a_code_that_nobody_documented_is_carried_through(stack, code):
    assert find_error(code) is None
    told(send(stack, code), code, reads=False)
    told(read(stack, code), code, reads=True)


@pytest.mark.parametrize("call", [send, read], ids=["send", "read"])
@pytest.mark.parametrize("code", THROTTLE)
def test_a_throttling_code_says_when_to_come_again(stack, code, call):
    answer = call(stack, code)
    body = told(answer, code, reads=call is read)
    assert body["window"] in {"second", "minute", "day"}
    assert int(answer.headers["Retry-After"]) >= 1
    assert stack.control("requests")["requests"][-1]["code"] == code
    # Everyone pauses; then the calls go on.
    assert until(lambda: stack.post("/actions/loginUser", {}).status_code == 200)
