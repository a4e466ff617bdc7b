"""Every reply code and what an HTTP caller is told."""

import re

import pytest

from skycore.catalogue.actions import ErrorCode, ProblemKind, all_errors, find_error, problem_for

ACCOUNT = {"E102", "E103", "E104", "E105", "E107", "E109", "E111", "E112", "E713"}
RATE = {"E106", "E113", "E120"}
LATER = {
    *("E106", "E113", "E120", "E153", "E154", "E172", "E351", "E352", "E353", "E355", "E356"),
    *("E357", "E358", "E503", "E510", "E618", "E626", "E643", "E806", "E809", "E821", "E830"),
}


def test_there_are_266_codes() -> None:
    codes = [error.code for error in all_errors()]
    assert len(codes) == len(set(codes)) == 266


@pytest.mark.parametrize("error", all_errors(), ids=lambda error: error.code)
def test_every_code(error: ErrorCode) -> None:
    assert re.fullmatch("E[0-9]{3}", error.code)
    assert error.meaning
    assert error.kind
    assert find_error(f" {error.code.lower()} ") is error
    assert error.retryable == (error.code in LATER)
    problem = problem_for(error.code, effect="send")
    if error.code in ACCOUNT:
        assert problem == ProblemKind(502, "skycore_account", retryable=False)
    elif error.code in RATE:
        assert problem == ProblemKind(429, "rate_limited", retryable=True)
    elif error.code == "E503":
        assert problem == ProblemKind(504, "outcome_unknown", retryable=False)
    else:
        assert problem == ProblemKind(422, "skycore_rejected", retryable=error.code in LATER)


def test_unspecified_fault_may_be_repeated_only_when_it_read() -> None:
    assert problem_for("E503", effect="read").retryable
    for effect in ("send", "write", "create", "delete"):
        assert not problem_for("E503", effect=effect).retryable


@pytest.mark.parametrize("code", ["E000", "", "104", "X1", "E1044"])
def test_unknown_code_is_a_refusal(code: str) -> None:
    assert find_error(code) is None
    assert problem_for(code, effect="send") == ProblemKind(422, "skycore_rejected", retryable=False)


def test_reply_senses_of_codes_that_postbacks_use_too() -> None:
    kinds = {code: find_error(code) for code in ("E101", "E102", "E201", "E999")}
    assert {code: error.area for code, error in kinds.items() if error} == {
        "E101": "request",
        "E102": "auth",
        "E201": "recipient",
        "E999": "pass",
    }
