"""Actions through the deployed stack to the simulator and back, one for each path.

tests/contract/test_actions.py walks all actions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from local.openapi.examples import maximal, minimal
from skycore.catalogue.actions import Action, find_action
from tests.contract.test_actions import accepted_send, answered_call, same_by_get, was_read

if TYPE_CHECKING:
    from tests.integration.conftest import Stack

HARD = "\r\n\t&<>\"' +%=;]]>\U0001f600é{$first_name|friend}"


def action_named(name: str) -> Action:
    action = find_action(name)
    assert action is not None
    return action


@pytest.fixture(autouse=True)
def fresh(stack: Stack) -> None:
    """Reset the account before each test: what one action deletes, the next one needs."""
    stack.control("reset", {})


@pytest.mark.parametrize("name", ["sendSMS", "sendMMS"])
def test_a_sending_action_is_accepted(stack: Stack, name: str) -> None:
    action = action_named(name)
    accepted_send(stack, action, maximal(action))


@pytest.mark.parametrize("name", ["subscribe", "getPassTemplate"])
def test_any_other_action_answers_with_the_reply(stack: Stack, name: str) -> None:
    action = action_named(name)
    answered_call(stack, action, minimal(action))


def test_a_reading_action_may_go_by_get(stack: Stack) -> None:
    action = action_named("getPassTemplate")
    same_by_get(stack, action, minimal(action))


def test_an_unknown_action_is_not_found(stack: Stack) -> None:
    for answer in (
        stack.post("/actions/sendPigeon", {}),
        stack.post("/messages", {"action": "sendPigeon"}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "unknown_action")


def test_eight_slides_of_5000_hard_characters_survive(stack: Stack) -> None:
    text = (HARD * 200)[:5000]
    action = action_named("sendMMS")
    body = {**minimal(action), "slides": [{"text": text, "duration": 5} for _ in range(8)]}
    answer = stack.post("/messages", {"action": "sendMMS", **body})
    assert answer.status_code == 201, answer.json()
    was_read(stack, action, body, "form")
    (message,) = stack.control("messages")["messages"]
    assert [slide["TEXT"] for slide in message["slides"]] == [text] * 8
