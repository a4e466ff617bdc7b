"""What is wrong with a request is said clearly, and nothing is sent for it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.contract.in_process import InProcess


def problem(answer: Any, status: int, code: str) -> dict[str, Any]:
    """Check that an answer is this problem; return its body."""
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert {"type", "title", "status", "detail", "code", "retryable"} <= set(body)
    assert (body["status"], body["code"]) == (status, code)
    return body


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'"text"', b"null", b"\xff\xfe", b"to=17743199144", b"[" * 5000],
    ids=["empty", "half", "list", "text", "null", "bytes", "form", "deep"],
)
@pytest.mark.parametrize("path", ["/messages", "/messages/batch", "/actions/getMmsIds"])
def test_a_body_that_is_not_a_json_object(stack: InProcess, path: str, body: bytes) -> None:
    problem(stack.post(path, body), 400, "invalid_json")


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"to": None}, ["to"]),
        ({"to": "774 319 9144"}, ["to"]),
        ({"to": "7743199144"}, ["to"]),
        ({"to": "60856"}, ["to"]),
        ({"from": "x" * 12}, ["from"]),
        ({"text": ""}, ["text"]),
        ({"text": "a" * 161}, ["text"]),
        ({"text": "bell \x07"}, ["text"]),
        ({"to": "", "from": "", "text": None}, ["from", "text", "to"]),
        ({"txt": "typo"}, ["txt"]),
        ({"client_reference": 7}, ["client_reference"]),
        ({"to": 17743199144}, ["to"]),
    ],
    ids=lambda value: json.dumps(value)[:40] if isinstance(value, dict) else None,
)
def test_each_bad_field_is_named(
    stack: InProcess, sms: dict[str, Any], change: dict[str, Any], fields: list[str]
) -> None:
    body = {name: value for name, value in {**sms, **change}.items() if value is not None}
    found = problem(stack.post("/messages", body), 422, "invalid_request")
    assert sorted({error["field"] for error in found["errors"]}) == fields
    assert all(error["detail"] for error in found["errors"])
    assert found["retryable"] is False


def test_an_ambiguous_number_is_refused_with_both_readings(
    stack: InProcess, sms: dict[str, Any]
) -> None:
    found = problem(stack.post("/messages", {**sms, "to": "7743199144"}), 422, "invalid_request")
    (error,) = found["errors"]
    assert "17743199144" in error["detail"].replace("+", "").replace(" ", "")
    assert "7743199144" in error["detail"]


def test_what_sends_goes_to_messages_and_the_rest_to_actions(
    stack: InProcess, sms: dict[str, Any]
) -> None:
    problem(stack.post("/actions/sendSMS", sms), 422, "invalid_request")
    problem(stack.post("/messages", {"action": "getMmsIds"}), 422, "invalid_request")


@pytest.mark.parametrize("key", ["", "x" * 256], ids=["empty", "long"])
def test_an_unusable_key_is_refused(stack: InProcess, sms: dict[str, Any], key: str) -> None:
    problem(stack.post("/messages", sms, Idempotency_Key=key), 422, "invalid_request")


@pytest.mark.parametrize(
    ("batch", "field"),
    [
        ({}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": [{}] * 1001}, "messages"),
        ({"messages": "x"}, "messages"),
        ({"messages": [{}], "colour": 1}, "colour"),
        ({"messages": [{}], "all_or_nothing": "yes"}, "all_or_nothing"),
        ({"template": {}, "recipients": []}, "recipients"),
        ({"template": [], "recipients": [{}]}, "template"),
    ],
    ids=["nothing", "empty", "many", "text", "unknown", "flag", "nobody", "list"],
)
def test_a_malformed_batch_is_refused(stack: InProcess, batch: dict[str, Any], field: str) -> None:
    found = problem(stack.post("/messages/batch", batch), 422, "invalid_request")
    assert field in [error["field"] for error in found["errors"]]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("", "tracking_id, to, from, client_reference"),
        ("to=17743199144&from=60856", "tracking_id, to, from, client_reference"),
        ("to=7743199144", "to"),
        ("to=17743199144&limit=0", "limit"),
        ("to=17743199144&limit=101", "limit"),
        ("to=17743199144&limit=ten", "limit"),
        ("to=17743199144&since=yesterday", "since"),
        ("to=17743199144&cursor=x", "cursor"),
        ("to=17743199144&cursor=WyJldmVudCMyMDI2LTExLTIyVDEwOjQxOjE1WiIsIngiXQ", "cursor"),
        ("to=17743199144&colour=red", "colour"),
    ],
)
def test_a_query_that_cannot_be_answered_names_the_parameter(
    stack: InProcess, query: str, field: str
) -> None:
    answer = stack.get(f"/messages?{query}")
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]
