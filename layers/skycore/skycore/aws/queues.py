"""Send to SQS queues and the SNS topic, one message or many; read partial failures."""

from __future__ import annotations

import base64
import random
import re
import time
from concurrent.futures import ThreadPoolExecutor
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
    from mypy_boto3_sqs.type_defs import MessageAttributeValueTypeDef

MAX_ENTRIES = 10  # in a call, the most that either service takes
SECONDS = 10.0  # for many messages; the functions have 28
QUEUE_BATCH_BYTES = 900_000  # of bodies in a call; SQS takes 1 MiB with the attributes
QUEUE_ATTEMPTS = 5  # of an entry: where each call in five fails, one in 3,000 is left over
SEND_AGAIN_ROUNDS = 2  # SQS redelivers a postback that was not sent again, and counts the receive
SEND_AGAIN_SECONDS = 5.0  # for copies of postbacks, after the 12 seconds of reading
TOPIC_BATCH_BYTES = 250_000  # of a call; SNS takes 256 KiB with the attributes
TOPIC_ATTEMPTS = 2  # of an entry; what is left has a retry queue
UNSAFE = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # in a body of SQS

type TopicMessage = tuple[str, Mapping[str, str]]  # body and attributes


def send(
    queue_url: str, body: str, *, attributes: Mapping[str, str] | None = None, delay: int = 0
) -> None:
    """Send one message, which consumers see after `delay` seconds (0 to 900).

    Raises botocore's ClientError or BotoCoreError if SQS did not accept it.
    """
    clients.sqs().send_message(
        QueueUrl=queue_url,
        MessageBody=body,
        MessageAttributes=_as_attributes(attributes or {}),
        DelaySeconds=delay,
    )


def send_many(
    queue_url: str,
    bodies: Sequence[str],
    *,
    delay: int | None = None,
    seconds: float = SECONDS,
    at_once: int = 1,
) -> set[int]:
    """Send many messages; return the indexes of those that SQS did not accept.

    Consumers see them after `delay` seconds; None: after the queue's own delay. A message that SQS
    refuses, or whose call got no answer, is sent again, up to five times in all and until
    `seconds` have passed. `at_once` calls are made in parallel.
    """
    own_delay: Mapping[str, Any] = {} if delay is None else {"DelaySeconds": delay}
    messages = [{"MessageBody": body, **own_delay} for body in bodies]
    return _send_all(queue_url, messages, rounds=QUEUE_ATTEMPTS, seconds=seconds, at_once=at_once)


def _send_all(
    queue_url: str,
    messages: Sequence[Mapping[str, Any]],
    *,
    rounds: int,
    seconds: float,
    at_once: int = 1,
) -> set[int]:
    """Send entries of SendMessageBatch, as `send_in_batches`; a call without an answer refuses all.

    `messages` have everything but their ids.
    """

    def send_batch(indexes: list[int]) -> set[int]:
        entries: Any = [{"Id": str(index), **messages[index]} for index in indexes]
        try:
            answer = clients.sqs().send_message_batch(QueueUrl=queue_url, Entries=entries)
        except (BotoCoreError, ClientError) as error:
            log_exception("queue did not answer", error, entries=len(entries))
            return set()
        return {int(entry["Id"]) for entry in answer.get("Successful", [])}

    sizes = [len(message["MessageBody"].encode()) for message in messages]
    return send_in_batches(
        sizes, QUEUE_BATCH_BYTES, send_batch, rounds=rounds, seconds=seconds, at_once=at_once
    )


def publish_many(
    topic_arn: str, messages: Sequence[TopicMessage], *, seconds: float = SECONDS
) -> set[int]:
    """Publish (body, attributes) pairs; return the indexes of those that SNS did not accept.

    A message that SNS refuses is sent once more. A call that fails as a whole is the last
    one, and no call starts once `seconds` have passed: while SNS fails or is slow, the caller
    needs the time to store the rest.
    """
    unpublished = set(range(len(messages)))

    def publish_batch(indexes: list[int]) -> set[int]:
        entries: list[PublishBatchRequestEntryTypeDef] = [
            {
                "Id": str(index),
                "Message": messages[index][0],
                "MessageAttributes": _as_attributes(messages[index][1]),
            }
            for index in indexes
        ]
        answer = clients.sns().publish_batch(TopicArn=topic_arn, PublishBatchRequestEntries=entries)
        accepted = {int(entry["Id"]) for entry in answer.get("Successful", [])}
        unpublished.difference_update(accepted)
        return accepted

    try:
        sizes = [_size(message) for message in messages]
        send_in_batches(
            sizes, TOPIC_BATCH_BYTES, publish_batch, rounds=TOPIC_ATTEMPTS, seconds=seconds
        )
    except (BotoCoreError, ClientError) as error:
        log_exception("publishing failed", error, left=len(unpublished))
    return unpublished


def _size(message: TopicMessage) -> int:
    """Return the bytes that SNS counts: the body, and each attribute's name, type and value."""
    body, attributes = message
    return len(body.encode()) + sum(
        len(k) + len("String") + len(v.encode()) for k, v in attributes.items()
    )


def send_in_batches(
    sizes: Sequence[int],
    most_bytes: int,
    send_batch: Callable[[list[int]], set[int]],
    *,
    rounds: int,
    seconds: float,
    at_once: int = 1,
) -> set[int]:
    """Send all entries, and again those that were refused; return the indexes never accepted.

    `send_batch` gets the indexes of one call and returns those that the service accepted. Each
    entry is sent at most `rounds` times, with a growing random pause before each further round. No
    call starts once `seconds` have passed, so that the caller can still store the rest elsewhere.
    With one call `at_once`, an error of `send_batch` is raised before another call is made.
    """
    end = time.monotonic() + seconds
    unsent = set(range(len(sizes)))

    def send_in_time(batch: list[int]) -> set[int]:
        return send_batch(batch) if time.monotonic() < end else set()

    for number in range(rounds):
        if number and unsent:
            back_off(number)
        if time.monotonic() >= end:
            return unsent
        batches = list(
            chunked(sorted(unsent), sizes.__getitem__, most=MAX_ENTRIES, most_bytes=most_bytes)
        )
        with ThreadPoolExecutor(at_once) as pool:  # starts no thread for one call at once
            for accepted in (pool.map if at_once > 1 else map)(send_in_time, batches):
                unsent -= accepted
    return unsent


def back_off(number: int) -> None:
    """Wait before the `number`th repetition: at most 0.8 seconds before the fourth."""
    time.sleep(random.uniform(0, 0.05 * 2**number))  # noqa: S311 - jitter, not a secret


def send_postback(
    queue_url: str, body: bytes, received_at: datetime, *, token_fingerprint: str
) -> None:
    """Queue a raw postback, with the fingerprint of the token in the URL that it was posted to.

    Raises botocore's errors if SQS did not accept it.
    """
    text, encoding = encode(body)
    attributes = {
        "received_at": timestamps.to_key(received_at),
        "encoding": encoding,
        "token": token_fingerprint,
    }
    send(queue_url, text, attributes=attributes)


def encode(body: bytes) -> tuple[str, str]:
    """Return a body as SQS carries it, and its encoding: `text`, `base64` or `empty`."""
    if not body:
        return "(empty)", "empty"
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        return base64.b64encode(body).decode(), "base64"
    return (base64.b64encode(body).decode(), "base64") if UNSAFE.search(text) else (text, "text")


def read_record(record: Mapping[str, Any]) -> tuple[bytes, datetime]:
    """Return the raw postback in a record of an SQS event, and when it was received.

    For a message without attributes, sent by hand: its text, and the time at which SQS got it.
    """
    encoding = _attribute(record, "encoding") or "text"
    received_at = _received_at(record)
    text: str = record["body"]
    if encoding == "empty":
        return b"", received_at
    return (base64.b64decode(text) if encoding == "base64" else text.encode()), received_at


def token_fingerprint_of(record: Mapping[str, Any]) -> str | None:
    """Return the fingerprint of a postback's token; None for a message that was sent by hand."""
    return _attribute(record, "token")


def _received_at(record: Mapping[str, Any]) -> datetime:
    received = _attribute(record, "received_at")
    if received:
        return timestamps.from_text(received)
    return timestamps.from_epoch_ms(int(record["attributes"]["SentTimestamp"]))


def _attribute(record: Mapping[str, Any], name: str) -> str | None:
    attribute: Mapping[str, str] = record.get("messageAttributes", {}).get(name, {})
    return attribute.get("stringValue")


def send_again(queue_url: str, records: Sequence[Mapping[str, Any]], *, delay: int) -> list[str]:
    """Send copies of received postbacks, which consumers see after `delay` seconds.

    A copy keeps the body, the time of arrival and the token; its receive count starts again.
    Return the message ids of those that SQS did not accept.
    """
    copies = [
        {
            "MessageBody": record["body"],
            "MessageAttributes": _attributes_of(record),
            "DelaySeconds": delay,
        }
        for record in records
    ]
    unsent = _send_all(queue_url, copies, rounds=SEND_AGAIN_ROUNDS, seconds=SEND_AGAIN_SECONDS)
    return [records[index]["messageId"] for index in sorted(unsent)]


def _attributes_of(record: Mapping[str, Any]) -> dict[str, MessageAttributeValueTypeDef]:
    """Return the attributes of a received postback as SQS takes them, with its time of arrival."""
    values = {
        name: attribute["stringValue"]
        for name, attribute in record.get("messageAttributes", {}).items()
        if "stringValue" in attribute
    }
    return _as_attributes(values | {"received_at": timestamps.to_key(_received_at(record))})


def _as_attributes(values: Mapping[str, str]) -> dict[str, MessageAttributeValueTypeDef]:
    """Return texts as message attributes, for SQS and SNS."""
    return {name: {"DataType": "String", "StringValue": value} for name, value in values.items()}
