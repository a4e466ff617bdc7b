"""Requests as API Gateway brings them: bytes, preferences, the caller's own name."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from skycore.handler import body_of
from skycore.http import MAX_JSON_BYTES, caller_of, prefers_async, read_json
from skycore.problems import Problem


def event(**changes: Any) -> Any:
    return {
        "httpMethod": "POST",
        "resource": "/messages",
        "headers": {"Idempotency-Key": "k"},
        "pathParameters": None,
        "multiValueQueryStringParameters": None,
        "requestContext": {"identity": {"userArn": "arn:aws:iam::1:user/caller"}},
        "body": "{}",
        "isBase64Encoded": False,
        **changes,
    }


def test_a_base64_body_is_its_bytes() -> None:
    every_byte = bytes(range(256))
    body = base64.b64encode(every_byte).decode()
    assert body_of(event(body=body, isBase64Encoded=True)) == every_byte


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_json_body_may_have_any_unicode_encoding(encoding: str) -> None:
    body = base64.b64encode('{"text": "Grüße 😀"}'.encode(encoding)).decode()
    assert read_json(event(body=body, isBase64Encoded=True)) == {"text": "Grüße 😀"}


def test_bytes_that_are_no_text_are_not_json() -> None:
    body = base64.b64encode(b'{"text": "\xff"}').decode()
    with pytest.raises(Problem) as problem:
        read_json(event(body=body, isBase64Encoded=True))
    assert problem.value.code == "invalid_json"


@pytest.mark.parametrize(
    ("arn", "caller"),
    [
        ("arn:aws:iam::1:user/caller", "arn:aws:iam::1:user/caller"),
        ("arn:aws:sts::1:assumed-role/shop/session-1", "arn:aws:sts::1:assumed-role/shop"),
        ("arn:aws:sts::1:assumed-role/shop/session-2", "arn:aws:sts::1:assumed-role/shop"),
    ],
)
def test_the_caller_is_the_role_and_not_its_session(arn: str, caller: str) -> None:
    # Execution environments of one service have session names of their own and share a key.
    identity = {"identity": {"userArn": arn}}
    assert caller_of(event(requestContext=identity)) == caller


@pytest.mark.parametrize(
    ("prefer", "expected"),
    [
        ("respond-async", True),
        ("Respond-Async", True),
        ("wait=10, respond-async", True),
        ("respond-async; x=1", True),
        ("return=minimal", False),
        ("not-respond-async", False),
    ],
)
def test_prefer_as_rfc_7240_has_it(prefer: str, expected: bool) -> None:
    assert prefers_async({"prefer": prefer}) is expected


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("", "invalid_json"),
        ("[]", "invalid_json"),
        ("{", "invalid_json"),
        ("[" * 100_000, "invalid_json"),
        ('{"a": "' + "x" * MAX_JSON_BYTES + '"}', "too_large"),
    ],
    ids=["empty", "list", "half", "deep", "large"],
)
def test_what_is_no_json_object(body: Any, code: str) -> None:
    with pytest.raises(Problem) as problem:
        read_json(event(body=body))
    assert problem.value.code == code
