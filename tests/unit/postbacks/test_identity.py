import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skycore.client.numbers import received_digits
from skycore.postbacks.event import Event
from skycore.postbacks.identity import event_id, tracking_key, tracking_key_of_event_id
from skycore.postbacks.parser import read_postback

Read = Callable[[str | bytes], Event]
NOW = datetime(2026, 11, 22, 10, 41, 15, tzinfo=UTC)

RECEIPT = {
    "ORIGIN": "SMS_MT",
    "CODE": "N202",
    "STATUS": "Message Sent/Delivered",
    "FROM": "60856",
    "TO": "17743199144",
    "TRACKINGID": "U01TXzkwNDE3MzM=",
    "TIMESTAMP": "2019-03-08T14:22:05-05:00",
}
INBOUND = {
    "ORIGIN": "SMS_MO",
    "CODE": "N211",
    "FROM": "17743199144",
    "TO": "60856",
    "TEXT": "Hello",
    "RECEIVED": "2019-03-08T14:22:05-05:00",
}
OPT_IN = {
    "ORIGIN": "SUB",
    "CODE": "N301",
    "MOBILE": "17743199144",
    "CAMPAIGNID": "4",
    "TIMESTAMP": "2019-03-08T14:22:05-05",
}
EMAIL = {"ORIGIN": "EMAIL_SUB", "CODE": "N303", "EMAIL": "jo@example.com", "CAMPAIGNID": "4"}
ENCODED = {"ORIGIN": "MMS_MT", "CODE": "E002", "MMSID": "35", "AUDIONAME": "a.mp3"}
PASS = {
    "STATUSCODE": "N801",
    "PASSDATAID": "8",
    "SERIALNUMBER": "9",
    "TIMESTAMP": "2019-03-08T14:22:05-05:00",
}
WALLET = {
    "origin": "wallet",
    "status-code": "N804",
    "pass-id": "1",
    "install-id": "i1",
    "timestamp": "2021-03-08T14:22:05Z",
}


def xml(fields: dict[str, str]) -> bytes:
    inside = "".join(f"<{name}>{value}</{name}>" for name, value in fields.items())
    return f"<POSTBACK>{inside}</POSTBACK>".encode()


def event(fields: dict[str, str], **changes: str | None) -> Event:
    changed: dict[str, Any] = {**fields, **changes}
    (one,) = read_postback(
        xml({name: value for name, value in changed.items() if value is not None}), NOW
    )
    return one


@pytest.mark.parametrize(
    ("fields", "changes"),
    [
        (RECEIPT, {"STATUS": "Delivered"}),
        (RECEIPT, {"TO": "+1 (774) 319-9144"}),
        (RECEIPT, {"TIMESTAMP": "2019-03-08T19:22:05Z"}),
        (RECEIPT, {"TIMESTAMP": None, "FROM_MASK": "ACME", "NEW": "1"}),
        (RECEIPT, {"TRACKINGID": " \n U01TXzkwNDE3MzM=\n"}),
        (RECEIPT, {"CODE": "n202", "ORIGIN": "sms_mt"}),
        ({**RECEIPT, "STATUS": "Message Sent/Failed"}, {"STATUS": "Rejected"}),
        (INBOUND, {"RECEIVED": "2019-03-08 14:22:05-05"}),
        (INBOUND, {"FROM": "+17743199144", "TEXT": "\n   Hello\n  "}),
        ({**INBOUND, "TRANSACTIONID": "511"}, {"TEXT": "Hell"}),
        (OPT_IN, {"TIMESTAMP": "2019-03-08T19:22:05Z", "SOURCE": "WEB"}),
        ({**OPT_IN, "CAMPAIGNID": None, "CAMPAIGNREF": "4"}, {"CAMPAIGNREF": None, "SUBID": "4"}),
        (PASS, {"TIMESTAMP": "2019-03-08T19:22:05Z"}),
        ({**RECEIPT, "TO": None}, {"TIMESTAMP": "2019-03-08T19:22:05Z"}),
        ({**RECEIPT, "CODE": "N999"}, {"TIMESTAMP": "2019-03-08T19:22:05Z"}),
    ],
)
def test_one_notification_in_two_forms(fields, changes) -> None:
    assert event(fields).id == event(fields, **changes).id


@pytest.mark.parametrize(
    ("fields", "changes"),
    [
        (RECEIPT, {"TO": "17743199145"}),
        (RECEIPT, {"TRACKINGID": "u01TXzkwNDE3MzM="}),
        (RECEIPT, {"CODE": "N201"}),
        (RECEIPT, {"ORIGIN": "MMS_MT"}),
        (RECEIPT, {"STATUS": "Message Sent/Expired"}),
        ({**RECEIPT, "CODE": "N201", "STATUS": "Message Sent"}, {"STATUS": "Delivered"}),
        (INBOUND, {"TEXT": "hello"}),
        (INBOUND, {"RECEIVED": "2019-03-08T14:22:06-05:00"}),
        ({**INBOUND, "TRANSACTIONID": "511"}, {"TRANSACTIONID": "512"}),
        (OPT_IN, {"TIMESTAMP": "2019-03-08T14:22:06-05"}),
        (OPT_IN, {"CODE": "N302"}),
        (OPT_IN, {"CAMPAIGNID": "5"}),
        (EMAIL, {"EMAIL": "Jo@example.com"}),
        (EMAIL, {"CODE": "N304"}),
        (ENCODED, {"AUDIONAME": "b.mp3"}),
        (ENCODED, {"MMSID": "36"}),
        (ENCODED, {"CODE": "E012"}),
        (PASS, {"SERIALNUMBER": "10"}),
        ({**RECEIPT, "TO": None}, {"STATUS": "Delivered"}),
        ({**RECEIPT, "TO": None}, {"NEW": "1"}),
        ({**RECEIPT, "CODE": "N999"}, {"STATUS": "Delivered"}),
    ],
)
def test_two_notifications(fields, changes) -> None:
    assert event(fields).id != event(fields, **changes).id


def test_two_devices_of_one_pass_are_two_events(read: Read) -> None:
    other = {**WALLET, "install-id": "i2"}
    assert read(json.dumps(WALLET)).id != read(json.dumps(other)).id


@pytest.mark.parametrize(
    ("fields", "dated"),
    [
        (RECEIPT, True),
        ({**RECEIPT, "TIMESTAMP": None}, True),
        ({**RECEIPT, "TRACKINGID": None}, True),
        ({**RECEIPT, "TRACKINGID": None, "TIMESTAMP": None}, False),
        ({**RECEIPT, "TRACKINGID": None, "TIMESTAMP": "2012-03-08 14:22:05"}, True),
        (INBOUND, True),
        ({**INBOUND, "RECEIVED": None}, False),
        ({**INBOUND, "RECEIVED": None, "TRANSACTIONID": "5"}, True),
        (OPT_IN, True),
        ({**OPT_IN, "TIMESTAMP": None}, False),
        (EMAIL, False),
        ({**EMAIL, "TIMESTAMP": "2019-03-08T14:22:05Z"}, True),
        (ENCODED, True),
        ({"ORIGIN": "MMS_MT", "CODE": "N003", "MMSID": "35"}, True),
        ({"ORIGIN": "MMS_MT", "CODE": "N013"}, False),
        (PASS, True),
        ({"CODE": "N999", "NEW": "1"}, False),
    ],
)
def test_dated(fields, dated: bool) -> None:
    assert event(fields).has_own_identity is dated


def test_what_is_not_dated_is_told_by_its_first_arrival() -> None:
    first = event(EMAIL)
    again = event(EMAIL, EMAIL=" jo@example.com ")
    assert first.content_digest == again.content_digest
    seen = NOW
    assert first.with_first_seen(seen).id == again.with_first_seen(seen).id
    assert first.with_first_seen(seen).id != first.with_first_seen(seen + timedelta(minutes=30)).id
    assert first.with_first_seen(seen).id not in {
        first.id,
        event(EMAIL, CODE="N304").with_first_seen(seen).id,
    }
    assert first.with_first_seen(seen).content_digest == first.content_digest
    dated = event(RECEIPT)
    assert dated.with_first_seen(seen) is dated


def test_unparsed_bodies_are_told_by_their_bytes(read: Read) -> None:
    assert read("junk").id == read("junk").id
    assert read("junk").id != read("junk ").id


def test_the_time_of_arrival_does_not_matter() -> None:
    later = read_postback(xml(RECEIPT), NOW + timedelta(minutes=5))
    assert later[0].id == event(RECEIPT).id


@settings(max_examples=60, deadline=None)
@given(st.permutations(list(RECEIPT)), st.sampled_from(["", "\n  "]), st.data())
def test_order_and_form_do_not_matter(names: list[str], blank: str, data: st.DataObject) -> None:
    upper = data.draw(st.booleans())
    inside = blank.join(
        f"<{name if upper else name.lower()}>{blank}{RECEIPT[name]}{blank}"
        f"</{name if upper else name.lower()}>"
        for name in names
    )
    (from_xml,) = read_postback(f"<postback>{inside}</postback>".encode(), NOW)
    hyphenated = {"TRACKINGID": "tracking-id"}
    members = {hyphenated.get(name, name.lower()): RECEIPT[name] for name in names}
    (from_json,) = read_postback(json.dumps(members).encode(), NOW)
    assert from_xml.id == from_json.id == event(RECEIPT).id


@pytest.mark.parametrize(
    ("number", "told"),
    [
        ("17743199144", "17743199144"),
        ("+1 (774) 319-9144", "17743199144"),
        ("(774) 319.9144", "7743199144"),
        ("60856", "60856"),
        ("ACME", None),
        ("1-800-FLOWERS", None),
        ("", None),
        (None, None),
        ("1" * 41, None),
        ("١٢٣", None),
    ],
)
def test_received_digits(number: str | None, told: str | None) -> None:
    assert received_digits(number) == told


@pytest.mark.parametrize(
    ("tracking_id", "kept"),
    [("SMS_1", True), ("a/b=+é", True), ("x" * 256, True), ("x" * 257, False), ("é" * 129, False)],
)
def test_tracking_keys(tracking_id: str, kept: bool) -> None:
    key = tracking_key(tracking_id)
    assert (key == tracking_id) is kept
    assert kept or (key.startswith("sha256:") and len(key) == 71)
    found = event(RECEIPT, TRACKINGID=tracking_id)
    assert tracking_key_of_event_id(found.id) == key
    assert len(found.id) < 400


@pytest.mark.parametrize(
    "other",
    ["", ".", "a.b", "0" * 32, "_w." + "0" * 32, "A." + "0" * 32, "é." + "0" * 32, "YQ." + "G" * 32,
     "YQ=." + "0" * 32, "YQ." + "0" * 33, "YQ." + "0" * 32 + "\n", "A" * 10_000 + "." + "0" * 32],
)  # fmt: skip
def test_no_tracking_key_in_other_ids(other: str) -> None:
    assert tracking_key_of_event_id(other) is None


@given(st.text(min_size=1))
def test_the_tracking_key_is_in_the_event_id(tracking_id: str) -> None:
    assert tracking_key_of_event_id(event_id(tracking_id, "0" * 32)) == tracking_key(tracking_id)


@given(st.text())
def test_any_text_is_no_reason_to_fail(text: str) -> None:
    tracking_key_of_event_id(text)
    tracking_key(text)
