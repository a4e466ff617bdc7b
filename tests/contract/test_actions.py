"""Every action of the catalogue: request, simulator, reply, and what is kept of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from local.openapi.examples import maximal, minimal
from simulator_harness import KEY
from skycore.catalogue.actions import Action, all_actions
from skycore.client.client import SkycoreClient
from skycore.client.request import Credentials
from tests.contract.meaning import meant

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.contract.in_process import InProcess

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
def fresh(stack: InProcess) -> None:
    """Reset the account before each test: what one action deletes, the next one needs."""
    stack.control("reset", {})


@pytest.fixture(scope="module")
def skycore(stack: InProcess) -> Iterator[SkycoreClient]:
    with SkycoreClient(stack.skycore.server.url, Credentials(api_key=KEY)) as client:
        yield client


def was_read(stack: Any, action: Action, body: dict[str, Any], transport: str) -> None:
    """Check that Skycore read what the caller meant, from the simulator's journal."""
    entry = stack.control("requests")["requests"][-1]
    assert entry["action"] == action.name
    assert entry["transport"] == transport
    assert entry["fields"] == meant(action, body, by_get=transport == "get")
    assert entry["unknown_fields"] == []


def promised(action: Action, body: dict[str, Any]) -> set[str]:
    """Return the names that the reply must have; an optional field is echoed if it was given."""
    echoed = {p.name for p in action.parameters if p.required in {"one_of", "optional"}}
    given = {name for name, value in body.items() if value}
    return {name for name in action.reply if name not in echoed - given} - SOMETIMES


def test_all_34_actions_are_walked() -> None:
    assert len(SENDS) + len(OTHERS) == 34
    assert {action.name for action in all_actions()} - {action.name for action in WITH_GET} == {
        "sendMMS",
        "saveMMS",
    }


def accepted_send(stack: Any, action: Action, body: dict[str, Any]) -> None:
    """Send, and check the answer, what Skycore read and what is kept."""
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


def answered_call(stack: Any, action: Action, body: dict[str, Any]) -> None:
    """Call an action that does not send, and check the reply and what Skycore read."""
    answer = stack.post(f"/actions/{action.name}", body)
    assert answer.status_code == 200, answer.json()
    assert promised(action, body) <= set(answer.json())
    was_read(stack, action, body, "form")


def same_by_get(stack: Any, action: Action, body: dict[str, Any]) -> None:
    """Read by POST and by GET, and check that the replies have the same names."""
    by_post = stack.post(f"/actions/{action.name}", body)
    by_get = stack.post(f"/actions/{action.name}", {**body, "transport": "get"})
    assert by_get.status_code == 200, by_get.json()
    assert set(by_get.json()) == set(by_post.json())
    was_read(stack, action, body, "get")


@pytest.mark.parametrize(("action", "body"), walks(SENDS))
def test_a_sending_action_is_accepted(
    stack: InProcess, action: Action, body: dict[str, Any]
) -> None:
    accepted_send(stack, action, body)


@pytest.mark.parametrize(("action", "body"), walks(OTHERS))
def test_any_other_action_answers_with_the_reply(
    stack: InProcess, action: Action, body: dict[str, Any]
) -> None:
    answered_call(stack, action, body)


@pytest.mark.parametrize(("action", "body"), walks(READS))
def test_a_reading_action_may_go_by_get(
    stack: InProcess, action: Action, body: dict[str, Any]
) -> None:
    same_by_get(stack, action, body)


@pytest.mark.parametrize("action", [a for a in OTHERS if a.effect != "read"], ids=lambda a: a.name)
def test_only_reading_may_go_by_get(stack: InProcess, action: Action) -> None:
    answer = stack.post(f"/actions/{action.name}", {**minimal(action), "transport": "get"})
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == ["transport"]
    assert stack.control("requests")["requests"] == []


@pytest.mark.parametrize(("action", "body"), walks(WITH_GET))
def test_the_client_speaks_every_get_form(
    stack: InProcess, skycore: SkycoreClient, action: Action, body: dict[str, Any]
) -> None:
    reply = skycore.call(action, body, transport="get")
    assert promised(action, body) <= set(reply.fields)
    was_read(stack, action, body, "get")


@pytest.mark.parametrize("action", all_actions(), ids=lambda action: action.name)
def test_each_route_refuses_the_actions_of_the_other(stack: InProcess, action: Action) -> None:
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
def test_names_have_any_letter_case_and_older_ones_work(stack: InProcess, name: str) -> None:
    days = {"start_date": "2026-01-01 00:00:00", "end_date": "2026-01-02 00:00:00"}
    answer = stack.post(f"/actions/{name}", days if "Statistics" in name else {})
    assert answer.status_code == 200, answer.json()


@pytest.mark.parametrize("character", ["\x00", "\x0b", "\x1f", "\udfff", "\uffff"])
def test_what_xml_cannot_carry_is_refused_by_name(
    stack: InProcess, sms: dict[str, Any], character: str
) -> None:
    answer = stack.post("/messages", {**sms, "text": f"Hello{character}"})
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["field"] == "text"
    assert f"U+{ord(character):04X}" in error["detail"]
    assert stack.control("requests")["requests"] == []
