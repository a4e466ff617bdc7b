"""Send, postbacks, events, timelines: through the routes and queues that users have."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

import pytest

from local.client import Client
from tests.patience import until

if TYPE_CHECKING:
    from tests.integration.conftest import Stack

MMS = {
    "action": "sendMMS",
    "to": "17743199144",
    "from": "60856",
    "name": "parcel",
    "subject": "Your parcel",
    "slides": [{"image": "https://example.com/parcel.jpg", "text": "This is it."}],
}


def status_becomes(stack: Stack, message_id: str, status: str) -> bool:
    return until(lambda: stack.get(f"/messages/{message_id}").json()["status"] == status)


def test_an_sms_is_accepted_with_everything_that_the_contract_names(
    stack: Stack, sms: dict[str, Any]
) -> None:
    answer = stack.post("/messages", {**sms, "client_reference": "order-4711"})
    body = answer.json()
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"/v1/messages/{body['message_id']}"
    assert body["status"] == "accepted"
    assert body["action"] == "sendSMS"
    assert body["to"] == "17743199144"
    assert body["from"] == "60856"
    assert body["client_reference"] == "order-4711"
    assert body["tracking_id"]
    assert body["created_at"].endswith("Z")
    datetime.fromisoformat(body["created_at"])


@pytest.mark.parametrize(
    ("wanted", "prefer"), [(201, {}), (202, {"Prefer": "respond-async"})], ids=["now", "later"]
)
def test_the_location_can_be_followed(
    stack: Stack, sms: dict[str, Any], wanted: int, prefer: dict[str, Any]
) -> None:
    answer = stack.post("/messages", sms, **prefer)
    assert answer.status_code == wanted
    url = urljoin(f"{stack.description['api_url']}/messages", answer.headers["Location"])
    read = Client({**stack.description, "api_url": ""}).request("GET", url)
    assert read.status_code == 200, read.text
    assert read.json()["message_id"] == answer.json()["message_id"]


@pytest.mark.parametrize(
    ("action", "events"),
    [
        ("sendSMS", ["message_accepted", "sms_sent", "sms_delivered"]),
        ("sendMMS", ["message_accepted", "mms_sent", "mms_delivered"]),
    ],
)
def test_a_message_is_followed_from_request_to_delivery(
    stack: Stack, sms: dict[str, Any], action: str, events: Any
) -> None:
    body = {**(sms if action == "sendSMS" else MMS), "client_reference": f"follow-{action}"}
    sent = stack.post("/messages", body).json()
    for name in events:
        event = stack.event(
            lambda event, name=name: (
                event["type"] == f"skycore.{name}"
                and event["data"]["message_id"] == sent["message_id"]
            )
        )
        assert event["data"]["tracking_id"] == sent["tracking_id"]
        assert event["data"]["client_reference"] == f"follow-{action}"
        assert event["subject"] == sent["tracking_id"]
    assert status_becomes(stack, sent["message_id"], "delivered")
    timeline = stack.get(f"/messages/{sent['message_id']}").json()["timeline"]
    names = [step["event"] for step in timeline if step["event"] != "mms_encoded_sending"]
    assert names == ["message_sending", *events]


@pytest.mark.parametrize(
    ("message", "type_", "expected"),
    [
        ({"text": "Thank you!"}, "skycore.sms_received", {"text": "Thank you!", "code": "N211"}),
        (
            {"text": "Look", "files": ["https://example.com/in/cat.jpg"]},
            "skycore.mms_received",
            {"code": "N401"},
        ),
    ],
)
def test_what_a_handset_sends_becomes_an_event(
    stack: Stack, message: dict[str, Any], type_: str, expected: dict[str, Any]
) -> None:
    number = "1774319" + ("9001" if "files" in message else "9002")
    stack.control("inbound", {"from": number, "to": "60856", **message})
    event = stack.event(lambda event: event["type"] == type_ and event["data"]["from"] == number)
    assert event["data"]["to"] == "60856"
    assert expected.items() <= event["data"].items()
    if "files" in message:
        assert "https://example.com/in/cat.jpg" in event["data"]["files"]


def test_a_failed_delivery_ends_the_message(stack: Stack, sms: dict[str, Any]) -> None:
    body = b"""<?xml version='1.0'?><POSTBACK><ORIGIN>SMS_MT</ORIGIN><CODE>E202</CODE>
    <STATUS>Message Sent/Failed</STATUS><FROM>60856</FROM><TO>17743199144</TO>
    <TRACKINGID>%s</TRACKINGID><SPID>0001890</SPID>
    <TIMESTAMP>2026-03-08T14:22:05-05:00</TIMESTAMP></POSTBACK>"""
    stack.control("settings", {"postback_delay": 600}, "PATCH")
    try:
        sent = stack.post("/messages", sms).json()
    finally:
        stack.control("settings", {"postback_delay": 0.2}, "PATCH")
    assert stack.postback(body % sent["tracking_id"].encode()) == (200, b"")
    assert status_becomes(stack, sent["message_id"], "failed")


def test_a_message_may_be_queued_and_is_sent_from_the_queue(
    stack: Stack, sms: dict[str, Any]
) -> None:
    answer = stack.post("/messages", {**sms, "text": "queued"}, Prefer="respond-async")
    assert answer.status_code == 202
    assert answer.json()["status"] == "queued"
    assert status_becomes(stack, answer.json()["message_id"], "delivered")


def test_a_batch_answers_for_each_entry_in_order(stack: Stack, sms: dict[str, Any]) -> None:
    batch = {"messages": [sms, {**sms, "to": "nobody"}, {**sms, "text": "third"}]}
    answer = stack.post("/messages/batch", batch)
    assert answer.status_code == 202
    first, second, third = answer.json()["messages"]
    assert second["code"] == "invalid_request"
    assert [error["field"] for error in second["errors"]] == ["to"]
    for entry in (first, third):
        assert status_becomes(stack, entry["message_id"], "delivered")


def test_the_same_key_sends_once_and_gets_the_same_answer(
    stack: Stack, sms: dict[str, Any]
) -> None:
    body = {**sms, "text": "only once"}
    first = stack.post("/messages", body, Idempotency_Key="order 1/4711")
    again = stack.post("/messages", body, Idempotency_Key="order 1/4711")
    assert first.status_code == again.status_code == 201
    assert again.json() == first.json()
    assert again.headers["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in first.headers
    other = stack.post("/messages", {**body, "text": "other"}, Idempotency_Key="order 1/4711")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    texts = [message["text"] for message in stack.control("messages")["messages"]]
    assert texts.count("only once") == 1
    assert texts.count("other") == 0
