"""Read dead-letter queues without emptying them, and move their messages.

SQS has a task for moving (StartMessageMoveTask), but it moves a whole queue: a single message
cannot be tried first. So each message is sent to its queue, with its body and attributes as they
are, and then deleted. If that stops in between, a message is in both queues. That does no harm: an
event keeps its id, a postback is stored once, and a message is sent once.
"""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Self

from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from collections.abc import Iterator

AT_ONCE = 10  # messages, the most that one receive returns
HIDDEN = 60  # seconds that a message is kept from others while it is looked at or moved
EMPTY_AFTER = 2  # empty receives in a row; a single one may miss some


@dataclass
class DeadLetters:
    """One dead-letter queue. As a context manager, it returns to the queue what it only read."""

    sqs: Any
    url: str
    failed: Counter[str] = field(default_factory=Counter)  # messages not moved, by AWS's error code
    _held: dict[str, str] = field(default_factory=dict)  # receipt handles by message id

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._held.values():
            self.sqs.change_message_visibility(
                QueueUrl=self.url, ReceiptHandle=handle, VisibilityTimeout=0
            )

    def messages(self) -> Iterator[list[dict[str, Any]]]:
        """Yield what is in the queue now, ten at a time, each once; hidden from others meanwhile.

        What came into the queue since this began is left alone, so that what fails again at once
        is not moved round and round.
        """
        began_ms: float | None = None
        seen: set[str] = set()
        empty = 0
        while empty < EMPTY_AFTER:
            answer = self.sqs.receive_message(
                QueueUrl=self.url,
                MaxNumberOfMessages=AT_ONCE,
                VisibilityTimeout=HIDDEN,
                WaitTimeSeconds=1,
                MessageAttributeNames=["All"],
                MessageSystemAttributeNames=["All"],
            )
            received = answer.get("Messages", [])
            # What the first answer gives was there before anything was moved.
            newest_ms = began_ms or float("inf")
            began_ms = began_ms or _answered_ms(answer)
            self._held |= {one["MessageId"]: one["ReceiptHandle"] for one in received}
            new = [
                one
                for one in received
                if one["MessageId"] not in seen and sent_ms(one) <= newest_ms
            ]
            seen |= {one["MessageId"] for one in new}
            empty = 0 if new else empty + 1
            if new:
                yield new

    def move(self, found: list[dict[str, Any]], to: str) -> int:
        """Move messages to the queue `to`, bodies and attributes as they are; return how many.

        What AWS refuses to move is counted in `failed`, with its reason, and stays where it is.
        """

        def move_one(message: dict[str, Any]) -> bool:
            attributes = {
                name: {part: value[part] for part in _ATTRIBUTE if part in value}
                for name, value in message.get("MessageAttributes", {}).items()
            }
            try:
                self.sqs.send_message(
                    QueueUrl=to, MessageBody=message["Body"], MessageAttributes=attributes
                )
                self.delete(message)
            except ClientError as error:
                self.failed[str(error.response["Error"]["Code"])] += 1
                return False
            except BotoCoreError as error:
                self.failed[type(error).__name__] += 1
                return False
            return True

        with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
            return sum(pool.map(move_one, found))

    def delete(self, message: dict[str, Any]) -> None:
        """Delete a message for good."""
        self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
        self._held.pop(message["MessageId"], None)


def _answered_ms(answer: dict[str, Any]) -> float:
    """Return when AWS answered, by its clock, in ms since 1970; rounded down to the second."""
    date = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
    return (parsedate_to_datetime(date).timestamp() if date else time.time()) * 1000


def sent_ms(message: dict[str, Any]) -> int:
    """Return when a message reached its first queue, in milliseconds since 1970."""
    return int(message["Attributes"]["SentTimestamp"])


_ATTRIBUTE = ("DataType", "StringValue", "BinaryValue")
