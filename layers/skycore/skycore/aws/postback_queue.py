"""How a raw postback travels in SQS: its bytes, when it came, and by which token.

SQS carries only the characters of XML 1.0, and a carriage return may not survive every client;
a body that holds anything else goes as base64. The time of arrival is stamped here because
SQS's own timestamps change when a message is redriven.
"""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Any

from skycore import times
from skycore.aws import queue

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

UNSAFE = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def send_postback(queue_url: str, body: bytes, received_at: datetime, *, token: str) -> None:
    """Puts a raw postback into the queue, with the fingerprint of the token that it came by.

    Raises botocore's errors if SQS does not have it.
    """
    text, encoding = encode(body)
    attributes = {"received_at": times.to_key(received_at), "encoding": encoding, "token": token}
    queue.send(queue_url, text, attributes=attributes)


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
        received_at = times.from_text(stamp)
    else:
        received_at = times.from_epoch_ms(int(record["attributes"]["SentTimestamp"]))
    text: str = record["body"]
    if encoding == "empty":
        return b"", received_at
    return (base64.b64decode(text) if encoding == "base64" else text.encode()), received_at


def token_of(record: Mapping[str, Any]) -> str | None:
    """The fingerprint of the token that a postback came by; None if it was put there by hand."""
    attributes = record.get("messageAttributes", {})
    token: str | None = attributes.get("token", {}).get("stringValue")
    return token
