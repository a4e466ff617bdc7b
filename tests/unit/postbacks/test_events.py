import json
from base64 import b64decode
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from skycore.catalogue.fields import all_postback_fields
from skycore.postbacks.cloudevent import MAX_VALUE_BYTES, data_names, event_json, message_attributes
from skycore.postbacks.event import Event, build_event, build_step_event, unparsed_event
from skycore.postbacks.parser import read_postback

Read = Callable[[str | bytes], Event]
Valid = Callable[[dict[str, Any]], None]
SOURCE = "urn:skycore:test"
RECEIPT = (
    "<POSTBACK><ORIGIN>SMS_MT</ORIGIN><CODE>N202</CODE><TO>17743199144</TO><FROM>60856</FROM>"
    "<TRACKINGID>SMS_1</TRACKINGID></POSTBACK>"
)


def test_the_envelope_has_every_element(read: Read, valid: Valid) -> None:
    envelope = build_event(
        read(RECEIPT), source=SOURCE, message_id="m1", client_reference="order-1", raw=b"x"
    )
    valid(envelope)
    data = envelope.pop("data")
    assert envelope == {
        "specversion": "1.0",
        "id": read(RECEIPT).id,
        "source": SOURCE,
        "type": "skycore.sms_delivered",
        "subject": "SMS_1",
        "time": "2026-11-22T10:41:15.250000Z",
        "datacontenttype": "application/json",
        "dataschema": "urn:skycore:schema/postback-event-v1.json",
    }
    assert {name: value for name, value in data.items() if value is not None} == {
        "event": "sms_delivered",
        "origin": "SMS_MT",
        "code": "N202",
        "outcome": "success",
        "terminal": True,
        "tracking_id": "SMS_1",
        "message_id": "m1",
        "client_reference": "order-1",
        "to": "17743199144",
        "from": "60856",
        "received_at": "2026-11-22T10:41:15.250000Z",
        "extra": {},
    }
    assert {field.name for field in all_postback_fields()} < set(data) == set(data_names())


@pytest.mark.parametrize(("ours", "told"), [("ours", "ours"), (None, "theirs")])
def test_a_reference_that_skycore_sent_back(read: Read, ours: str | None, told: str) -> None:
    event = read('{"code": "N202", "client-reference": "theirs"}')
    assert (
        build_event(event, source=SOURCE, client_reference=ours)["data"]["client_reference"] == told
    )


def test_an_event_that_replaces_another(read: Read, valid: Valid) -> None:
    envelope = build_event(replace(read(RECEIPT), replaces="u1"), source=SOURCE)
    valid(envelope)
    assert envelope["replaces"] == "u1"


def test_an_event_from_the_report(read: Read, valid: Valid) -> None:
    envelope = build_event(read(RECEIPT), source=SOURCE, from_report=True)
    valid(envelope)
    assert envelope["data"]["from_report"] is True


def test_an_unparsed_event(now: datetime, valid: Valid) -> None:
    body = bytes(range(256))
    event = unparsed_event(body, now, "why")
    assert (event.unparsed, event.status_step, event.data.get("raw")) == (True, None, None)
    envelope = build_event(event, source=SOURCE, raw=body)
    valid(envelope)
    assert envelope["data"]["error"] == "why"
    assert b64decode(envelope["data"]["raw"]) == body


def test_no_content_in_a_repr(read: Read) -> None:
    event = read(
        "<POSTBACK><CODE>N211</CODE><FROM>17743199144</FROM><TEXT>secret</TEXT></POSTBACK>"
    )
    assert "secret" not in repr(event)
    assert "9144" not in repr(event)


@pytest.mark.parametrize("step", ["accepted", "rejected", "unknown", "expired", "cancelled"])
def test_steps_of_ours(step: Any, now: datetime, valid: Valid) -> None:
    envelope = build_step_event(
        step,
        source=SOURCE,
        message_id="m1",
        tracking_id=None,
        to="17743199144",
        sender="60856",
        client_reference=None,
        code="E110" if step == "rejected" else None,
        time=now,
        outcome="failure",
        terminal=True,
        status_details="why",
    )
    valid(envelope)
    assert envelope["id"] == f"m1.{step}"
    assert envelope["type"] == f"skycore.message_{step}"
    assert envelope["subject"] == "m1"
    assert envelope["data"]["status"] == step
    assert envelope["data"]["from"] == "60856"
    assert list(envelope["data"]) == list(data_names())


@pytest.mark.parametrize(
    ("fields", "attributes"),
    [
        ({}, {"type": "skycore.sms_delivered", "code": "N202", "outcome": "success"}),
        ({"origin": "SMS_MT", "to": "1774"}, {"origin": "SMS_MT", "to": "1774"}),
        ({"from": "x" * 100}, {"from": "x" * 100}),
        ({"from": "x" * 101}, {}),
        ({"from": "a\nb", "to": "a\u200bb"}, {}),
        ({"from": "Zoë"}, {"from": "Zoë"}),
        ({"code": "N999", "from": ""}, {"type": "skycore.unknown", "code": "N999"}),
    ],
)
def test_attributes_for_filters(
    read: Read, fields: dict[str, str], attributes: dict[str, str]
) -> None:
    event = read(json.dumps({"code": "N202", **fields}))
    got = message_attributes(build_event(event, source=SOURCE))
    assert {name: got[name] for name in attributes} == attributes
    assert set(got) - set(attributes) <= {"type", "code", "outcome"}


K = 1024
LONG = {
    "text": json.dumps({"code": "N211", "from": "1774", "message-text": "a" * 200 * K}),
    "emoji": json.dumps({"code": "N211", "message-text": "😀" * 50 * K}, ensure_ascii=False),
    "quotes": json.dumps({"code": "N211", "message-text": '"' * 100 * K}),
    "tracking id": json.dumps({"code": "N202", "tracking-id": "t" * 200 * K}),
    "two texts": json.dumps(
        {"code": "N211", "message-text": "a" * 100 * K, "keyword": "b" * 100 * K}
    ),
    "files": json.dumps({"code": "N401", "content": [{"file": "u" * 25} for _ in range(6000)]}),
    "extra": json.dumps({"code": "N211"} | {f"new-{i:05}": "v" * 3 for i in range(9000)}),
    "extra list": json.dumps({"code": "N211", "new": ["v" * 10] * 15_000}),
    "names": json.dumps({"code": "N211"} | {f"{i:05}" + "n" * 90: "v" for i in range(2000)}),
    "origin": json.dumps({"code": "N211", "origin": "o" * 200 * K}),
    "code": json.dumps({"code": "c" * 200 * K}),
    "unparsed": "x" * 256 * K,
}


@pytest.mark.parametrize("name", LONG)
def test_long_values_are_cut(now: datetime, valid: Valid, name: str) -> None:
    body = LONG[name].encode()
    (event,) = read_postback(body, now)
    before = json.dumps(event.data)
    envelope = build_event(event, source=SOURCE, message_id="m1", raw=body)
    assert json.dumps(event.data) == before
    valid(envelope)
    assert envelope["data"]["truncated"] is True
    assert envelope["data"]["message_id"] == "m1"
    assert envelope["data"]["received_at"] == "2026-11-22T10:41:15.250000Z"
    size = len(event_json(envelope).encode())
    assert 0.9 * MAX_VALUE_BYTES < size < MAX_VALUE_BYTES + 4 * K
    assert json.loads(event_json(envelope)) == envelope
    if event.unparsed:
        assert body.startswith(b64decode(envelope["data"]["raw"], validate=True))


@pytest.mark.parametrize("length", [126 * K, 129 * K])
def test_where_values_are_cut(read: Read, length: int) -> None:
    event = read(json.dumps({"code": "N211", "message-text": "a" * length}))
    data = build_event(event, source=SOURCE)["data"]
    assert (data["truncated"] is True) is (length > MAX_VALUE_BYTES)
    assert (len(data["text"]) == length) is (length < MAX_VALUE_BYTES)


def test_only_what_is_long_is_cut(read: Read) -> None:
    members = {"code": "N211", "keyword": "k" * 9000, "message-text": "é" * 99_000}
    event = read(json.dumps(members, ensure_ascii=False))
    data = build_event(event, source=SOURCE)["data"]
    assert len(data["keyword"]) == 9000
    assert set(data["text"]) == {"é"}
