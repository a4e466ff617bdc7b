"""What can be seen from outside while and after things went wrong."""

from __future__ import annotations

import base64
import contextlib
import json
import threading
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from skycore.postbacks.parser import read_postback
from tests.patience import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tests.integration.conftest import Stack

QUEUES = ("PostbackQueue", "SendQueue", "PublishRetryQueue")
DEAD_LETTER_QUEUES = (
    "PostbackDeadLetterQueue",
    "SendDeadLetterQueue",
    "PublishRetryDeadLetterQueue",
    "PublishDeadLetterQueue",
    "EventDeadLetterQueue",
)


class Subscriber(threading.Thread):
    """Reads the event queue, and counts how often each event came."""

    def __init__(self, stack: Stack) -> None:
        super().__init__(daemon=True)
        self._sqs = stack.admin("sqs")
        self._url = stack.description["event_queue_url"]
        self._go_on = True
        self.got: Counter[str] = Counter()  # by id
        self.of_undated: defaultdict[str, set[str]] = defaultdict(set)  # ids by content
        self.steps: set[tuple[str, str]] = set()  # (message id, own step) that were told

    def run(self) -> None:
        while self._go_on:
            answer = self._sqs.receive_message(
                QueueUrl=self._url, MaxNumberOfMessages=10, WaitTimeSeconds=1
            )
            messages = answer.get("Messages", [])
            for message in messages:
                self._note(json.loads(message["Body"]))
            if messages:
                entries = [
                    {"Id": str(n), "ReceiptHandle": message["ReceiptHandle"]}
                    for n, message in enumerate(messages)
                ]
                self._sqs.delete_message_batch(QueueUrl=self._url, Entries=entries)

    def _note(self, event: dict[str, Any]) -> None:
        data = event["data"]
        self.got[event["id"]] += 1
        if mark := content(data):
            self.of_undated[mark].add(event["id"])
        if event["type"].startswith("skycore.message_"):
            self.steps.add((data["message_id"], event["type"].removeprefix("skycore.message_")))

    def stop(self) -> None:
        """Ends the reading."""
        self._go_on = False
        self.join(10)


@contextlib.contextmanager
def subscribed(stack: Stack) -> Iterator[Subscriber]:
    """A subscriber that reads meanwhile."""
    subscriber = Subscriber(stack)
    subscriber.start()
    try:
        yield subscriber
    finally:
        subscriber.stop()


def content(data: dict[str, Any]) -> str | None:
    """Return what tells an event of a test without a time of its own: its email or its bytes."""
    return data.get("email") or data.get("raw")


@dataclass(slots=True)
class Expected:
    """What acknowledged postbacks must have become: ids, and contents of what has no time."""

    ids: set[str] = field(default_factory=set)
    undated: set[str] = field(default_factory=set)

    def add(self, bodies: Iterable[bytes]) -> None:
        """More postbacks that were answered with 200."""
        now = datetime.now(UTC)
        for body in bodies:
            for event in read_postback(body, now):
                if event.has_own_identity:
                    self.ids.add(event.id)
                else:
                    raw = base64.b64encode(body).decode()
                    self.undated.add(content(event.data) or raw)

    def missing(self, subscriber: Subscriber) -> set[str]:
        """What was not told yet."""
        return (self.ids - subscriber.got.keys()) | (self.undated - subscriber.of_undated.keys())


def rows(stack: Stack, kind: str) -> list[dict[str, Any]]:
    """All rows of a kind: key, status, tracking id and steps."""
    pages = stack.admin("dynamodb").get_paginator("scan")
    found = pages.paginate(
        TableName=stack.description["table_name"],
        FilterExpression="kind = :kind",
        ExpressionAttributeValues={":kind": {"S": kind}},
    )
    return [item for page in found for item in page["Items"]]


def depths(stack: Stack, queues: Iterable[str]) -> dict[str, int]:
    """How many messages each queue holds: visible, in flight and delayed."""
    sqs = stack.admin("sqs")
    told = {}
    for queue in queues:
        attributes = sqs.get_queue_attributes(
            QueueUrl=stack.resource(queue), AttributeNames=["All"]
        )["Attributes"]
        names = ("", "NotVisible", "Delayed")
        told[queue] = sum(int(attributes[f"ApproximateNumberOfMessages{name}"]) for name in names)
    return told


def sweep(stack: Stack) -> None:
    """Runs the sweep function; it is AWS's schedule that does so every minute."""
    stack.admin("lambda").invoke(FunctionName=stack.resource("SweepFunction"), Payload=b"{}")


def wait(stack: Stack, done: Callable[[], bool], patience: float) -> bool:
    """Return whether it was done in time; run sweep meanwhile, every ten seconds."""
    next_sweep = 0.0

    def done_or_swept() -> bool:
        nonlocal next_sweep
        if done():
            return True
        if time.monotonic() > next_sweep:
            sweep(stack)
            next_sweep = time.monotonic() + 10
        return False

    return until(done_or_swept, patience)
