"""What the operator's tool shows of people's messages."""

from __future__ import annotations

import json

import pytest

from ops import redact

NUMBER, TEXT = "17743199144", "a text that nobody else reads"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (None, None),
        ("", ""),
        ("Message Sent/Delivered", "Message Sent/Delivered"),
        ("no route to 17743199144", "no route to …44"),
        ("no route to +1 (774) 319-9144.", "no route to …44."),
        ("E628 after 5 tries", "E628 after 5 tries"),
        ("17743199144,17743199155", "…44,…55"),
        ("order-4711", "order-4711"),
        ("since 2026-11-22T19:56:56Z", "since 2026-11-22T19:56:56Z"),
        ("at 2026-11-22T19:56:56.123456Z.", "at 2026-11-22T19:56:56.123456Z."),
        ("2026-11-22 19:56Z to 17743199144", "2026-11-22 19:56Z to …44"),
        ("2026-11-22", "…22"),
        ("+2026-11-22 19:56", "…19:56"),
        ("It was 2026-11-22 19:56.", "It was 2026-11-22 19:56."),
        ("2026-11-22T19:56:56.1234567", "…22T19:56:…67"),
        ("2026-11-22 19 56 56", "…56"),
        ("2026-11-22T19:56:5617743199144", "…22T19:56:…44"),
        ("1774 2026-11-22 19:56", "1774 2026-11-22 19:56"),
    ],
)
def test_numbers_in_words_are_masked(text: str | None, shown: str | None) -> None:
    assert redact.words(text) == shown


ENVELOPE = {
    "id": "an-id",
    "type": "skycore.sms_received",
    "time": "2026-11-22T10:41:15Z",
    "subject": NUMBER,
    "data": {
        "event": "sms_received",
        "code": "N211",
        "to": "60856",
        "from": NUMBER,
        "mobile": NUMBER,
        "text": TEXT,
        "subject": TEXT,
        "client_reference": f"for {NUMBER}",
        "extra": {"something_new": f"{NUMBER} {TEXT}"},
        "raw": TEXT,
    },
}


def test_an_event_is_shown_without_text_and_number() -> None:
    shown = json.dumps(redact.event(ENVELOPE, show=False))
    assert NUMBER not in shown
    assert TEXT not in shown
    assert redact.event(ENVELOPE, show=False)["from"] == "…44"
    assert redact.event(ENVELOPE, show=True) == ENVELOPE


MESSAGE = {
    "message_id": "m",
    "status": "unknown",
    "action": "sendSMS",
    "tracking_id": None,
    "to": NUMBER,
    "from": "60856",
    "client_reference": NUMBER,
    "created_at": "2026-11-22T10:41:15Z",
    "text": TEXT,
    "timeline": [{"event": "sms_sent", "status": f"to {NUMBER}", "details": NUMBER, "text": TEXT}],
    "possible_match": [{"tracking_id": "T", "event": "sms_delivered"}],
}


def test_a_message_is_shown_without_text_and_number() -> None:
    told = redact.message(MESSAGE, show=False)
    assert NUMBER not in json.dumps(told)
    assert TEXT not in json.dumps(told)
    assert told["possible_match"] == MESSAGE["possible_match"]
    assert told["timeline"][0]["status"] == "to …44"
