"""Ten thousand postbacks, shuffled, many repeated, some unreadable: each is kept and told once."""

from __future__ import annotations

import json
import random
import threading
import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from skycore.postbacks.parser import read_postback
from tests.chaos.seen import Expected, content
from tests.patience import until

if TYPE_CHECKING:
    from tests.integration.conftest import Stack

POSTS, REPEATS = 10_000, 3_000
MARK = uuid.uuid4().hex[:8]


def receipt(number: int, code: str, *, tag: str = "POSTBACK") -> str:
    return (
        f"<{tag}><ORIGIN>SMS_MT</ORIGIN><CODE>{code}</CODE><FROM>60856</FROM>"
        f"<TO>1774319{number % 10_000:04}</TO><TRACKINGID>{MARK}-{number}</TRACKINGID>"
        f"<TIMESTAMP>2026-11-22T10:41:15-05:00</TIMESTAMP></{tag}>"
    )


def body(number: int) -> bytes:
    """One of seven thousand distinct bodies."""
    kind = number % 20
    if kind == 0:
        return f"{MARK} {number}: no postback".encode() + bytes([0, 255, number % 256])
    if kind == 1:
        both = (receipt(number, code, tag="NOTIFICATION") for code in ("N201", "E202"))
        return f"<POSTBACK>{''.join(both)}</POSTBACK>".encode()
    if kind == 2:
        email = f"{MARK}-{number}@example.com"
        return f"<POSTBACK><CODE>N303</CODE><EMAIL>{email}</EMAIL></POSTBACK>".encode()
    if kind == 3:
        text = f"{MARK} {number} " + "é" * (number % 3000)
        return (
            f"<POSTBACK><ORIGIN>SMS_MO</ORIGIN><CODE>N211</CODE><FROM>17743199144</FROM>"
            f"<TEXT>{text}</TEXT><TRANSACTIONID>{MARK}-{number}</TRANSACTIONID></POSTBACK>"
        ).encode("latin-1")
    return receipt(number, "N201" if kind % 2 else "N202").encode()


def keys_of(event: dict[str, Any]) -> str:
    """Return what tells an event from others: its content if its id has a time in it, or its id."""
    return content(event["data"]) or str(event["id"])


class Reader(threading.Thread):
    """A subscriber that counts how often it got what."""

    def __init__(self, stack: Stack) -> None:
        super().__init__(daemon=True)
        self.sqs = stack.admin("sqs")
        self.url = stack.description["event_queue_url"]
        self.got: Counter[str] = Counter()
        self.last = time.monotonic()
        self.go_on = True

    def run(self) -> None:
        while self.go_on:
            answer = self.sqs.receive_message(
                QueueUrl=self.url, MaxNumberOfMessages=10, WaitTimeSeconds=1
            )
            messages = answer.get("Messages", [])
            if not messages:
                continue
            self.got.update(keys_of(json.loads(message["Body"])) for message in messages)
            self.last = time.monotonic()
            self.sqs.delete_message_batch(
                QueueUrl=self.url,
                Entries=[
                    {"Id": str(n), "ReceiptHandle": message["ReceiptHandle"]}
                    for n, message in enumerate(messages)
                ],
            )


def stored(stack: Stack) -> Counter[str]:
    """How many rows each event of ours has in the table."""
    pages = (
        stack.admin("dynamodb")
        .get_paginator("scan")
        .paginate(
            TableName=stack.description["table_name"],
            FilterExpression="kind = :event",
            ExpressionAttributeValues={":event": {"S": "event"}},
            ProjectionExpression="sk",
        )
    )
    ids = (item["sk"]["S"].removeprefix("event#") for page in pages for item in page["Items"])
    return Counter(ids)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_every_distinct_notification_is_kept_once_and_told(
    stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    distinct = [body(number) for number in range(POSTS - REPEATS)]
    chance = random.Random(4711)
    posts = distinct + chance.choices(distinct, k=REPEATS)
    chance.shuffle(posts)
    now = datetime.now(UTC)
    posted_ones = Expected()
    posted_ones.add(distinct)
    dated, undated = posted_ones.ids, len(posted_ones.undated)
    expected = dated | posted_ones.undated
    unreadable = sum(event.unparsed for one in distinct for event in read_postback(one, now))

    reader = Reader(stack)
    reader.start()
    start = time.monotonic()
    with ThreadPoolExecutor(16) as pool:
        answers = Counter(status for status, _ in pool.map(stack.postback, posts))
    posted = time.monotonic() - start
    assert until(
        lambda: expected <= reader.got.keys() or time.monotonic() - reader.last > 90, patience=900
    )
    took = time.monotonic() - start
    time.sleep(5)  # for what should not come
    reader.go_on = False
    reader.join()

    rows = stored(stack)
    again = sum(count - 1 for key, count in reader.got.items() if key in expected)
    counts = (
        f"\nposted {len(posts)} in {posted:.0f} s ({len(posts) / posted:.0f}/s): {dict(answers)}"
        f"\ndistinct bodies {len(distinct)}, of them unreadable {unreadable}, undated {undated};"
        f" repeats {REPEATS}"
        f"\ndistinct notifications {len(expected)}; rows in the table {rows.total()};"
        f" events read {reader.got.total()} after {took:.0f} s, of them repeats {again};"
        f" missing {len(expected - reader.got.keys())}"
    )
    with capsys.disabled():
        print(counts)
    assert answers == {200: len(posts)}
    assert expected == reader.got.keys() & expected
    assert {id_: rows[id_] for id_ in dated} == dict.fromkeys(dated, 1)
    assert rows.total() == len(expected)
    dead = stack.admin("sqs").get_queue_attributes(
        QueueUrl=stack.description["postback_dlq_url"], AttributeNames=["All"]
    )
    assert dead["Attributes"]["ApproximateNumberOfMessages"] == "0"
