"""Events become typed objects, and nothing that a later release adds breaks them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from skycore_client import (
    Event,
    InboundMessage,
    MediaKept,
    MessageEvent,
    SubscriptionEvent,
    parse_event,
)


def event(name: str, **data: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": "id-1",
        "source": "urn:skycore:skycore",
        "type": f"skycore.{name}",
        "subject": "t-1",
        "time": "2026-11-22T18:17:25.607282Z",
        "data": {"event": name, **data},
    }


SENT_TO = {"message_id": "m-1", "tracking_id": "t-1", "client_reference": "order-1"}
REPLY = {"from": "17743199144", "to": "60856", "text": "Stop", "opt_out": "stop", "files": None}


def test_a_receipt_says_what_became_of_a_message() -> None:
    body = event("sms_delivered", **SENT_TO, code="N202")
    assert parse_event(json.dumps(body)) == MessageEvent(
        id="id-1",
        type="skycore.sms_delivered",
        time=datetime(2026, 11, 22, 18, 17, 25, 607282, tzinfo=UTC),
        data=body["data"],
        envelope=body,
        **SENT_TO,
        status="delivered",
    )


def test_the_status_of_the_message_wins_over_the_events_own() -> None:
    parsed = parse_event(event("sms_sent", **SENT_TO, message_status="delivered"))
    assert isinstance(parsed, MessageEvent)
    assert parsed.status == "delivered"


def test_device_discovery_does_not_change_a_message() -> None:
    parsed = parse_event(event("ddm_delivered", **SENT_TO))
    assert isinstance(parsed, MessageEvent)
    assert parsed.status is None


def test_what_a_person_sent_is_an_inbound_message() -> None:
    parsed = parse_event(event("sms_received", **REPLY))
    assert isinstance(parsed, InboundMessage)
    assert (parsed.sender, parsed.to, parsed.text) == ("17743199144", "60856", "Stop")
    assert (parsed.opt_out, parsed.files) == ("stop", [])
    picture = parse_event(event("mms_received", files=["https://x/1.jpg"]))
    assert isinstance(picture, InboundMessage)
    assert (picture.files, picture.text) == (["https://x/1.jpg"], None)


def test_the_words_of_an_mms_come_with_its_files() -> None:
    files = [
        {"url": "https://x/1.txt", "key": "k/0.txt"},
        {"url": "https://x/2", "error": "timeout"},
    ]
    kept = parse_event(event("media_kept", **{**REPLY, "text": "Stop", "media": files}))
    assert isinstance(kept, MediaKept)
    assert (kept.sender, kept.text, kept.opt_out) == ("17743199144", "Stop", "stop")
    assert kept.media == files


@pytest.mark.parametrize("name, subscribed", [("subscribed", True), ("unsubscribed", False)])
def test_opt_ins_and_opt_outs_at_skycore(name: str, subscribed: bool) -> None:
    parsed = parse_event(event(f"number_{name}", mobile="17743199144"))
    assert isinstance(parsed, SubscriptionEvent)
    assert (parsed.number, parsed.subscribed) == ("17743199144", subscribed)


@pytest.mark.parametrize("name", ["mms_opened", "mms_saved", "unknown", "unparsed", "x.y"])
def test_other_types_are_plain_events(name: str) -> None:
    parsed = parse_event(event(name, segments=3))
    assert type(parsed) is Event
    assert parsed.data["segments"] == 3


def test_a_new_step_of_a_message_is_a_message_event() -> None:
    parsed = parse_event(event("message_scheduled", **SENT_TO, message_status="scheduled"))
    assert isinstance(parsed, MessageEvent)
    assert parsed.status == "scheduled"


def test_unknown_fields_and_extensions_are_kept() -> None:
    parsed = parse_event({**event("sms_sent", segments=3), "traceparent": "00-1", "replaces": "u"})
    assert parsed.data["segments"] == 3
    assert (parsed.envelope["traceparent"], parsed.envelope["replaces"]) == ("00-1", "u")


@pytest.mark.parametrize(
    "body",
    [
        "no JSON",
        "[]",
        "null",
        "{}",
        '{"id": "1", "type": 5, "time": "2026-11-22T18:17:25Z", "data": {}}',
        '{"id": "1", "type": "t", "time": "yesterday", "data": {}}',
        '{"id": "1", "type": "t", "time": "2026-11-22T18:17:25Z", "data": "text"}',
    ],
)
def test_what_is_not_an_event_is_refused(body: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - JSONDecodeError is one
        parse_event(body)
