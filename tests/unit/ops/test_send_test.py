"""What send-test says of the API's answers."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

import pytest

from ops import send_test

ASKED = Namespace(number="+17743199144", sender="60856", text="Hello", wait=0, yes=True)
STACK: Any = Namespace(ask=False)


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The status and the body that the API answers with."""
    made: dict[str, Any] = {}
    monkeypatch.setattr(send_test, "call", lambda *_: (made["status"], made["body"]))
    return made


@pytest.mark.parametrize("status", [422, 504])
def test_a_message_that_was_refused_or_is_unknown_is_named(
    status: int, answer: dict[str, Any]
) -> None:
    answer |= {"status": status, "body": {"code": "c", "detail": "why", "message_id": "an-id"}}
    told = send_test.run(STACK, ASKED)
    assert not told.ok
    assert told.data["message_id"] == "an-id"
    assert told.shown[-1] == "python -m ops message an-id"


def test_an_answer_without_a_message_names_none(answer: dict[str, Any]) -> None:
    answer |= {"status": 503, "body": {"code": "skycore_unreachable", "detail": "why"}}
    assert "python -m ops message" not in str(send_test.run(STACK, ASKED).shown)


def test_what_was_accepted_is_told_once(
    answer: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    answer |= {"status": 201, "body": {"status": "accepted", "message_id": "an-id"}}
    assert send_test.run(STACK, ASKED).shown == ["accepted: an-id"]
    assert capsys.readouterr().err == ""
