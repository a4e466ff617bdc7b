from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from skycore import catalogue
from skycore.catalogue.statuses import (
    all_postback_codes,
    event_meaning,
    find_postback_code,
    has_unknown_status,
    reported_status,
    status_step,
)


@pytest.mark.parametrize("code", all_postback_codes(), ids=lambda code: code.code)
def test_a_code_alone_means_what_the_catalogue_says(code: Any) -> None:
    assert event_meaning(code, {}, is_json=False) == (code.event, code.outcome, code.terminal)
    assert status_step(code.code, None) == code.step


@pytest.mark.parametrize("code", ["N102", "N202"])
@pytest.mark.parametrize(
    ("status", "fails", "step"),
    [
        (None, False, "delivered"),
        ("Message Sent/Delivered", False, "delivered"),
        ("Delivered", False, "delivered"),
        ("delivered to handset", False, "delivered"),
        ("Message Sent/Retrieved", False, "delivered"),
        ("Message Sent/DELIVRD", False, "delivered"),
        ("Message Sent/Partially Delivered", False, "delivered"),
        ("Message Sent/UNDELIV", True, "failed"),
        ("message sent / not-supported", True, "failed"),
        ("Message Sent/Unreachable", True, "failed"),
        ("Message Sent/Unrecognized", True, "failed"),
        ("Message Sent/EXPIRD", True, "expired"),
        ("Message Sent", False, "delivered"),
        ("Message Sent/Expired", True, "expired"),
        ("Expired", True, "expired"),
        ("Message Sent/Rejected", True, "failed"),
        ("REJECTED", True, "failed"),
        ("Message Sent/Failed", True, "failed"),
        ("Message Failed", True, "failed"),
        ("Message Sent/NotSupported", True, "failed"),
        ("Not Supported", True, "failed"),
        ("Message Sent/Undelivered", True, "failed"),
        ("Message Sent/Parked", False, "delivered"),
    ],
)
def test_status_beats_a_delivered_code(
    code: str, status: str | None, fails: bool, step: str
) -> None:
    known = find_postback_code(code)
    assert known
    event, outcome, terminal = event_meaning(known, {"status": status}, is_json=False)
    kind = "mms" if code == "N102" else "sms"
    assert event == (f"{kind}_delivery_failed" if fails else f"{kind}_delivered")
    assert (outcome, terminal) == ("failure" if fails else "success", True)
    assert status_step(code, status) == step


@pytest.mark.parametrize(
    ("code", "status", "event", "outcome", "step"),
    [
        ("N201", "Message Sent", "sms_sent", "info", "sent"),
        ("N201", "Sent", "sms_sent", "info", "sent"),
        ("N201", "Message Sent/Delivered", "sms_delivered", "success", "delivered"),
        ("N201", "Message Sent/Failed", "sms_delivery_failed", "failure", "failed"),
        ("N101", "Message Sent/Expired", "mms_delivery_failed", "failure", "expired"),
        ("N101", "Queued", "mms_sent", "info", "sent"),
        ("N103", "Expired", "mms_expired", "failure", "expired"),
        ("E102", "Message Sent/Expired", "mms_delivery_failed", "failure", "expired"),
        ("E202", "Message Sent/Expired", "sms_delivery_failed", "failure", "expired"),
        ("E202", "Message Sent/Failed", "sms_delivery_failed", "failure", "failed"),
        ("N201", "UNDELIV", "sms_delivery_failed", "failure", "failed"),
        ("N202", "Message Sent/Deferred", "sms_sent", "info", "sent"),
        ("N102", "Indeterminate", "mms_sent", "info", "sent"),
        ("E202", "Message Sent/Forwarded", "sms_sent", "info", "sent"),
        ("E101", "buffered", "mms_sent", "info", "sent"),
        ("E999", "Deferred", "mms_sent", "info", "sent"),
        ("E202", "Message Sent/Delivered", "sms_delivery_failed", "failure", "failed"),
        ("E201", "Message Failed", "sms_send_failed", "failure", "failed"),
        ("E101", "Expired", "mms_send_failed", "failure", "expired"),
        ("N103", "Failed", "mms_expired", "failure", "expired"),
        ("N101", "Message Sent/Retrieved", "mms_delivered", "success", "delivered"),
        ("N502", "Message Sent/Failed", "ddm_delivered", "success", None),
        ("N501", "Deferred", "ddm_sent", "info", None),
        ("E502", "Message Sent/Expired", "ddm_delivery_failed", "failure", None),
        ("N003", "Failed", "mms_saved", "success", None),
        ("E012", "Expired", "send_audio_encoding_failed", "failure", "failed"),
    ],
)
def test_status_and_other_codes(
    code: str, status: str, event: str, outcome: str, step: str | None
) -> None:
    known = find_postback_code(code)
    assert known
    said = event_meaning(known, {"status": status}, is_json=False)
    assert (said.event, said.outcome) == (event, outcome)
    assert status_step(code, status) == step


@pytest.mark.parametrize(
    ("code", "status", "extra", "event", "step"),
    [
        ("N102", "Retrieved", {"celly": "20"}, "mms_delivered", "delivered"),
        ("N102", None, {"celly": "20"}, "mms_delivered", "delivered"),
        ("N102", None, {"celly": "10"}, "mms_sent", "sent"),
        ("N102", None, {"celly": "9"}, "mms_sent", "sent"),
        ("N102", "Retrieved", {"celly": "30"}, "mms_delivery_failed", "expired"),
        ("N102", "Rejected", {"celly": "35"}, "mms_delivery_failed", "failed"),
        ("N102", "Rejected", {"celly": " 20 "}, "mms_delivered", "delivered"),
        ("N102", "Retrieved", {"celly": "035"}, "mms_delivery_failed", "failed"),
        ("N202", None, {"protocol": "2", "status": "0410"}, "sms_delivery_failed", "failed"),
        ("N202", None, {"protocol": "02", "status": "000"}, "sms_sent", "sent"),
        ("N102", "Expired", {"celly": "77"}, "mms_delivery_failed", "expired"),
        ("N202", None, {"protocole": "3", "status": "2"}, "sms_delivery_failed", "failed"),
        ("N202", None, {"protocol": "3", "status": "1"}, "sms_delivered", "delivered"),
        ("N201", None, {"protocol": "4", "status": "0"}, "sms_sent", "sent"),
        ("N201", None, {"protocol": "2", "status": "4"}, "sms_delivered", "delivered"),
        ("N201", None, {"protocol": "2", "status": "410"}, "sms_delivery_failed", "failed"),
        ("N202", None, {"protocol": "3", "status": "4"}, "sms_sent", "sent"),
        ("E202", None, {"protocol": "2", "status": "811"}, "sms_delivery_failed", "expired"),
        ("N202", None, {"protocol": "9", "status": "9"}, "sms_delivered", "delivered"),
        ("N202", None, {"celly": ["20", "30"]}, "sms_delivered", "delivered"),
        ("N501", None, {"celly": "30"}, "ddm_sent", None),
    ],
)
def test_status_attributes_until_2014(
    code: str, status: str | None, extra: dict[str, Any], event: str, step: str | None
) -> None:
    named = {f"status_{name}": value for name, value in extra.items()}
    known = find_postback_code(code)
    assert event_meaning(known, {"status": status}, named, is_json=False).event == event
    assert status_step(code, status, named) == step


@pytest.mark.parametrize(
    ("code", "status", "extra", "unknown"),
    [
        ("N202", "Message Sent/Parked", {}, True),
        ("N202", "Parked", {"status_celly": "20"}, False),
        ("N202", None, {"status_celly": "77"}, True),
        ("N202", "Message Sent/Delivered", {}, False),
        ("N201", "Message Sent", {}, False),
        ("N202", None, {}, False),
        ("N202", " / ", {}, False),
        ("N202", "Message Sent/Failed/", {}, True),
        ("N202", "Message Sent/...", {}, True),
        ("N202", "\u5931\u8d25", {}, True),
        ("N202", None, {"status_status": "2"}, True),
        ("N202", None, {"status_protocol": "3"}, True),
        ("N202", None, {"status_celly": ["20", "30"]}, True),
        ("N202", "Delivered", {"status_status": "2"}, False),
        ("N202", None, {"status_celly": "035"}, False),
        ("N202", None, {"status_celly": " "}, False),
        ("N501", "Parked", {}, False),
        ("N003", "Encoded", {}, False),
        ("N999", "Parked", {}, False),
    ],
)
def test_an_unknown_status_word_is_recognised(
    code: str, status: str | None, extra: dict[str, Any], unknown: bool
) -> None:
    assert has_unknown_status(code, status, extra) is unknown


def test_every_row_of_the_status_words() -> None:
    with (Path(catalogue.__path__[0]) / "status_words.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["form"] for row in rows} == {"word", "celly", "protocol"}
    assert {row["step"] for row in rows} == {"", "sent", "delivered", "expired", "failed"}
    for row in rows:
        pair = {"protocol": row["value"].split("|")[0], "status": row["value"].split("|")[-1]}
        attributes = pair if row["form"] == "protocol" else {row["form"]: row["value"]}
        extra = {f"status_{name}": value for name, value in attributes.items()}
        status = row["value"].upper() if row["form"] == "word" else None
        assert reported_status(status, extra) == (row["step"] or None, True), row
    delivered = [
        row["value"] for row in rows if row["form"] == "protocol" and row["step"] == "delivered"
    ]
    assert delivered == ["2|4", "3|1"]


@pytest.mark.parametrize(
    ("fields", "is_json", "event"),
    [
        ({"video_name": "v"}, False, "mobile_video_encoding_failed"),
        ({"mms_id": "1"}, False, "content_validation_failed"),
        ({"video_name": "v"}, True, "content_validation_failed"),
    ],
)
def test_e011_has_two_meanings(fields: dict[str, str], is_json: bool, event: str) -> None:
    assert event_meaning(find_postback_code("E011"), fields, is_json=is_json).event == event


def test_an_unknown_code_means_nothing() -> None:
    assert event_meaning(None, {"status": "Delivered"}, is_json=False) == ("unknown", None, None)
    assert status_step("N999", "Delivered") is None
    assert status_step(None, None) is None


def test_the_catalogue_agrees_with_itself() -> None:
    for code in all_postback_codes():
        assert (code.outcome == "failure") == (
            code.code.startswith("E") or code.code in {"N103", "N802", "N803", "N811"}
        ), code.code
        assert not (code.event.startswith("ddm") and (code.step or code.terminal)), code.code
        assert code.step is None or code.kind in {"receipt", "encode"}, code.code
