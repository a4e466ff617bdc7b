"""Send to SQS queues and the SNS topic, one message or many; read partial failures."""

from __future__ import annotations

import base64
import random
import re
import time
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from skycore import timestamps
from skycore.aws import clients
from skycore.chunks import chunked
from skycore.logs import log_exception

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from mypy_boto3_sns.type_defs import PublishBatchRequestEntryTypeDef
    from mypy_boto3_sqs.type_defs import SendMessageBatchRequestEntryTypeDef

MAX_ENTRIES = 10  # in a call, the most that either service takes
SECONDS = 10.0  # for many messages; the functions have 28
QUEUE_BATCH_BYTES = 900_000  # of bodies in a call; SQS takes 1 MiB with the attributes
QUEUE_ATTEMPTS = 5  # of an entry: where each call in five fails, one in 3,000 is left over
TOPIC_BATCH_BYTES = 250_000  # of a call; SNS takes 256 KiB with the attributes
TOPIC_ATTEMPTS = 2  # of an entry; what is left has a retry queue
UNSAFE = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # in a body of SQS

type Notification = tuple[str, Mapping[str, str]]  # body and attributes


def send(
    queue_url: str, body: str, *, attributes: Mapping[str, str] | None = None, delay: int = 0
) -> None:
    """Sends one message, to be seen after `delay` seconds (0 to 900).

    Raises botocore's ClientError or BotoCoreError if SQS does not have it.
    """
    clients.sqs().send_message(
        QueueUrl=queue_url,
        MessageBody=body,
        MessageAttributes={
            name: {"DataType": "String", "StringValue": value}
            for name, value in (attributes or {}).items()
        },
        DelaySeconds=delay,
    )


def send_many(
    queue_url: str, bodies: Sequence[str], *, delay: int | None = None, seconds: float = SECONDS
) -> set[int]:
    """Sends many messages; returns the indexes of those that SQS does not have.

    They are to be seen after `delay` seconds; None: after the queue's own.

    Each that SQS refuses, or that a call without an answer held, is tried again, up to five times
    in all and until `seconds` have passed.
    """

    def send_batch(indexes: list[int]) -> set[int]:
        entries: list[SendMessageBatchRequestEntryTypeDef] = [
            {"Id": str(index), "MessageBody": bodies[index]} for index in indexes
        ]
        if delay is not None:
            for entry in entries:
                entry["DelaySeconds"] = delay
        try:
            answer = clients.sqs().send_message_batch(QueueUrl=queue_url, Entries=entries)
        except (BotoCoreError, ClientError) as error:
            log_exception("queue did not answer", error, entries=len(entries))
            return set()
        return {int(entry["Id"]) for entry in answer.get("Successful", [])}

    sizes = [len(body.encode()) for body in bodies]
    return send_in_batches(
        sizes, QUEUE_BATCH_BYTES, send_batch, rounds=QUEUE_ATTEMPTS, seconds=seconds
    )


def publish_many(
    topic_arn: str, messages: Sequence[Notification], *, seconds: float = SECONDS
) -> set[int]:
    """Publishes (body, attributes) pairs; returns the indexes of those that SNS does not have.

    Each that SNS refuses is tried once more. A call that fails as a whole is the last one, and none
    begins once `seconds` have passed: while SNS is out or slow, the caller's time is better spent
    on keeping what is left.
    """
    left = set(range(len(messages)))

    def publish_batch(indexes: list[int]) -> set[int]:
        entries: list[PublishBatchRequestEntryTypeDef] = [
            {
                "Id": str(index),
                "Message": messages[index][0],
                "MessageAttributes": {
                    name: {"DataType": "String", "StringValue": value}
                    for name, value in messages[index][1].items()
                },
            }
            for index in indexes
        ]
        answer = clients.sns().publish_batch(TopicArn=topic_arn, PublishBatchRequestEntries=entries)
        taken = {int(entry["Id"]) for entry in answer.get("Successful", [])}
        left.difference_update(taken)
        return taken

    try:
        sizes = [_size(message) for message in messages]
        send_in_batches(
            sizes, TOPIC_BATCH_BYTES, publish_batch, rounds=TOPIC_ATTEMPTS, seconds=seconds
        )
    except (BotoCoreError, ClientError) as error:
        log_exception("publishing failed", error, left=len(left))
    return left


def _size(message: Notification) -> int:
    body, attributes = message
    # A name, a value and the word String each.
    return len(body.encode()) + sum(len(k) + len(v.encode()) + 6 for k, v in attributes.items())


def send_in_batches(
    sizes: Sequence[int],
    most_bytes: int,
    send: Callable[[list[int]], set[int]],
    *,
    rounds: int,
    seconds: float,
) -> set[int]:
    """Sends all entries, and again those that were refused; returns those left over.

    `send` takes the indexes of one call and returns those that the service took. An entry is tried
    `rounds` times at most, with a growing random pause before each round, and no call begins once
    `seconds` have passed: what waits for the caller's own end has to be kept elsewhere.
    """
    end = time.monotonic() + seconds
    left = set(range(len(sizes)))
    for number in range(rounds):
        if number and left:
            back_off(number)
        for batch in list(
            chunked(sorted(left), sizes.__getitem__, most=MAX_ENTRIES, most_bytes=most_bytes)
        ):
            if time.monotonic() >= end:
                return left
            left -= send(batch)
    return left


def back_off(number: int) -> None:
    """Waits before the `number`th repetition, 0.8 seconds at most before the fourth."""
    time.sleep(random.uniform(0, 0.05 * 2**number))  # noqa: S311 - jitter, not a secret


def send_postback(queue_url: str, body: bytes, received_at: datetime, *, token: str) -> None:
    """Puts a raw postback into the queue, with the fingerprint of the token that it came by.

    Raises botocore's errors if SQS does not have it.
    """
    text, encoding = encode(body)
    attributes = {
        "received_at": timestamps.to_key(received_at),
        "encoding": encoding,
        "token": token,
    }
    send(queue_url, text, attributes=attributes)


def encode(body: bytes) -> tuple[str, str]:
    """A body as SQS carries it, and the name of how: `text`, `base64`, or `empty`."""
    if not body:
        return "(empty)", "empty"
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        return base64.b64encode(body).decode(), "base64"
    return (base64.b64encode(body).decode(), "base64") if UNSAFE.search(text) else (text, "text")


def read_record(record: Mapping[str, Any]) -> tuple[bytes, datetime]:
    """The raw postback and its arrival in a record of an SQS event.

    A message that `ack` did not write (put there by hand) is its text, arrived when SQS got it.
    """
    attributes = record.get("messageAttributes", {})
    encoding = attributes.get("encoding", {}).get("stringValue", "text")
    stamp = attributes.get("received_at", {}).get("stringValue")
    if stamp:
        received_at = timestamps.from_text(stamp)
    else:
        received_at = timestamps.from_epoch_ms(int(record["attributes"]["SentTimestamp"]))
    text: str = record["body"]
    if encoding == "empty":
        return b"", received_at
    return (base64.b64decode(text) if encoding == "base64" else text.encode()), received_at


def token_of(record: Mapping[str, Any]) -> str | None:
    """The fingerprint of the token that a postback came by; None if it was put there by hand."""
    attributes = record.get("messageAttributes", {})
    token: str | None = attributes.get("token", {}).get("stringValue")
    return token
