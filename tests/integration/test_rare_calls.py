"""What functions do seldom, through the deployed stack: their roles must allow that too."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from skycore import timestamps
from skycore.catalogue.statuses import RANKS
from skycore.table import models
from skycore.table.messages import pack, step
from tests.integration.test_sending import number, sent_texts, status
from tests.patience import until

if TYPE_CHECKING:
    from tests.integration.conftest import Stack

TAKEN = {"accepted", "sent", "delivered"}


def row_of(stack: Stack, message_id: str) -> dict[str, Any]:
    table = stack.description["table_name"]
    key = {"pk": {"S": f"message#{message_id}"}, "sk": {"S": "message"}}
    found = stack.admin("dynamodb").get_item(TableName=table, Key=key, ConsistentRead=True)
    row: dict[str, Any] = found["Item"]
    return row


def copy_from_yesterday(
    stack: Stack, message_id: str, status_then: str, listed: str, **changed: Any
) -> str:
    """A second row like the message's, as if it had come to this status and stayed in it."""
    row = row_of(stack, message_id)
    then = timestamps.now() - timedelta(days=1)
    name = f"{message_id}-copy"
    row |= {
        "pk": {"S": f"message#{name}"},
        "message_id": {"S": name},
        "status": {"S": status_then},
        "rank": {"N": str(RANKS[status_then])},
        "state": {"S": listed},
        "at": {"S": models.index_sort_key("message", then)},
        "created_at": {"S": timestamps.to_key(then)},
        "steps": {"L": [{"S": step(status_then, then)}]},
        **changed,
    }
    for told in ("answer", "tracking_id", "news"):
        row.pop(told, None)
    stack.admin("dynamodb").put_item(TableName=stack.description["table_name"], Item=row)
    return name


def sweep(stack: Stack) -> None:
    """Runs sweep now, as the schedule does every minute."""
    answer = stack.admin("lambda").invoke(FunctionName=stack.resource("SweepFunction"))
    assert "FunctionError" not in answer, answer["Payload"].read()


def test_sweep_writes_down_that_a_call_died(stack: Stack, sms: dict[str, Any]) -> None:
    sent = stack.post("/messages", {**sms, "to": number()}).json()
    in_flight = models.state_partitions("sending")[0]  # as earlier releases wrote it
    lost = copy_from_yesterday(stack, sent["message_id"], "sending", in_flight)
    assert status(stack, lost) == "unknown"
    sweep(stack)
    assert until(lambda: row_of(stack, lost)["status"] == {"S": "unknown"})
    assert "state" not in row_of(stack, lost)


def test_sweep_queues_again_what_the_queue_never_had(stack: Stack, sms: dict[str, Any]) -> None:
    to = number()
    queued = stack.post("/messages", {**sms, "to": to}, Prefer="respond-async").json()
    assert until(lambda: len(sent_texts(stack, to)) == 1)
    fields = {"to": to, "from": "60856", "text": "Hello"}
    deadline = timestamps.to_key(timestamps.now() + timedelta(hours=1))
    lost = copy_from_yesterday(
        stack,
        queued["message_id"],
        "queued",
        next(models.undispatched_partitions()),
        deadline={"S": deadline},
        request={"B": pack({"action": "sendSMS", "fields": fields, "confirmation": False})},
    )
    sweep(stack)
    assert until(lambda: len(sent_texts(stack, to)) == 2)
    assert until(lambda: status(stack, lost) in TAKEN)  # Skycore has it before the row says so


def test_a_refused_queued_message_comes_again(stack: Stack, sms: dict[str, Any]) -> None:
    to = number()
    stack.control("settings", {"next_errors": ["E106"]}, "PATCH")
    queued = stack.post("/messages", {**sms, "to": to}, Prefer="respond-async").json()
    assert until(lambda: len(sent_texts(stack, to)) == 1)
    assert until(lambda: status(stack, queued["message_id"]) in TAKEN)


def test_several_recipients_of_a_queued_message_have_rows_of_their_own(stack: Stack) -> None:
    for mobile in ("+17743190013", "+17743190014"):
        member = {"campaign_ref": "club", "mobile": mobile, "subscriber_ref": "friends"}
        assert stack.post("/actions/subscribe", member).status_code == 200
    body = {
        "action": "sendMessageBySubscriberRef",
        "subscriber_ref": "friends",
        "campaign_ref": "club",
        "text": "Dinner is ready",
    }
    queued = stack.post("/messages", body, Prefer="respond-async").json()
    second = f"/messages/{queued['message_id']}-2"
    assert until(lambda: stack.get(second).json().get("status") == "delivered")
    child = stack.get(f"/messages/{queued['message_id']}-1").json()
    assert child["parent"] == queued["message_id"]


def test_one_message_of_a_batch_confirms_a_stop(stack: Stack, sms: dict[str, Any]) -> None:
    to = f"1774318{random.randint(1000, 8999)}"  # of no other test, which it would silence
    stack.control("inbound", {"from": to, "to": "60856", "text": "STOP"})
    body = {**sms, "to": to}
    assert until(lambda: stack.post("/messages", {**body, "dry_run": True}).status_code == 422)
    confirmation = {**body, "opt_out_confirmation": True}
    answer = stack.post("/messages/batch", {"messages": [confirmation, confirmation]})
    first, second = answer.json()["messages"]
    assert first["status"] == "queued"
    assert second["code"] == "recipient_opted_out"
