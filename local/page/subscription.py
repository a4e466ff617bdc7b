"""The page's own queue, subscribed to the topic, so that the user's queue keeps its events."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from local.page.reader import Reader

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.page.stack import Stack

NAME = "page-of-the-local-stack"
KEPT = 20_000  # events
WAIT_S = 1  # of a long poll, which a stop waits for


class Subscription(Reader):
    """Created through the APIs of SQS and SNS when the first page is opened; not in the template.

    Events are numbered in the order of arrival; a repeated event keeps its number.
    """

    def __init__(self, stack: Stack, publish: Callable[[dict[str, Any]], None]) -> None:
        super().__init__(stack, publish)
        self.events: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self._queue_url = ""
        self._arn = ""

    async def stop(self) -> None:
        """Stop reading; remove the queue and the subscription if the stack is still there."""
        if self._task is None:
            return
        await super().stop()
        with contextlib.suppress(Exception):  # the stack and its queue may be gone
            await asyncio.wait_for(asyncio.to_thread(self._remove), 2)

    def _open(self) -> None:
        topic = self._stack.needed()["event_topic_arn"]
        sqs = self._stack.admin("sqs")
        url = sqs.create_queue(QueueName=NAME)["QueueUrl"]
        asked = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        queue = asked["Attributes"]["QueueArn"]
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": queue,
            "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
        self._arn = self._stack.admin("sns").subscribe(
            TopicArn=topic,
            Protocol="sqs",
            Endpoint=queue,
            Attributes={"RawMessageDelivery": "true"},
            ReturnSubscriptionArn=True,
        )["SubscriptionArn"]
        self._queue_url = url

    def _receive(self) -> list[dict[str, Any]]:
        sqs = self._stack.admin("sqs")
        answer = sqs.receive_message(
            QueueUrl=self._queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=WAIT_S
        )
        messages = answer.get("Messages", [])
        if messages:
            handles = [
                {"Id": str(place), "ReceiptHandle": message["ReceiptHandle"]}
                for place, message in enumerate(messages)
            ]
            sqs.delete_message_batch(QueueUrl=self._queue_url, Entries=handles)
        return [json.loads(message["Body"]) for message in messages]

    def _remove(self) -> None:
        self._stack.admin("sns").unsubscribe(SubscriptionArn=self._arn)
        self._stack.admin("sqs").delete_queue(QueueUrl=self._queue_url)

    def record(self, received: dict[str, Any]) -> None:
        """Keep and publish an event, or count one more copy of it."""
        if (known := self.events.get(received["id"])) is not None:
            known["copies"] += 1
            self._publish(known)
            return
        self._count += 1
        entry = {"id": self._count, "event": received, "copies": 1}
        self.events[received["id"]] = entry
        if len(self.events) > KEPT:
            self.events.popitem(last=False)
        self._publish(entry)
