"""The corpus in `postbacks/`: one body as it arrives, and beside it the events that it tells.

`name.xml`, `.json`, `.txt` or `.bin` is the body, `name.expected.json` the list of events for a
body that arrived at RECEIVED_AT at a stack called test.
"""

import json
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from skycore.catalogue.statuses import all_postback_codes
from skycore.postbacks.cloudevent import data_names, event_json, message_attributes
from skycore.postbacks.event import build_event
from skycore.postbacks.parser import read_postback
from tests.event_schema import STRICT

CORPUS = Path(__file__).with_name("postbacks")
VALIDATOR = Draft202012Validator(STRICT)
RECEIVED_AT = datetime(2026, 11, 22, 10, 41, 15, tzinfo=UTC)
SOURCE = "urn:skycore:test"

BODIES = {
    path.stem: path for path in sorted(CORPUS.iterdir()) if not path.name.endswith(".expected.json")
}


def told(body: bytes) -> list[dict[str, Any]]:
    return [
        build_event(event, source=SOURCE, raw=body) for event in read_postback(body, RECEIVED_AT)
    ]


@cache
def expected(name: str) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = json.loads((CORPUS / f"{name}.expected.json").read_text("utf-8"))
    return events


def every_event() -> list[dict[str, Any]]:
    return [event for name in BODIES for event in expected(name)]


@pytest.mark.parametrize("name", BODIES)
def test_a_body_tells_its_events(name: str) -> None:
    events = told(BODIES[name].read_bytes())
    assert events == expected(name)
    for event in events:
        VALIDATOR.validate(event)
        assert json.loads(event_json(event)) == event
        assert message_attributes(event)["type"] == event["type"]


def test_every_expected_file_has_a_body() -> None:
    assert {
        path.name.removesuffix(".expected.json") for path in CORPUS.glob("*.expected.json")
    } == (set(BODIES))


def test_every_code_is_in_the_corpus() -> None:
    assert {event["data"]["code"] for event in every_event()} >= {
        code.code for code in all_postback_codes()
    }


def test_every_event_is_in_the_corpus() -> None:
    events = {code.event for code in all_postback_codes()} | {"unknown", "unparsed"}
    assert {event["data"]["event"] for event in every_event()} == events


def test_every_field_is_in_the_corpus() -> None:
    filled = {
        name
        for event in every_event()
        for name, value in event["data"].items()
        if value not in (None, {})
    }
    ours = {"message_id", "message_status", "media", "from_report"}
    ours |= {"resolved_by", "reason", "truncated"}
    assert set(data_names()) - filled == ours


@pytest.mark.parametrize(
    "prefix",
    ["form-xml", "form-XML", "form-encoded", "form-html", "form-not", "multipart", "html", "xml-"],
)
def test_one_notification_wrapped_otherwise_is_one_event(prefix: str) -> None:
    ids = {
        expected(name)[0]["id"]
        for name in BODIES
        if name.startswith(prefix) and "unknown-code" not in name
    }
    assert ids == {expected("sms-delivered-n202")[0]["id"]}


def test_a_v1_and_a_v2_copy_of_a_delivery_report_are_one_event() -> None:
    for v1, v2 in [
        ("sms-sent-n201", "v2-sms-sent-n201"),
        ("sms-delivered-n202", "v2-sms-delivered-n202"),
        ("sms-send-failed-e201", "v2-sms-send-failed-e201"),
        ("sms-delivery-failed-e202-failed", "v2-sms-rejected-e202"),
        ("mms-sent-n101", "v2-mms-sent-n101"),
        ("mms-delivered-n102", "v2-mms-delivered-n102-trackingid"),
        ("mms-expired-n103", "v2-mms-expired-n103"),
        ("mms-send-failed-e101-no-timestamp", "v2-mms-send-failed-e101"),
        ("mms-delivery-failed-e102-rejected", "v2-mms-rejected-e102"),
    ]:
        assert expected(v1)[0]["id"] == expected(v2)[0]["id"], v1


def test_different_notifications_under_one_id_are_different_events() -> None:
    for names in [
        ("same-id-mo-first", "same-id-mo-other-person", "same-id-mo-part-two"),
        ("same-id-mms-mo-first", "same-id-mms-mo-ten-months-earlier"),
        ("status-n202-deferred", "status-n202-delivrd"),
        ("mms-n101-as-mms", "mms-n101-as-sms-after-mms"),
        ("legacy-status-protocol-n201-accepted", "legacy-status-protocol-n201-receipt"),
        ("sms-delivery-failed-e202-failed", "sms-delivery-failed-e202-expired"),
    ]:
        ids = {event["id"] for name in names for event in expected(name)}
        assert len(ids) == len(names), names


def test_a_v1_and_a_v2_copy_of_an_inbound_message_with_one_id_are_one_event() -> None:
    assert expected("same-id-mo-v2")[0]["id"] == expected("same-id-mo-first")[0]["id"]


def test_an_impossible_time_is_not_the_events_time() -> None:
    arrived = "2026-11-22T10:41:15Z"
    for name in ("time-a-year-ahead", "time-unset"):
        (event,) = expected(name)
        assert (event["time"], event["data"]["timestamp"] != arrived) == (arrived, True)
