"""The functions give the same results on implementations of AWS's services that are not ours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.services.stack import TOKEN, Stack, request

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[2]
DELIVERED = (ROOT / "events" / "postbacks" / "sms_delivered.xml").read_text()
SMS = {"from": "60856", "text": "Hello"}


def number(n: int) -> str:
    return f"1774319{n:04d}"


def call(stack: Stack, verb: str, *route: Any, **more: Any) -> tuple[int, dict[str, Any]]:
    answer = stack.invoke(verb, request(*route, **more))
    return answer["statusCode"], json.loads(answer["body"])


def post(stack: Stack, n: int, **more: Any) -> tuple[int, dict[str, Any]]:
    return call(stack, "send", "POST", "/messages", {"to": f"+{number(n)}", **SMS}, **more)


def batch(stack: Stack, count: int, first: int, **more: Any) -> list[dict[str, Any]]:
    sent = [{"to": f"+{number(first + n)}", **SMS} for n in range(count)]
    status, body = call(stack, "enqueue", "POST", "/messages/batch", {"messages": sent}, **more)
    assert status == 202
    messages: list[dict[str, Any]] = body["messages"]
    return messages


def get(stack: Stack, message_id: str) -> dict[str, Any]:
    status, body = call(stack, "messages", "GET", f"/messages/{message_id}")
    assert status == 200
    return body


def listed(stack: Stack, limit: int, **query: str) -> list[dict[str, Any]]:
    """Return all messages over all pages."""
    found: list[dict[str, Any]] = []
    query |= {"limit": str(limit)}
    while True:
        status, page = call(stack, "messages", "GET", "/messages", query=query)
        assert status == 200
        assert len(page["messages"]) <= limit
        found += page["messages"]
        if not page.get("cursor"):
            return found
        query["cursor"] = page["cursor"]


def postback(stack: Stack, body: bytes) -> int:
    answer = stack.invoke("ack", request("POST", f"/postbacks/{TOKEN}", body))
    status: int = answer["statusCode"]
    return status


def delivered(message: dict[str, Any]) -> bytes:
    text = DELIVERED.replace("U01TXzkwNDE3MzM=", message["tracking_id"])
    return text.replace("17743199144", message["to"]).encode()


def test_a_send_and_its_receipt_reach_the_subscriber(stack: Stack) -> None:
    status, sent = post(stack, 1, key="one")
    assert (status, sent["status"]) == (201, "accepted")
    assert post(stack, 1, key="one") == (201, sent)
    body = delivered(sent)
    for _ in range(3):
        assert postback(stack, body) == 200
        stack.run()
    assert get(stack, sent["message_id"])["status"] == "delivered"
    types = [event["type"] for event in stack.events()]
    assert types == ["skycore.message_accepted", "skycore.sms_delivered"]


def test_a_key_with_another_body_is_refused(stack: Stack) -> None:
    assert post(stack, 2, key="two")[0] == 201
    status, problem = post(stack, 3, key="two")
    assert (status, problem["code"]) == (422, "idempotency_key_reused")


def test_a_queued_message_is_sent_once_by_several_copies(stack: Stack) -> None:
    status, queued = post(stack, 4, prefer_async=True)
    assert (status, queued["status"]) == (202, "queued")
    body = json.dumps({"message_id": queued["message_id"]})
    records = [{"messageId": str(n), "body": body} for n in range(3)]
    stack.run_queue("SendQueue", "dispatch")
    assert stack.invoke("dispatch", {"Records": records}) == {"batchItemFailures": []}
    assert get(stack, queued["message_id"])["status"] == "accepted"
    stack.run()
    accepted = [one for one in stack.events() if one["type"] == "skycore.message_accepted"]
    assert queued["message_id"] in json.dumps(accepted)
    assert len([one for one in accepted if queued["message_id"] in json.dumps(one)]) == 1


def test_a_cancelled_message_is_not_sent(stack: Stack) -> None:
    _, queued = post(stack, 5, prefer_async=True)
    path = f"/messages/{queued['message_id']}"
    status, cancelled = call(stack, "messages", "DELETE", path)
    assert (status, cancelled["status"]) == (200, "cancelled")
    stack.run()
    assert get(stack, queued["message_id"])["status"] == "cancelled"
    assert call(stack, "messages", "DELETE", path)[1]["code"] == "not_cancellable"


def test_batches_are_sent_and_listed_each_message_once(new_stack: Callable[[], Stack]) -> None:
    stack = new_stack()
    stack.set_api_key()
    with_key = batch(stack, 120, 0, key="many")  # two transactions
    assert [one["message_id"] for one in batch(stack, 120, 0, key="many")] == [
        one["message_id"] for one in with_key
    ]
    without = batch(stack, 30, 200)
    stack.run()
    wanted = {one["message_id"] for one in with_key + without}
    assert len(wanted) == 150
    found = listed(stack, 37, **{"from": "60856"})
    assert sorted(one["message_id"] for one in found) == sorted(wanted)
    assert {one["status"] for one in found} == {"accepted"}
    accepted = [event["id"] for event in stack.events()]
    assert len(accepted) == len(set(accepted)) == 150
    (one,) = listed(stack, 5, to=f"+{number(200)}")
    (same,) = listed(stack, 5, tracking_id=one["tracking_id"])
    assert same["message_id"] == one["message_id"]


@pytest.mark.parametrize(
    "body", [b"no XML", bytes(range(256)), b"", b"<POSTBACK>" + b"x" * 200_000], ids=len
)
def test_whatever_comes_is_kept_and_told(stack: Stack, body: Any) -> None:
    stack.run()
    stack.events()
    assert postback(stack, body) == 200
    stack.run()
    (event,) = stack.events()
    assert event["type"] == "skycore.unparsed"
    status, page = call(stack, "messages", "GET", "/postbacks/unparsed")
    assert status == 200
    assert event["id"] in json.dumps(page)


def test_a_refused_event_goes_through_the_retry_queue(stack: Stack) -> None:
    stack.run()
    stack.events()
    assert postback(stack, b"for the retry queue") == 200
    stack.run()
    (event,) = stack.events()
    stack.sqs.send_message(
        QueueUrl=stack.ref("PublishRetryQueue"), MessageBody=json.dumps({"event_id": event["id"]})
    )
    stack.run()
    assert [again["id"] for again in stack.events()] == [event["id"]]


def test_a_stop_refuses_the_next_send(stack: Stack) -> None:
    stop = (ROOT / "events" / "postbacks" / "sms_received.xml").read_text()
    stop = stop.replace("17743199144", number(6))
    _, _, rest = stop.partition("<TEXT>")
    text, _, _ = rest.partition("</TEXT>")
    assert postback(stack, stop.replace(f"<TEXT>{text}<", "<TEXT>STOP<").encode()) == 200
    stack.run()
    status, problem = post(stack, 6)
    assert (status, problem["code"]) == (422, "recipient_opted_out")


def test_a_sweep_finds_nothing_to_do(stack: Stack) -> None:
    assert set(stack.invoke("sweep", {}).values()) <= {0}


def test_no_key_is_a_problem_of_the_account_until_one_is_set(
    new_stack: Callable[[], Stack],
) -> None:
    stack = new_stack()
    status, problem = post(stack, 7)
    assert (status, problem["code"]) == (502, "skycore_account")
    stack.set_api_key()
    assert post(stack, 7)[0] == 201
