"""`python -m ops person erase` with the operator's rights: nothing is left but a hash."""

from __future__ import annotations

import json
import uuid
import zlib
from typing import TYPE_CHECKING, Any

import pytest

from skycore.aws.bucket import prefix_of
from tests.integration.operators import run_ops
from tests.integration.test_media import event, received
from tests.patience import until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.integration.conftest import Stack

pytestmark = pytest.mark.timeout(600)

NUMBER, OTHER = "17743196601", "17743196602"  # of this file alone
PATIENCE = 180.0  # seconds: outcomes after each other, on functions that start
RECEIPT = """<NOTIFICATION><ORIGIN>SMS_MT</ORIGIN><CODE>N202</CODE><TO>{to}</TO><FROM>60856</FROM>
<TRACKINGID>{id}</TRACKINGID><TIMESTAMP>2026-11-22T10:41:15-05:00</TIMESTAMP></NOTIFICATION>"""


def run(operator: Mapping[str, str], *arguments: str) -> Any:
    done = run_ops(operator, "--json", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def texts(value: Any) -> Iterator[str]:
    """Yield every text in an item, packed ones unpacked."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner)
    elif hasattr(value, "value") or isinstance(value, bytes):
        yield zlib.decompress(bytes(getattr(value, "value", value))).decode("latin-1")
    else:
        yield str(value)


def rows_with(stack: Stack, number: str) -> list[dict[str, Any]]:
    pages = stack.admin("dynamodb").get_paginator("scan")
    table = stack.description["table_name"]
    return [
        item
        for page in pages.paginate(TableName=table)
        for item in page["Items"]
        if any(number[1:] in text for text in texts(item))
    ]


def kinds(stack: Stack) -> set[str]:
    return {row["kind"]["S"] for row in rows_with(stack, NUMBER)}


def files_of(stack: Stack, event_id: str) -> list[str]:
    """Return the keys of an event's files."""
    found = stack.admin("s3").list_objects_v2(
        Bucket=stack.description["media_bucket"], Prefix=prefix_of(event_id)
    )
    return [row["Key"] for row in found.get("Contents", [])]


def test_after_an_erasure_table_and_bucket_hold_the_number_no_more(
    stack: Stack, operator: dict[str, str], sms: dict[str, Any]
) -> None:
    body = {**sms, "to": f"+{NUMBER}", "client_reference": uuid.uuid4().hex}
    key = {"Idempotency-Key": uuid.uuid4().hex}
    message = stack.post("/messages", body, **key).json()
    path = f"/messages/{message['message_id']}"
    assert until(lambda: stack.get(path).json()["status"] == "delivered", PATIENCE)
    shared = "".join(RECEIPT.format(to=to, id=uuid.uuid4().hex) for to in (NUMBER, OTHER))
    stack.postback(f"<POSTBACK>{shared}</POSTBACK>".encode())
    stack.postback(b"<broken>+1 (774) 319-6601 and 17743196601")
    stack.control("inbound", {"from": NUMBER, "to": sms["from"], "text": "I moved to Main Street"})
    stack.control("inbound", {"from": NUMBER, "to": sms["from"], "text": "STOP"})
    mms = received(stack, **{"from": NUMBER, "text": "A picture from Main Street"})
    event(stack, "media_kept", mms["tracking_id"])
    mms_id = event(stack, "mms_received", mms["tracking_id"])["id"]
    kept = files_of(stack, mms_id)
    assert len(kept) == 2
    everything = {"message", "event", "raw", "opt_out"}
    assert until(lambda: kinds(stack) >= everything, PATIENCE), kinds(stack)

    shown = run(operator, "person", "show", f"+{NUMBER}")
    assert "Main Street" in json.dumps(shown)
    assert any(event["type"] == "skycore.unparsed" for event in shown["events"])
    assert shown["opt_outs"]
    assert sorted(shown["files"]) == sorted(kept)

    erased = run(operator, "person", "erase", f"+{NUMBER}", "--yes")
    assert erased["erased"]["messages"] == 1
    assert "PointInTimeRecovery" in json.dumps(erased["remains"])
    assert erased["erased"]["files"] == 2
    assert rows_with(stack, NUMBER) == []
    assert files_of(stack, mms_id) == []
    assert any(OTHER in text for row in rows_with(stack, OTHER) for text in texts(row))

    again = stack.post("/messages", body, **key)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.json()["message_id"] == message["message_id"]
    assert stack.post("/messages", body).json()["code"] == "recipient_opted_out"
    run(operator, "person", "erase", f"+{NUMBER}", "--yes")
    assert rows_with(stack, NUMBER) == []
    changes = run(operator, "changes", "--since", "1h")["changes"]
    assert sum(one["change"].startswith("ops person erase") for one in changes) == 2

    stack.control("inbound", {"from": NUMBER, "to": sms["from"], "text": "START"})
    sendable = {**body, "dry_run": True}
    assert until(lambda: "fields" in stack.post("/messages", sendable).json(), PATIENCE)
