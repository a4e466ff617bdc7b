"""Answers are always something that the gateway can carry."""

from __future__ import annotations

import json

import pytest

from skycore.http import answer, serve
from skycore.problems import Problem
from tests.unit.http.test_request import event

HALF = "\ud800"


def carried(told):
    """The answer's body as the gateway has it, which takes UTF-8."""
    return json.loads(json.dumps(told, ensure_ascii=False).encode())["body"]


def refuse(request):
    (name,) = request.json()
    raise Problem("invalid_request", "no such field", errors=[{"field": name, "detail": "?"}])


@pytest.mark.parametrize(
    "route",
    [refuse, lambda request: answer(202, {"messages": [{"errors": list(request.json())}]})],
    ids=["problem", "batch"],
)
def test_half_a_character_in_a_field_name_is_echoed(route):
    told = serve(event(body='{"\\ud800": 1}'), route)
    assert told["statusCode"] in {202, 422}
    body = json.loads(carried(told))
    assert (body.get("errors") or body["messages"][0]["errors"])[0] in (
        {"field": HALF, "detail": "?"},
        HALF,
    )


def test_every_character_comes_back():
    assert json.loads(carried(answer(200, "Ä€😀"))) == "Ä€😀"
