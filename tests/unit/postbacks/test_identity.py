import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skycore.phone_numbers import received_digits
from skycore.postbacks.event import Event
from skycore.postbacks.identity import event_id, identify, tracking_key, tracking_key_of_event_id
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
MMS = {
    "ORIGIN": "MMS_MO",
    "CODE": "N401",
    "FROM": "17743199144",
    "TO": "60856",
    "SUBJECT": "Look",
    "TRACKINGID": "MMS_MO_815",
    "TIMESTAMP": "2019-03-08T14:22:05-05:00",
    "FILE": "https://skycore.example/a.jpg",
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
        (INBOUND, {"FROM": "+17743199144"}),
        ({**INBOUND, "TEXT": "a\nb"}, {"TEXT": "a\r\nb"}),
        ({**INBOUND, "TEXT": "a\nb"}, {"TEXT": "a\rb"}),
        ({**INBOUND, "TRANSACTIONID": "511"}, {"RECEIVED": "2019-03-08 19:22:05.123456Z"}),
        ({**INBOUND, "TRANSACTIONID": "511"}, {"FROM": "tel:+1-774-319-9144/TYPE=PLMN"}),
        ({**INBOUND, "TRANSACTIONID": "511", "RECEIVED": "soon"}, {"RECEIVED": " soon "}),
        ({**RECEIPT, "TO": "5215562000000"}, {"TO": "+52 55 6200 0000"}),
        ({**RECEIPT, "CODE": "N101", "SENTAS": "SMS"}, {"STATUSDETAILS": "no MMS"}),
        ({**RECEIPT, "CODE": "N502", "HANDSET": "motol7c"}, {"TIMESTAMP": None}),
        (MMS, {"TIMESTAMP": "2019-03-08T14:22:05.5-05:00"}),
        (OPT_IN, {"TIMESTAMP": "2019-03-08T19:22:05Z", "SOURCE": "WEB"}),
        ({**OPT_IN, "CAMPAIGNID": None, "CAMPAIGNREF": "4"}, {"CAMPAIGNREF": None, "SUBID": "4"}),
        (PASS, {"TIMESTAMP": "2019-03-08T19:22:05Z"}),
        ({**RECEIPT, "TO": None}, {"TIMESTAMP": "2019-03-08T19:22:05Z"}),
        ({**RECEIPT, "CODE": "N999"}, {"TIMESTAMP": "2019-03-08T19:22:05Z"}),
    ],
)
def test_one_notification_in_two_forms(fields: Any, changes: dict[str, Any]) -> None:
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
        (RECEIPT, {"STATUS": "Message Sent/Deferred"}),
        ({**RECEIPT, "STATUS": "Failed"}, {"STATUS": "Expired"}),
        ({**RECEIPT, "CODE": "E202", "STATUS": "Expired"}, {"STATUS": "Rejected"}),
        ({**RECEIPT, "CODE": "E202", "STATUS": "Deferred"}, {"STATUS": "Failed"}),
        ({**RECEIPT, "CODE": "N101", "SENTAS": "MMS"}, {"SENTAS": "SMS"}),
        ({**RECEIPT, "CODE": "N101"}, {"STATUSDETAILS": "no MMS"}),
        ({**RECEIPT, "CODE": "N502", "HANDSET": "Default"}, {"HANDSET": "motol7c"}),
        ({**INBOUND, "TRANSACTIONID": "0"}, {"FROM": "17743199145"}),
        ({**INBOUND, "TRANSACTIONID": "0"}, {"TO": "60857"}),
        ({**INBOUND, "TRANSACTIONID": "0"}, {"TEXT": "part two"}),
        ({**INBOUND, "TRANSACTIONID": "0"}, {"TEXT": "Hel lo"}),
        ({**INBOUND, "TEXT": "a\nb"}, {"TEXT": "a\u2028b"}),
        ({**INBOUND, "TEXT": "a\nb"}, {"TEXT": "a\x85b"}),
        ({**INBOUND, "TEXT": "a\nb"}, {"TEXT": "a\n\nb"}),
        (INBOUND, {"TEXT": "Hello "}),
        (INBOUND, {"TEXT": "\nHello"}),
        (MMS, {"SUBJECT": " Look"}),
        ({**INBOUND, "KEYWORD": "a b"}, {"KEYWORD": "a  b"}),
        ({**INBOUND, "TRANSACTIONID": "0"}, {"RECEIVED": "2019-03-08T14:22:06-05:00"}),
        ({**INBOUND, "TRANSACTIONID": "0", "RECEIVED": "soon"}, {"RECEIVED": "later"}),
        (MMS, {"FROM": "17743199145"}),
        (MMS, {"SUBJECT": "STOP"}),
        (MMS, {"FILE": "https://skycore.example/b.jpg"}),
        (MMS, {"TIMESTAMP": "2020-01-08T14:22:05-05:00"}),
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
def test_two_notifications(fields: Any, changes: dict[str, Any]) -> None:
    assert event(fields).id != event(fields, **changes).id


def test_long_lists_are_compared_without_reading_each_entry(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read: list[str] = []
    monkeypatch.setattr("skycore.postbacks.identity.utc_timestamp", read.append)
    monkeypatch.setattr("skycore.postbacks.identity.canonical_number", read.append)
    times, numbers = ["2019-03-08T14:22:05Z"] * 1_000, ["17743199144"] * 1_000
    extra = {"notification_created": times, "from": numbers, "received": times}
    assert identify("", None, None, {"code": "N999"}, extra).digest
    assert read == []


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
def test_dated(fields: Any, dated: bool) -> None:
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


def test_unparsed_bodies_are_compared_by_their_bytes_within_a_window(read: Read) -> None:
    assert read("junk").content_digest == read("junk").content_digest
    assert read("junk").content_digest != read("junk ").content_digest
    seen = read("junk").with_first_seen(NOW)
    assert seen.id != read("junk").with_first_seen(NOW + timedelta(minutes=31)).id


def test_a_v1_and_a_v2_copy_of_an_inbound_sms_are_one_event_if_all_agrees(read: Read) -> None:
    v1 = {**INBOUND, "TRANSACTIONID": "511XG"}
    v2 = {
        "origin": "SMS_MO",
        "code": "N211",
        "from": "17743199144",
        "to": "60856",
        "message-text": "Hello",
        "timestamp": "2019-03-08T19:22:05.25+00:00",
    }
    assert read(json.dumps({**v2, "tracking-id": "511XG"})).id == event(v1).id
    assert read(json.dumps({**v2, "tracking-id": "smsmo3f9c"})).id != event(v1).id
    other = {**v2, "tracking-id": "511XG", "message-text": "Hello!"}
    assert read(json.dumps(other)).id != event(v1).id


WHO = st.sampled_from(["17743199144", "17743199145", "447911123456", "5215562000000"])
WORDS = st.text(
    st.characters(codec="utf-8", exclude_characters="<>&", min_codepoint=32), min_size=1
)
WHEN = st.datetimes(datetime(2010, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
MESSAGES = st.tuples(WHO, WORDS.filter(lambda text: text == text.strip() != ""), WHEN)


@settings(deadline=None)
@given(MESSAGES, MESSAGES, st.sampled_from([INBOUND, {**INBOUND, "TRANSACTIONID": "0"}, MMS]))
def test_messages_that_differ_in_sender_text_or_time_are_never_merged(
    one: Any, other: Any, kind: Any
) -> None:
    def posted(message: Any) -> Event:
        sender, text, time = message
        words = {"TEXT": text} if kind is not MMS else {"SUBJECT": text}
        stamp = "TIMESTAMP" if kind is MMS else "RECEIVED"
        return event(kind, FROM=sender, **words, **{stamp: time.isoformat()})

    same = one[:2] == other[:2] and one[2].replace(microsecond=0) == other[2].replace(microsecond=0)
    assert (posted(one).id == posted(other).id) is same
    sender, text, time = one
    moved = time.astimezone(timezone(timedelta(hours=-5)))
    assert posted((f"+{sender}", text, moved)).id == posted(one).id


# The ids that the first release gave. One that is not found makes a second event of a postback
# that Skycore repeats over an upgrade; `same` says that the id itself has stayed.
FIRST_RELEASE = [
    (RECEIPT, "VTAxVFh6a3dOREUzTXpNPQ.7c2a0a510d19af3a26522f008422fbf2", True),
    (
        {**RECEIPT, "CODE": "E202", "STATUS": "Message Sent/Expired"},
        "VTAxVFh6a3dOREUzTXpNPQ.c1773621c07e34c19ef524a88a3c8dce",
        False,
    ),
    (
        {**RECEIPT, "CODE": "N101", "SENTAS": "SMS"},
        "VTAxVFh6a3dOREUzTXpNPQ.d9125f473969d2fc8e577cfea9834c2e",
        False,
    ),
    (
        {**RECEIPT, "CODE": "N103", "STATUS": "Expired"},
        "VTAxVFh6a3dOREUzTXpNPQ.ca30661de4e4f8f560d86faed3031c32",
        True,
    ),
    (
        {**RECEIPT, "CODE": "N201", "STATUS": "Message Sent"},
        "VTAxVFh6a3dOREUzTXpNPQ.539ef0b082009614798e2a79076e394f",
        True,
    ),
    (INBOUND, "cab1aa016b3042294fcccae959447d33", False),
    ({**INBOUND, "TRANSACTIONID": "0"}, "535aa832f1b09df8e972b6d65e699081", False),
    (MMS, "TU1TX01PXzgxNQ.fe4a7c1bd7f3fba2e85372142258ceef", False),
    (
        {**OPT_IN, "TIMESTAMP": "2019-03-08T14:22:05.25-05"},
        "81f442333dcd112f29e66aa55e38f344",
        False,
    ),
    ({**EMAIL, "TIMESTAMP": "2019-03-08T14:22:05Z"}, "b5ca1d2ad5f134d4f5661dd86d128809", True),
    (ENCODED, "86d65dce486a9285f453c017118b4537", True),
    (PASS, "54b42a7828e148cba5cab6a119b55fe2", True),
]


@pytest.mark.parametrize(("fields", "id_", "same"), FIRST_RELEASE)
def test_the_ids_of_the_first_release_are_known(fields: Any, id_: str, same: bool) -> None:
    found = event(fields)
    assert (found.id if same else found.legacy_id) == id_
    assert (found.legacy_id is None) is same


def test_an_unparsed_body_knows_its_id_of_the_first_release(read: Read) -> None:
    assert read("junk").legacy_id == "f3dd265426bd224ab874ee252cfdbe5a"


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
