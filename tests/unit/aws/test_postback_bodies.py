"""Every byte of a postback survives SQS, which carries only the characters of XML."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skycore import timestamps
from skycore.aws import clients
from skycore.aws.queues import encode, read_record, send_postback, token_fingerprint_of

ARRIVED = datetime(2026, 11, 22, 10, 41, 15, 123456, UTC)
# What SQS says it takes: #x9 | #xA | #xD | #x20-#xD7FF | #xE000-#xFFFD | #x10000-#x10FFFF
SQS_TAKES = re.compile("[\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]+")


def record(body: bytes) -> dict[str, Any]:
    text, encoding = encode(body)
    attributes = {"received_at": timestamps.to_key(ARRIVED), "encoding": encoding}
    return {
        "body": text,
        "messageAttributes": {
            name: {"stringValue": value, "dataType": "String"} for name, value in attributes.items()
        },
        "attributes": {"SentTimestamp": "1"},
    }


@given(st.binary() | st.text().map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_come_back(body: Any) -> None:
    sent = record(body)
    assert SQS_TAKES.fullmatch(sent["body"])
    assert read_record(sent) == (body, ARRIVED)


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (b"<POSTBACK/>", "text"),
        ("é€😀\t\n".encode(), "text"),
        (b"", "empty"),
        (b"a\r\nb", "base64"),
        (b"\x00", "base64"),
        (b"\xff", "base64"),
        ("\ufffe".encode(), "base64"),
        (bytes(range(256)), "base64"),
    ],
)
def test_readable_bodies_stay_readable(body: Any, encoding: str) -> None:
    assert encode(body)[1] == encoding


def test_a_message_put_there_by_hand_is_its_text_when_it_was_sent() -> None:
    by_hand = {"body": "<POSTBACK/>", "attributes": {"SentTimestamp": "1700000000123"}}
    body, received_at = read_record(by_hand)
    assert body == b"<POSTBACK/>"
    assert received_at == timestamps.from_epoch_ms(1700000000123)
    assert token_fingerprint_of(by_hand) is None


def test_a_message_says_by_which_token_it_came(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: dict[str, Any] = {}
    fake = SimpleNamespace(send_message=lambda **message: sent.update(message))
    monkeypatch.setattr(clients, "sqs", lambda: fake)
    send_postback("a queue", b"<POSTBACK/>", ARRIVED, token_fingerprint="0123456789ab")
    given = {
        name: {"stringValue": value["StringValue"]}
        for name, value in sent["MessageAttributes"].items()
    }
    assert token_fingerprint_of({"messageAttributes": given}) == "0123456789ab"
