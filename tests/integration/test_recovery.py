"""`python -m ops restore`: rows of a copy come back, and nothing is sent or published again.

tests/unit/ops/test_restore_tables.py walks the cases in process; make test-long does so here, too.
"""

from __future__ import annotations

import itertools
import json
import os
import time
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.conftest import LOCAL_DIR, Stack
from tests.integration.operators import run_ops
from tests.integration.test_rare_calls import sweep
from tests.patience import until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.timeout(600)

NUMBERS = (f"1774319{end}" for end in itertools.count(7700))  # of this file alone
PATIENCE = 180.0  # seconds: three outcomes after each other, on functions that start
COPY = "skycore-restored"


def ops(*arguments: str, code: int = 0) -> Any:
    done = run_ops({**os.environ, "LOCAL_DIR": LOCAL_DIR}, "--json", *arguments)
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout)


def rows(stack: Stack, table: str) -> Iterator[dict[str, Any]]:
    for page in stack.admin("dynamodb").get_paginator("scan").paginate(TableName=table):
        yield from page["Items"]


def opted_out(stack: Stack, body: dict[str, Any]) -> bool:
    answer = stack.post("/messages", {**body, "dry_run": True})
    return bool(answer.json().get("code") == "recipient_opted_out")


def key_of(row: dict[str, Any]) -> tuple[str, str]:
    return row["pk"]["S"], row["sk"]["S"]


@pytest.fixture
def copied(stack: Stack, sms: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A copy of the table, from a point in time after which rows were lost, and others made."""
    client, table = stack.admin("dynamodb"), stack.description["table_name"]
    number = next(NUMBERS)
    body = {**sms, "to": f"+{number}", "client_reference": uuid.uuid4().hex}
    key = {"Idempotency-Key": uuid.uuid4().hex}
    before = set(map(key_of, rows(stack, table)))
    sent = stack.post("/messages", body, **key).json()
    later = stack.post(
        "/messages", {**body, "to": f"+{next(NUMBERS)}"}, Prefer="respond-async"
    ).json()
    for message_id in (sent["message_id"], later["message_id"]):
        path = f"/messages/{message_id}"
        assert until(lambda path=path: stack.get(path).json()["status"] == "delivered", PATIENCE)
    stack.control("inbound", {"from": number, "to": sms["from"], "text": "STOP"})
    assert until(lambda: opted_out(stack, body), PATIENCE)
    new = [row for row in rows(stack, table) if key_of(row) not in before]

    client.restore_table_to_point_in_time(
        SourceTableName=table, TargetTableName=COPY, UseLatestRestorableTime=True
    )
    # At that moment the second message was still in its queue.
    client.update_item(
        TableName=COPY,
        Key={"pk": {"S": f"message#{later['message_id']}"}, "sk": {"S": "message"}},
        UpdateExpression="SET #status = :queued, #rank = :zero",
        ExpressionAttributeNames={"#status": "status", "#rank": "rank"},
        ExpressionAttributeValues={":queued": {"S": "queued"}, ":zero": {"N": "0"}},
    )

    def lost() -> bool:
        for row in new:
            client.delete_item(TableName=table, Key={"pk": row["pk"], "sk": row["sk"]})
        return not opted_out(stack, body)

    # On a slow machine publish may still be at the STOP, and record the opt-out a second time.
    assert until(lost, PATIENCE)
    yield {"number": number, "body": body, "key": key, "sent": sent, "later": later, "new": new}
    client.delete_table(TableName=COPY)


def test_lost_rows_come_back_and_nothing_is_sent_or_published_again(
    stack: Stack, copied: dict[str, Any]
) -> None:
    body, sent, later = copied["body"], copied["sent"], copied["later"]
    asked = len(stack.control("requests"))
    event_ids = {
        row["sk"]["S"].removeprefix("event#")
        for row in copied["new"]
        if row["kind"]["S"] == "event"
    }
    stack.receive()
    for event_id in event_ids:  # which were published before
        stack.events.pop(event_id, None)
    counts = ops("restore", "table", COPY)
    assert counts["message"]["restored"] >= 2
    assert counts["event"]["restored"] >= len(event_ids) > 0

    # The key gives the answer of then, the opt-out holds, the timeline is whole.
    again = stack.post("/messages", body, **copied["key"])
    assert again.status_code == 201
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.json()["message_id"] == sent["message_id"]
    assert opted_out(stack, body)
    kept = stack.get(f"/messages/{sent['message_id']}").json()
    assert kept["status"] == "delivered"
    assert {"sms_sent", "sms_delivered"} <= {step.get("event") for step in kept["timeline"]}

    # What waited then may have been sent since: only a person can know.
    path = f"/messages/{later['message_id']}"
    assert until(lambda: stack.get(path).json()["status"] == "unknown", PATIENCE)
    sweep(stack)  # as the schedule does within a minute
    unknown = stack.event(
        lambda event: (
            event["type"] == "skycore.message_unknown"
            and event["data"]["message_id"] == later["message_id"]
        )
    )
    assert unknown["data"]["message_id"] == later["message_id"]

    # The stream has worked through the restored rows by now: none of them was published.
    assert not event_ids & stack.events.keys()
    assert len(stack.control("requests")) == asked

    # A second run finds everything in its place.
    counts = ops("restore", "table", COPY)
    assert counts["message"]["restored"] == counts["event"]["restored"] == 0


@pytest.mark.long
def test_the_later_word_of_an_opt_out_counts(
    stack: Stack, sms: dict[str, Any], copied: dict[str, Any]
) -> None:
    number, body = copied["number"], copied["body"]
    time.sleep(1.1)  # Skycore's times are whole seconds, and a stop wins over a start of its second
    stack.control("inbound", {"from": number, "to": sms["from"], "text": "START"})
    stack.event(
        lambda event: (
            event["data"].get("opt_out") == "start" and event["data"].get("from") == number
        )
    )
    ops("restore", "table", COPY)
    assert not opted_out(stack, body)


@pytest.mark.long
def test_an_interrupted_run_is_completed_by_the_next(stack: Stack, copied: dict[str, Any]) -> None:
    client, table = stack.admin("dynamodb"), stack.description["table_name"]
    event = next(row for row in copied["new"] if row["kind"]["S"] == "event")
    key = {"pk": event["pk"], "sk": event["sk"]}
    client.put_item(TableName=table, Item={**key, "restoring": {"BOOL": True}})
    ops("restore", "table", COPY)
    assert client.get_item(TableName=table, Key=key)["Item"] == event


@pytest.mark.long
@pytest.mark.parametrize("name", ["own", "foreign"])
def test_another_kind_of_table_is_refused(stack: Stack, name: str) -> None:
    client, table = stack.admin("dynamodb"), stack.description["table_name"]
    if name == "foreign":
        client.create_table(
            TableName=name,
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
    told = ops("restore", "table", table if name == "own" else name, code=1)
    assert "table of" in told["error"]


@pytest.mark.long
def test_postbacks_of_an_older_queue_are_stored(stack: Stack, sms: dict[str, Any]) -> None:
    sqs = stack.admin("sqs")
    url = sqs.create_queue(QueueName="older")["QueueUrl"]
    mark = uuid.uuid4().hex
    sqs.send_message(
        QueueUrl=url,
        MessageBody=f"{mark} cannot be read",
        MessageAttributes={
            "received_at": {"DataType": "String", "StringValue": "2026-11-22T10:41:15+00:00"}
        },
    )
    assert ops("restore", "postbacks", url) == {"moved": 1}
    event = stack.event(
        lambda event: (
            event["type"] == "skycore.unparsed"
            and event["data"]["received_at"].startswith("2026-11-22T10:41:15")
        )
    )
    assert event["data"]["received_at"].startswith("2026-11-22T10:41:15")
    assert (
        "is the postback queue of"
        in (ops("restore", "postbacks", stack.description["postback_queue_url"], code=1)["error"])
    )
