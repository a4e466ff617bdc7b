"""The table, the topic and the queues in memory."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.table.conftest import table
from tests.unit.table.fake_dynamodb import FakeDynamoDB, error

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["outside", "table"]


class Outside:
    """SNS and SQS as flows see them: what they were given, and what they refuse."""

    def __init__(self) -> None:
        self.published: list[dict[str, Any]] = []
        self.queued: list[str] = []
        self.calls = 0
        self.topic_is_out = False
        self.queue_is_out = False
        self.refused: set[str] = set()  # ids of events that SNS does not take

    def publish_batch(self, *, TopicArn: str, PublishBatchRequestEntries: list[Any]) -> Any:  # noqa: N803
        self.calls += 1
        if self.topic_is_out:
            raise error("InternalError", "PublishBatch")
        assert len(PublishBatchRequestEntries) <= 10
        taken = []
        for entry in PublishBatchRequestEntries:
            event = json.loads(entry["Message"])
            if event["id"] not in self.refused:
                self.published.append(event)
                taken.append({"Id": entry["Id"]})
        return {"Successful": taken}

    def send_message_batch(self, *, QueueUrl: str, Entries: list[Any]) -> Any:  # noqa: N803
        if self.queue_is_out:
            raise error("InternalError", "SendMessageBatch")
        self.queued += [entry["MessageBody"] for entry in Entries]
        return {"Successful": [{"Id": entry["Id"]} for entry in Entries]}

    def ids(self) -> list[str]:
        return [event["id"] for event in self.published]


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch, table: FakeDynamoDB) -> Outside:
    from skycore.aws import clients

    fake = Outside()
    monkeypatch.setattr(clients, "sns", lambda: fake)
    monkeypatch.setattr(clients, "sqs", lambda: fake)
    return fake


def overlap(
    outside: Outside, monkeypatch: pytest.MonkeyPatch, call: Callable[[], Any]
) -> list[Any]:
    """Let the queue fail, and make another call when the first one reaches it; return its answer.

    For that other call the queue works. The list is empty until the first call has come so far.
    """
    working = outside.send_message_batch
    answers: list[Any] = []

    def fail(**_: Any) -> None:
        if not answers:
            with monkeypatch.context() as patched:
                patched.setattr(outside, "send_message_batch", working)
                answers.append(call())
        raise error("InternalError", "SendMessageBatch")

    monkeypatch.setattr(outside, "send_message_batch", fail)
    return answers
