"""What is wrong is said clearly, at the edge; nothing is sent, stored or lost for it."""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request

import pytest

from tests.integration.conftest import until

ALL_BYTES = bytes(range(256))


def problem(answer, status: int, code: str) -> dict:
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    body = answer.json()
    assert {"type", "title", "status", "detail", "code", "retryable"} <= set(body)
    assert (body["status"], body["code"]) == (status, code)
    return body


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'"text"', b"null", b"\xff\xfe", b"to=17743199144", b"[" * 5000],
    ids=["empty", "half", "list", "text", "null", "bytes", "form", "deep"],
)
@pytest.mark.parametrize("path", ["/messages", "/messages/batch", "/actions/getMmsIds"])
def test_a_body_that_is_no_json_object(stack, path, body):
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
def test_each_bad_field_is_named(stack, sms, change, fields):
    body = {name: value for name, value in {**sms, **change}.items() if value is not None}
    found = problem(stack.post("/messages", body), 422, "invalid_request")
    assert sorted({error["field"] for error in found["errors"]}) == fields
    assert all(error["detail"] for error in found["errors"])
    assert found["retryable"] is False


def test_an_ambiguous_number_is_refused_with_both_readings(stack, sms):
    found = problem(stack.post("/messages", {**sms, "to": "7743199144"}), 422, "invalid_request")
    (error,) = found["errors"]
    assert "17743199144" in error["detail"].replace("+", "").replace(" ", "")
    assert "7743199144" in error["detail"]


def test_an_unknown_action_is_not_found(stack, sms):
    problem(stack.post("/messages", {**sms, "action": "sendPigeon"}), 404, "unknown_action")
    problem(stack.post("/actions/sendPigeon", {}), 404, "unknown_action")


def test_what_sends_goes_to_messages_and_the_rest_to_actions(stack, sms):
    problem(stack.post("/actions/sendSMS", sms), 422, "invalid_request")
    problem(stack.post("/messages", {"action": "getMmsIds"}), 422, "invalid_request")


@pytest.mark.parametrize("key", ["", "x" * 256], ids=["empty", "long"])
def test_an_unusable_key_is_refused(stack, sms, key):
    problem(stack.post("/messages", sms, Idempotency_Key=key), 422, "invalid_request")


def test_an_unsigned_request_is_refused(stack, sms):
    request = urllib.request.Request(
        stack.description["api_url"] + "/messages",
        data=json.dumps(sms).encode(),
        headers={"Content-Type": "application/json"},
    )
    with pytest.raises(urllib.error.HTTPError) as refusal:
        urllib.request.urlopen(request, timeout=30)
    assert refusal.value.code == 403


def test_a_message_that_is_not_there(stack):
    problem(stack.get("/messages/0123456789abcdef"), 404, "message_not_found")


def test_a_wrong_token_stores_nothing(stack):
    url = stack.description["postback_url"][:-1] + "!"
    never, marker = b"<POSTBACK>never</POSTBACK>", b"<POSTBACK>posted after it</POSTBACK>"
    assert stack.postback(never, url=url)[0] == 404
    assert stack.postback(marker) == (200, b"")
    stack.event(lambda event: event["data"]["raw"] == base64.b64encode(marker).decode())
    listed = [row["raw"] for row in stack.get("/postbacks/unparsed").json()["events"]]
    assert base64.b64encode(marker).decode() in listed
    assert base64.b64encode(never).decode() not in listed


def test_a_body_over_256_kib_is_refused(stack):
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
def test_an_unreadable_postback_is_kept_with_its_bytes(stack, body, content_type):
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


def test_skycores_refusal_carries_its_code(stack, sms):
    stack.control("settings", {"next_errors": ["E714"]}, "PATCH")
    found = problem(stack.post("/messages", sms), 422, "skycore_rejected")
    assert found["skycore_code"] == "E714"
    assert found["message_id"]
    assert stack.get(f"/messages/{found['message_id']}").json()["status"] == "rejected"


def test_skycore_out_of_reach_is_503_and_sends_nothing(stack, sms):
    stack.control("down", {"seconds": 5})
    answers = []
    assert until(
        lambda: answers.append(stack.post("/messages", sms)) or answers[-1].status_code != 201
    )
    found = problem(answers[-1], 503, "skycore_unreachable")
    assert found["retryable"] is True
    assert "message_id" not in found  # nothing was sent and the row is gone
    assert until(lambda: stack.post("/messages", sms).status_code == 201)


def test_a_queue_that_refuses_makes_skycore_post_again(stack):
    iam, role = stack.admin("iam"), stack.resource("AckRole")
    denied = {"Effect": "Deny", "Action": "sqs:*", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [denied]})
    iam.put_role_policy(RoleName=role, PolicyName="outage", PolicyDocument=document)
    try:
        assert until(lambda: stack.postback(b"while SQS is out")[0] == 503)
    finally:
        iam.delete_role_policy(RoleName=role, PolicyName="outage")
    assert until(lambda: stack.postback(b"once SQS is back")[0] == 200)
