"""Answers are always something that API Gateway can carry."""

from __future__ import annotations

import json
from typing import Any

import pytest

from skycore import handler
from skycore.http import RestApi, json_response, read_json
from skycore.problems import Problem
from tests.unit.http.test_request import event

HALF = "\ud800"


def carried(answer: Any) -> Any:
    """Return the answer's body as API Gateway has it, which takes UTF-8."""
    return json.loads(json.dumps(answer, ensure_ascii=False).encode())["body"]


def api(route: Any) -> Any:
    """Return a REST API whose POST /messages calls `route` with the request's JSON."""
    found = RestApi()
    found.post("/messages")(lambda: route(read_json(found.current_event)))
    return found


def refuse(fields: Any) -> None:
    (name,) = fields
    raise Problem("invalid_request", "no such field", errors=[{"field": name, "detail": "?"}])


@pytest.mark.parametrize(
    "route",
    [refuse, lambda fields: json_response({"messages": [{"errors": list(fields)}]}, 202)],
    ids=["problem", "batch"],
)
def test_half_a_character_in_a_field_name_is_echoed(route: Any) -> None:
    answer = api(route).resolve(event(body='{"\\ud800": 1}'), None)
    assert answer["statusCode"] in {202, 422}
    body = json.loads(carried(answer))
    assert (body.get("errors") or body["messages"][0]["errors"])[0] in (
        {"field": HALF, "detail": "?"},
        HALF,
    )


def test_every_character_comes_back() -> None:
    answer = api(json_response).resolve(event(body='{"a": "Ä€😀"}'), None)
    assert json.loads(carried(answer)) == {"a": "Ä€😀"}
    assert json.loads(carried(handler.answer(200, "Ä€😀"))) == "Ä€😀"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (200, "application/json"),
        (202, "application/json"),
        (422, "application/problem+json"),
        (504, "application/problem+json"),
    ],
)
def test_an_answer_of_400_or_more_is_problem_details(status: int, kind: str) -> None:
    known = {"Location": "/messages/id", "Retry-After": "30"}
    answer = api(lambda fields: json_response(fields, status, known)).resolve(event(), None)
    assert answer == {
        "statusCode": status,
        "body": "{}",
        "isBase64Encoded": False,
        "multiValueHeaders": {
            "Content-Type": [kind],
            "Location": ["/messages/id"],
            "Retry-After": ["30"],
        },
    }
