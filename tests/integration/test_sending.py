"""Sending's promises through the deployed stack: once, within limits, with respect."""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.contract.test_bad_input import problem
from tests.patience import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.conftest import Stack


def number() -> str:
    return f"1774319{random.randint(1000, 8999)}"


def in_seconds(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


def sent_texts(stack: Stack, to: str) -> list[str]:
    rows = stack.control(f"messages?to={to}")["messages"]
    return [row["text"] for row in rows if row.get("direction") != "inbound"]


def status(stack: Stack, message_id: str) -> str:
    found: str = stack.get(f"/messages/{message_id}").json()["status"]
    return found


@pytest.mark.parametrize(
    ("error", "http", "code", "kept"),
    [
        ("E106", 429, "rate_limited", False),
        ("E110", 422, "skycore_rejected", True),
        # tests/contract/test_error_codes.py and test_outcomes.py have these in process.
        pytest.param("E113", 429, "rate_limited", False, marks=pytest.mark.long),
        pytest.param("E104", 502, "skycore_account", False, marks=pytest.mark.long),
        pytest.param("E111", 502, "skycore_account", False, marks=pytest.mark.long),
        pytest.param("E503", 504, "outcome_unknown", True, marks=pytest.mark.long),
    ],
)
def test_what_proves_that_nothing_was_sent_frees_the_key(
    stack: Stack, sms: dict[str, Any], error: str, http: int, code: str, kept: bool
) -> None:
    key, body = f"free-{error}-{random.random()}", {**sms, "to": number()}
    # E104 is asked twice: the key is read afresh and tried once more only if it changed.
    stack.control("settings", {"next_errors": [error]}, "PATCH")
    found = problem(stack.post("/messages", body, Idempotency_Key=key), http, code)
    assert found["skycore_code"] == error
    if code == "rate_limited":
        assert found["window"] in {"second", "minute", "day"}
    again: list[Any] = []

    def answered() -> bool:
        again.append(stack.post("/messages", body, Idempotency_Key=key))
        return bool(again[-1].status_code != 429)

    assert until(answered)
    if kept:
        assert again[-1].status_code == http
        assert again[-1].json() == found
        assert again[-1].headers["Idempotency-Replayed"] == "true"
        assert status(stack, found["message_id"]) == (
            "unknown" if code == "outcome_unknown" else "rejected"
        )
    else:
        assert again[-1].status_code == 201
        assert "Idempotency-Replayed" not in again[-1].headers


def texted(stack: Stack, number: str, **message: Any) -> None:
    """The handset wrote to us, and subscribers have heard of it: so has the list of opt-outs."""
    inbound = stack.control("inbound", {"from": number, "to": "60856", **message})
    received = {"skycore.sms_received", "skycore.mms_received"}
    sought = inbound["tracking_id"]

    def it(event: Any) -> bool:
        known = {event["data"].get("tracking_id"), event["data"].get("transaction_id")}
        return event["type"] in received and sought in known

    stack.event(it)


def test_a_stop_is_respected_until_a_start(stack: Stack, sms: dict[str, Any]) -> None:
    to = number()
    body = {**sms, "to": to}
    assert stack.post("/messages", body).status_code == 201
    texted(stack, to, text=" Stop. ")
    stopped = time.time() // 1
    problem(stack.post("/messages", body), 422, "recipient_opted_out")
    queued = stack.post("/messages", body, Prefer="respond-async")
    problem(queued, 422, "recipient_opted_out")
    (entry,) = stack.post("/messages/batch", {"messages": [body]}).json()["messages"]
    assert entry["code"] == "recipient_opted_out"
    problem(stack.post("/messages", {**body, "dry_run": True}), 422, "recipient_opted_out")
    # Skycore tells whole seconds, and of a stop and a start in the same one the stop holds.
    assert until(lambda: time.time() // 1 > stopped)
    texted(stack, to, text="START")
    assert stack.post("/messages", body).status_code == 201


def test_a_stop_as_the_subject_of_an_mms_is_respected(stack: Stack, sms: dict[str, Any]) -> None:
    to = number()
    texted(stack, to, subject="STOP", files=["cat.png"])
    problem(stack.post("/messages", {**sms, "to": to}), 422, "recipient_opted_out")


def test_a_sentence_with_stop_in_it_is_flagged_and_stops_nothing(
    stack: Stack, sms: dict[str, Any]
) -> None:
    to = number()
    stack.control("inbound", {"from": to, "to": "60856", "text": "we have to STOP this bill"})
    event = stack.event(
        lambda event: event["type"] == "skycore.sms_received" and event["data"]["from"] == to
    )
    assert event["data"]["opt_out"] == "possible"
    assert stack.post("/messages", {**sms, "to": to}).status_code == 201


def test_a_dry_run_says_what_would_be_sent_and_sends_nothing(
    stack: Stack, sms: dict[str, Any]
) -> None:
    to = number()
    answer = stack.post("/messages", {**sms, "to": f"+{to}", "dry_run": True})
    assert answer.status_code == 200
    assert answer.json()["dry_run"] is True
    assert answer.json()["fields"]["to"] == to
    assert sent_texts(stack, to) == []
    assert stack.get(f"/messages?to={to}").json()["messages"] == []


@pytest.fixture
def dispatch_stopped(stack: Stack) -> Iterator[Any]:
    """The send queue gives nothing to dispatch; call the value to let it work again."""
    functions, name = stack.admin("lambda"), stack.resource("DispatchFunction")
    (source,) = functions.list_event_source_mappings(FunctionName=name)["EventSourceMappings"]

    def working(*, yes: bool) -> None:
        functions.update_event_source_mapping(UUID=source["UUID"], Enabled=yes)

    working(yes=False)
    yield lambda: working(yes=True)
    working(yes=True)


def test_a_queued_message_can_be_cancelled_and_is_then_never_sent(
    stack: Stack, sms: dict[str, Any], dispatch_stopped: Any
) -> None:
    to = number()
    body = {**sms, "to": to}
    cancelled = stack.post("/messages", body, Prefer="respond-async").json()["message_id"]
    other = stack.post("/messages", body, Prefer="respond-async").json()["message_id"]
    assert status(stack, cancelled) == "queued"
    answer = stack.client.request("DELETE", f"/messages/{cancelled}")
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    again = stack.client.request("DELETE", f"/messages/{cancelled}")
    problem(again, 409, "not_cancellable")
    dispatch_stopped()
    stack.event(
        lambda event: (
            event["type"] == "skycore.message_cancelled"
            and event["data"]["message_id"] == cancelled
        )
    )
    assert until(lambda: status(stack, other) == "delivered")
    assert status(stack, cancelled) == "cancelled"
    assert len(sent_texts(stack, to)) == 1


def test_what_was_sent_cannot_be_cancelled(stack: Stack, sms: dict[str, Any]) -> None:
    sent = stack.post("/messages", sms).json()
    answer = stack.client.request("DELETE", f"/messages/{sent['message_id']}")
    problem(answer, 409, "not_cancellable")
    problem(stack.client.request("DELETE", "/messages/nobody"), 404, "message_not_found")


def test_expires_at_must_lie_ahead(stack: Stack, sms: dict[str, Any]) -> None:
    found = problem(
        stack.post("/messages", {**sms, "expires_at": in_seconds(-1)}), 422, "invalid_request"
    )
    assert found["errors"][0]["field"] == "expires_at"


def test_the_same_batch_again_queues_nothing_twice(stack: Stack, sms: dict[str, Any]) -> None:
    to = number()
    batch = {
        "template": {"from": "60856", "text": "Hello {n}"},
        "recipients": [
            {"to": to, "text": f"Hello {n}", "client_reference": f"r{n}"} for n in range(12)
        ],
    }
    key = f"batch-{random.random()}"
    first = stack.post("/messages/batch", batch, Idempotency_Key=key).json()["messages"]
    again = stack.post("/messages/batch", batch, Idempotency_Key=key).json()["messages"]
    assert [row["message_id"] for row in again] == [row["message_id"] for row in first]
    assert {row["status"] for row in first + again} == {"queued"}
    assert until(lambda: len(sent_texts(stack, to)) == 12)
    assert until(lambda: all(status(stack, r["message_id"]) == "delivered" for r in first))
    assert sorted(sent_texts(stack, to)) == sorted(f"Hello {n}" for n in range(12))
    third = stack.post("/messages/batch", batch, Idempotency_Key=key).json()["messages"]
    assert [row["message_id"] for row in third] == [row["message_id"] for row in first]
    assert len(sent_texts(stack, to)) == 12


def test_all_or_nothing_names_every_bad_entry(stack: Stack, sms: dict[str, Any]) -> None:
    to = number()
    good = {**sms, "to": to}
    batch = {"messages": [good, {**good, "text": ""}, good], "all_or_nothing": True}
    found = problem(stack.post("/messages/batch", batch), 422, "invalid_request")
    assert [error["field"] for error in found["errors"]] == ["messages[1].text"]
    assert sent_texts(stack, to) == []


def test_several_recipients_have_rows_of_their_own(stack: Stack) -> None:
    body = {
        "action": "sendMessageBySubscriberRef",
        "subscriber_ref": "family",
        "campaign_ref": "club",
        "text": "Dinner is ready",
    }
    stack.post(
        "/actions/subscribe",
        {"campaign_ref": "club", "mobile": "+17743190011", "subscriber_ref": "family"},
    )
    stack.post(
        "/actions/subscribe",
        {"campaign_ref": "club", "mobile": "+17743190012", "subscriber_ref": "family"},
    )
    answer = stack.post("/messages", body)
    assert answer.status_code == 201, answer.text
    recipients = answer.json()["recipients"]
    assert {row["to"] for row in recipients} >= {"17743190011", "17743190012"}
    for row in recipients:
        found = stack.get(f"/messages/{row['message_id']}").json()
        assert found["parent"] == answer.json()["message_id"]
        assert found["tracking_id"] == row["tracking_id"]
        assert until(lambda row=row: status(stack, row["message_id"]) == "delivered")
