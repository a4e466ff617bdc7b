"""Requests as API Gateway brings them: bytes, headers of any case, the caller's own name."""

from __future__ import annotations

import base64

import pytest

from skycore.http import MAX_JSON_BYTES, read_request
from skycore.problems import Problem


def event(**changes):
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


def test_a_base64_body_is_its_bytes():
    every_byte = bytes(range(256))
    body = base64.b64encode(every_byte).decode()
    assert read_request(event(body=body, isBase64Encoded=True)).body == every_byte


def test_header_names_have_no_case():
    assert read_request(event()).headers["idempotency-key"] == "k"


@pytest.mark.parametrize(
    ("arn", "caller"),
    [
        ("arn:aws:iam::1:user/caller", "arn:aws:iam::1:user/caller"),
        ("arn:aws:sts::1:assumed-role/shop/session-1", "arn:aws:sts::1:assumed-role/shop"),
        ("arn:aws:sts::1:assumed-role/shop/session-2", "arn:aws:sts::1:assumed-role/shop"),
    ],
)
def test_the_caller_is_the_role_and_not_its_session(arn, caller):
    # Copies of one service assume a role under names of their own; a key is theirs together.
    identity = {"identity": {"userArn": arn}}
    assert read_request(event(requestContext=identity)).caller == caller


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
def test_prefer_as_rfc_7240_has_it(prefer, expected):
    assert read_request(event(headers={"Prefer": prefer})).prefers_async() is expected


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
def test_what_is_no_json_object(body, code):
    with pytest.raises(Problem) as problem:
        read_request(event(body=body)).json()
    assert problem.value.code == code
