"""What is wrong is said clearly by the deployed stack; nothing is sent, stored or lost for it.

tests/contract/test_bad_input.py walks the tables.
"""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from tests.contract.test_bad_input import problem
from tests.patience import PATIENCE_SECONDS, until

if TYPE_CHECKING:
    from tests.integration.conftest import Stack

ALL_BYTES = bytes(range(256))


@pytest.mark.parametrize("path", ["/messages", "/messages/batch", "/actions/getMmsIds"])
def test_a_body_that_is_not_a_json_object(stack: Stack, path: str) -> None:
    problem(stack.post(path, b"\xff\xfe"), 400, "invalid_json")


def test_each_bad_field_is_named(stack: Stack, sms: dict[str, Any]) -> None:
    body = {**sms, "text": "bell \x07", "to": "60856"}
    found = problem(stack.post("/messages", body), 422, "invalid_request")
    assert sorted(error["field"] for error in found["errors"]) == ["text", "to"]


def test_a_malformed_batch_is_refused(stack: Stack) -> None:
    found = problem(stack.post("/messages/batch", {"messages": "x"}), 422, "invalid_request")
    assert [error["field"] for error in found["errors"]] == ["messages"]


def test_an_empty_key_is_refused(stack: Stack, sms: dict[str, Any]) -> None:
    problem(stack.post("/messages", sms, Idempotency_Key=""), 422, "invalid_request")


def test_an_unknown_action_is_not_found(stack: Stack, sms: dict[str, Any]) -> None:
    problem(stack.post("/messages", {**sms, "action": "sendPigeon"}), 404, "unknown_action")
    problem(stack.post("/actions/sendPigeon", {}), 404, "unknown_action")


def test_an_unsigned_request_is_refused(stack: Stack, sms: dict[str, Any]) -> None:
    request = urllib.request.Request(
        stack.description["api_url"] + "/messages",
        data=json.dumps(sms).encode(),
        headers={"Content-Type": "application/json"},
    )
    with pytest.raises(urllib.error.HTTPError) as refusal:
        urllib.request.urlopen(request, timeout=PATIENCE_SECONDS)
    assert refusal.value.code == 403


def test_a_message_that_is_not_there(stack: Stack) -> None:
    problem(stack.get("/messages/0123456789abcdef"), 404, "message_not_found")


def test_a_wrong_token_stores_nothing(stack: Stack) -> None:
    url = stack.description["postback_url"][:-1] + "!"
    never, marker = b"<POSTBACK>never</POSTBACK>", b"<POSTBACK>posted after it</POSTBACK>"
    assert stack.postback(never, url=url)[0] == 404
    assert stack.postback(marker) == (200, b"")
    stack.event(lambda event: event["data"]["raw"] == base64.b64encode(marker).decode())
    listed = [row["raw"] for row in stack.get("/postbacks/unparsed").json()["events"]]
    assert base64.b64encode(marker).decode() in listed
    assert base64.b64encode(never).decode() not in listed


def test_a_body_over_256_kib_is_refused(stack: Stack) -> None:
    assert stack.postback(b"x" * 262_145)[0] == 413
    assert stack.postback(b"y" * 262_144)[0] == 200


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"this is no postback", "text/plain"),
        (ALL_BYTES, "application/octet-stream"),
        (b"<POSTBACK><ORIGIN>SMS_MT</ORI", "text/xml"),
        (b"\x00\r\n\xff", "text/xml"),
        (b"", "text/xml"),
    ],
    ids=["text", "all 256 byte values", "half", "control", "empty"],
)
def test_an_unreadable_postback_is_kept_with_its_bytes(
    stack: Stack, body: Any, content_type: str
) -> None:
    assert stack.postback(body, content_type) == (200, b"")
    raw = base64.b64encode(body).decode()
    event = stack.event(
        lambda event: (
            event["type"] == "skycore.unparsed"
            and event["data"]["raw"] in (raw, None)
            and (event["data"]["raw"] or "") == raw
        )
    )
    assert event["data"]["error"]
    assert event["data"]["message_id"] is None
    kept = stack.get(f"/postbacks/{event['id']}")
    assert kept.status_code == 200
    assert kept.json()["raw"] == raw
    listed = stack.get("/postbacks/unparsed").json()["events"]
    assert event["id"] in [row["event_id"] for row in listed]


def test_skycores_refusal_carries_its_code(stack: Stack, sms: dict[str, Any]) -> None:
    stack.control("settings", {"next_errors": ["E714"]}, "PATCH")
    found = problem(stack.post("/messages", sms), 422, "skycore_rejected")
    assert found["skycore_code"] == "E714"
    assert found["message_id"]
    assert stack.get(f"/messages/{found['message_id']}").json()["status"] == "rejected"


def test_skycore_out_of_reach_is_503_and_sends_nothing(stack: Stack, sms: dict[str, Any]) -> None:
    with stack.unreachable_skycore():
        found = problem(stack.post("/messages", sms), 503, "skycore_unreachable")
    assert found["retryable"] is True
    assert "message_id" not in found  # nothing was sent and the row is gone
    assert until(lambda: stack.post("/messages", sms).status_code == 201)


def test_a_queue_that_refuses_makes_skycore_post_again(stack: Stack) -> None:
    iam, role = stack.admin("iam"), stack.resource("AckRole")
    denied = {"Effect": "Deny", "Action": "sqs:*", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [denied]})
    iam.put_role_policy(RoleName=role, PolicyName="outage", PolicyDocument=document)
    try:
        assert until(lambda: stack.postback(b"while SQS is out")[0] == 503)
    finally:
        iam.delete_role_policy(RoleName=role, PolicyName="outage")
    assert until(lambda: stack.postback(b"once SQS is back")[0] == 200)
