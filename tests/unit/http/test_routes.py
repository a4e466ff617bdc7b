"""Requests reach their route, and answers the caller, despite Powertools' own habits."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from skycore.http import RestApi, json_response
from skycore.problems import Problem
from tests.unit.http.test_request import event

# Powertools' pattern for a path parameter matches none of these in the path.
ODD = [
    'a"b',
    "a#b",
    "a?b",
    "a/b",
    "a\\b",
    "a`b",
    "a\nb",
    "a\x00b",
    "%",
    "ä€😀",
    "",
    "a b",
    "..",
    "{x}",
]


def echo_api() -> RestApi:
    api = RestApi()

    @api.get("/messages/<message_id>")
    def get_message(message_id: Any) -> Any:
        return json_response({"message_id": message_id})

    @api.get("/messages")
    def get_messages() -> Any:
        event = api.current_event
        known = {"key": event.headers.get("idempotency-key")}
        return json_response({"query": event.multi_value_query_string_parameters, **known})

    @api.get("/postbacks/unparsed")
    def get_unparsed() -> Any:
        return json_response({"unparsed": True})

    @api.get("/postbacks/<item>")
    def get_event(item: Any) -> Any:
        return json_response({"item": item})

    @api.delete("/messages/<message_id>")
    def fail(message_id: Any) -> None:
        if message_id == "problem":
            raise Problem("rate_limited", "wait", retry_after=7)
        raise ValueError("the text: " + message_id)

    return api


def resolve(**changes: Any) -> Any:
    return echo_api().resolve(event(**{"httpMethod": "GET"} | changes), None)


def body(**changes: Any) -> Any:
    answer = resolve(**changes)
    assert answer["statusCode"] == 200
    return json.loads(answer["body"])


@pytest.mark.parametrize("message_id", ODD)
def test_a_path_parameter_is_what_api_gateway_made_of_it(message_id: str) -> None:
    found = body(
        resource="/messages/{message_id}",
        path=f"/messages/{message_id}",
        pathParameters={"message_id": message_id},
    )
    assert found == {"message_id": message_id}


@pytest.mark.parametrize("path", ["/messages", "/v1/messages", "/sms/v2/messages", "//messages/"])
def test_a_base_path_does_not_hide_the_route(path: str) -> None:
    assert body(resource="/messages", path=path)["query"] == {}


def test_the_resource_decides_and_not_the_path() -> None:
    item = body(
        resource="/postbacks/{item}", path="/postbacks/a", pathParameters={"item": "unparsed"}
    )
    assert item == {"item": "unparsed"}
    assert body(resource="/postbacks/unparsed", path="/postbacks/unparsed") == {"unparsed": True}


def test_every_value_of_a_query_parameter_arrives() -> None:
    query = {"to": ["+1774", "a,b", ""], "limit": ["5"]}
    several = {"multiValueQueryStringParameters": query, "queryStringParameters": {"to": ""}}
    assert body(resource="/messages", **several)["query"] == query


@pytest.mark.parametrize("name", ["Idempotency-Key", "idempotency-key", "IDEMPOTENCY-KEY"])
def test_header_names_have_no_case(name: str) -> None:
    assert body(resource="/messages", headers={name: "k"})["key"] == "k"


def test_a_request_may_have_no_headers() -> None:
    assert body(resource="/messages", headers=None)["key"] is None


@pytest.mark.parametrize(
    ("method", "resource"),
    [("PUT", "/messages"), ("OPTIONS", "/messages"), ("GET", "/other"), ("HEAD", "/messages")],
)
def test_a_route_that_the_function_does_not_have_is_a_failure_of_ours(
    method: str, resource: str
) -> None:
    answer = resolve(httpMethod=method, resource=resource)
    assert (answer["statusCode"], json.loads(answer["body"])["code"]) == (500, "gateway_failure")
    assert answer["multiValueHeaders"]["Content-Type"] == ["application/problem+json"]


def fails(message_id: Any) -> Any:
    known = {"resource": "/messages/{message_id}", "pathParameters": {"message_id": message_id}}
    return resolve(httpMethod="DELETE", **known)


def test_a_problem_has_its_own_status_and_headers() -> None:
    answer = fails("problem")
    assert (answer["statusCode"], json.loads(answer["body"])["code"]) == (429, "rate_limited")
    assert answer["multiValueHeaders"] == {
        "Content-Type": ["application/problem+json"],
        "Retry-After": ["7"],
    }


@pytest.mark.parametrize("debug", ["true", None])
def test_the_text_of_an_unexpected_error_is_nowhere(
    debug: str | None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    if debug:  # in which Powertools prints events and answers with a traceback
        monkeypatch.setenv("POWERTOOLS_DEV", debug)
    caplog.set_level(logging.DEBUG)
    answer = fails("s3cret")
    assert (answer["statusCode"], json.loads(answer["body"])["code"]) == (500, "gateway_failure")
    assert "Retry-After" not in answer["multiValueHeaders"], "nobody knows whether it was sent"
    captured = capsys.readouterr()
    assert "s3cret" not in f"{answer}{captured.out}{captured.err}{caplog.text}"


def test_nothing_is_compressed_and_no_origin_is_allowed() -> None:
    known = {"Accept-Encoding": "gzip", "Origin": "https://x.example"}
    answer = resolve(resource="/messages", headers=known, multiValueHeaders={})
    assert answer["isBase64Encoded"] is False
    assert set(answer["multiValueHeaders"]) == {"Content-Type"}
