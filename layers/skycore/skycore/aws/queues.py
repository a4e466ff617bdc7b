"""SQS: sending one message or many, with partial failures read."""

from __future__ import annotations

import base64
import random
import re
import time
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from skycore import timestamps
from skycore.aws import clients
from skycore.chunks import parts
from skycore.logs import log_exception

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from mypy_boto3_sqs.type_defs import SendMessageBatchRequestEntryTypeDef

BATCH_BYTES = 900_000  # of bodies in a call; SQS takes 1 MiB with the attributes
ROUNDS = 5  # tries of an entry: where each call in five fails, one in 3,000 is left over
SECONDS = 10.0  # for many messages; the functions have 28


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
    return send_in_rounds(sizes, BATCH_BYTES, send_batch, rounds=ROUNDS, seconds=seconds)


ENTRIES = 10  # in a call, the most that either service takes


def send_in_rounds(
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
            pause(number)
        for batch in list(
            parts(sorted(left), sizes.__getitem__, most=ENTRIES, most_bytes=most_bytes)
        ):
            if time.monotonic() >= end:
                return left
            left -= send(batch)
    return left


def pause(number: int) -> None:
    """Waits before the `number`th repetition, 0.8 seconds at most before the fourth."""
    time.sleep(random.uniform(0, 0.05 * 2**number))  # noqa: S311 - jitter, not a secret


UNSAFE = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


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
