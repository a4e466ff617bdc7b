"""Every action of the catalogue, through the deployed stack to the simulator and back."""

from __future__ import annotations

from typing import Any

import pytest

from local import simulator_process
from local.openapi.examples import maximal, minimal
from skycore.catalogue.actions import Action, all_actions
from skycore.client.client import SkycoreClient
from skycore.client.request import Credentials
from tests.integration.meaning import meant

# What a reply may leave out: Skycore tells it in some cases only, or under a name of its own.
SOMETIMES = {"status_details", "warning_code", "warning_info", "link"}
SIZES = {"minimal": minimal, "maximal": maximal}


def walks(actions: list[Action]) -> list[Any]:
    return [
        pytest.param(action, make(action, choice), id="-".join(filter(None, words)))
        for action in actions
        for choice in action.one_of or (None,)
        for size, make in SIZES.items()
        for words in [(action.name, choice, size)]
        if size == "minimal" or maximal(action, choice) != minimal(action, choice)
    ]


SENDS = [action for action in all_actions() if action.effect == "send"]
OTHERS = [action for action in all_actions() if action.effect != "send"]
READS = [action for action in OTHERS if action.effect == "read"]
WITH_GET = [action for action in all_actions() if action.get_form]


@pytest.fixture(autouse=True)
def fresh(stack):
    """An account as at the start: what one action deletes, the next one needs."""
    stack.control("reset", {})


@pytest.fixture(scope="module")
def skycore(stack):
    url, key = stack.description["simulator_url"], simulator_process.API_KEY
    with SkycoreClient(url, Credentials(api_key=key)) as client:
        yield client


def was_read(stack, action: Action, body: dict[str, Any], transport: str) -> None:
    entry = stack.control("requests")["requests"][-1]
    assert entry["action"] == action.name
    assert entry["transport"] == transport
    assert entry["fields"] == meant(action, body, by_get=transport == "get")
    assert entry["unknown_fields"] == []


def promised(action: Action, body: dict[str, Any]) -> set[str]:
    """The names that the reply must have; what a caller may leave out is echoed if it came."""
    echoed = {p.name for p in action.parameters if p.required in {"one_of", "optional"}}
    given = {name for name, value in body.items() if value}
    return {name for name in action.reply if name not in echoed - given} - SOMETIMES


def test_all_34_actions_are_walked():
    assert len(SENDS) + len(OTHERS) == 34
    assert {action.name for action in all_actions()} - {action.name for action in WITH_GET} == {
        "sendMMS",
        "saveMMS",
    }


@pytest.mark.parametrize(("action", "body"), walks(SENDS))
def test_a_sending_action_is_accepted(stack, action, body):
    answer = stack.post("/messages", {"action": action.name, "client_reference": "walk", **body})
    told = answer.json()
    assert answer.status_code == 201, told
    assert answer.headers["Location"] == f"/v1/messages/{told['message_id']}"
    was_read(stack, action, body, "form")
    assert promised(action, body) <= {*told, "status"}
    assert told["action"] == action.name
    assert told["status"] == "accepted"
    assert told["client_reference"] == "walk"
    kept = stack.get(f"/messages/{told['message_id']}").json()
    assert kept["action"] == action.name
    assert kept["status"] in {"accepted", "sent", "delivered"}


@pytest.mark.parametrize(("action", "body"), walks(OTHERS))
def test_any_other_action_answers_with_the_reply(stack, action, body):
    answer = stack.post(f"/actions/{action.name}", body)
    assert answer.status_code == 200, answer.json()
    assert promised(action, body) <= set(answer.json())
    was_read(stack, action, body, "form")


@pytest.mark.parametrize(("action", "body"), walks(READS))
def test_a_reading_action_may_go_by_get(stack, action, body):
    by_post = stack.post(f"/actions/{action.name}", body)
    by_get = stack.post(f"/actions/{action.name}", {**body, "transport": "get"})
    assert by_get.status_code == 200, by_get.json()
    assert set(by_get.json()) == set(by_post.json())
    was_read(stack, action, body, "get")


@pytest.mark.parametrize("action", [a for a in OTHERS if a.effect != "read"], ids=lambda a: a.name)
def test_only_reading_may_go_by_get(stack, action):
    answer = stack.post(f"/actions/{action.name}", {**minimal(action), "transport": "get"})
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == ["transport"]
    assert stack.control("requests")["requests"] == []


@pytest.mark.parametrize(("action", "body"), walks(WITH_GET))
def test_the_client_speaks_every_get_form(stack, skycore, action, body):
    reply = skycore.call(action, body, transport="get")
    assert promised(action, body) <= set(reply.fields)
    was_read(stack, action, body, "get")


@pytest.mark.parametrize("action", all_actions(), ids=lambda action: action.name)
def test_each_route_refuses_the_actions_of_the_other(stack, action):
    sends = action.effect == "send"
    body = minimal(action)
    answer = (
        stack.post(f"/actions/{action.name}", body)
        if sends
        else stack.post("/messages", {"action": action.name, **body})
    )
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == ["action"]
    assert stack.control("requests")["requests"] == []


@pytest.mark.parametrize("name", ["GETMMSIDS", "getmmsids", "getSendingStatistics"])
def test_names_have_any_letter_case_and_older_ones_work(stack, name):
    days = {"start_date": "2026-01-01 00:00:00", "end_date": "2026-01-02 00:00:00"}
    answer = stack.post(f"/actions/{name}", days if "Statistics" in name else {})
    assert answer.status_code == 200, answer.json()


def test_an_unknown_action_is_not_found(stack):
    for answer in (
        stack.post("/actions/sendPigeon", {}),
        stack.post("/messages", {"action": "sendPigeon"}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "unknown_action")


HARD = "\r\n\t&<>\"' +%=;]]>\U0001f600é{$first_name|friend}"


def test_eight_slides_of_5000_hard_characters_survive(stack):
    text = (HARD * 200)[:5000]
    action = next(action for action in SENDS if action.name == "sendMMS")
    body = {**minimal(action), "slides": [{"text": text, "duration": 5} for _ in range(8)]}
    answer = stack.post("/messages", {"action": "sendMMS", **body})
    assert answer.status_code == 201, answer.json()
    was_read(stack, action, body, "form")
    (message,) = stack.control("messages")["messages"]
    assert [slide["TEXT"] for slide in message["slides"]] == [text] * 8


@pytest.mark.parametrize("character", ["\x00", "\x0b", "\x1f", "\udfff", "\uffff"])
def test_what_xml_cannot_carry_is_refused_by_name(stack, sms, character):
    answer = stack.post("/messages", {**sms, "text": f"Hello{character}"})
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["field"] == "text"
    assert f"U+{ord(character):04X}" in error["detail"]
    assert stack.control("requests")["requests"] == []
