"""Every bad field is named, and good ones come out as they are sent."""

import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skycore.catalogue.actions import Action, all_actions, find_action
from skycore.client import values
from skycore.client.errors import InvalidRequest
from skycore.client.validation import prepare
from tests.unit.client.samples import requests_of

SMS = {"to": "+17743199144", "from": "60856", "text": "Hello"}
SLIDE = {"text": "Hello"}
MMS = {"to": "+17743199144", "from": "60856", "name": "n", "subject": "s", "slides": [SLIDE]}
SAVED = {"mms_id": "1", "to": "+17743199144", "from": "60856"}
URL = "https://media.example.com/a"
ABSENT = object()


def action_named(name: str) -> Action:
    action = find_action(name)
    assert action is not None
    return action


def faults(name: str, fields: dict[str, Any], **changes: Any) -> dict[str, str]:
    changed = {key: value for key, value in {**fields, **changes}.items() if value is not ABSENT}
    try:
        prepare(action_named(name), changed)
    except InvalidRequest as error:
        return {fault.field: fault.detail for fault in error.errors}
    return {}


BAD_FIELDS: list[tuple[str, str, dict[str, Any], dict[str, Any], dict[str, str]]] = [
    # (label, action, good fields, changes, expected: field -> part of its detail)
    ("missing to", "sendSMS", SMS, {"to": ABSENT}, {"to": "must be given"}),
    (
        "all missing",
        "sendSMS",
        {},
        {},
        {"to": "must be given", "from": "must be given", "text": "must be given"},
    ),
    ("null", "sendSMS", SMS, {"text": None}, {"text": "must be a string"}),
    ("number for text", "sendSMS", SMS, {"to": 17743199144}, {"to": "must be a string"}),
    ("list for text", "sendSMS", SMS, {"text": ["a"]}, {"text": "must be a string"}),
    ("object for text", "sendSMS", SMS, {"from": {}}, {"from": "must be a string"}),
    ("blank text", "sendSMS", SMS, {"text": " \n"}, {"text": "visible"}),
    ("empty to", "sendSMS", SMS, {"to": ""}, {"to": "visible"}),
    ("unknown field", "sendSMS", SMS, {"txt": "a"}, {"txt": "not a field of sendSMS"}),
    ("upper-case field", "sendSMS", SMS, {"TEXT": "a"}, {"TEXT": "not a field"}),
    ("API key in the body", "sendSMS", SMS, {"api_key": "a"}, {"api_key": "not a field"}),
    ("shortcode as to", "sendSMS", SMS, {"to": "60856"}, {"to": "a possible phone number"}),
    ("name as to", "sendSMS", SMS, {"to": "ACME"}, {"to": "phone number"}),
    ("ambiguous to", "sendSMS", SMS, {"to": "2025550123"}, {"to": "+1 2025550123"}),
    ("long sender", "sendSMS", SMS, {"from": "TWELVELETTER"}, {"from": "11"}),
    ("digits as mask", "sendSMS", SMS, {"from_mask": "12345"}, {"from_mask": "not be all digits"}),
    ("control character", "sendSMS", SMS, {"text": "a\x07b"}, {"text": "U+0007, character 2"}),
    ("NUL", "sendSMS", SMS, {"text": "\x00"}, {"text": "U+0000"}),
    ("lone high half", "sendSMS", SMS, {"text": "a\ud83d"}, {"text": "surrogate"}),
    ("lone low half", "sendSMS", SMS, {"text": "\ude00a"}, {"text": "surrogate"}),
    ("non-character", "sendSMS", SMS, {"text": "\uffff"}, {"text": "U+FFFF"}),
    ("surrogate in to", "sendSMS", SMS, {"to": "\ud83d"}, {"to": "surrogate"}),
    ("161 septets", "sendSMS", SMS, {"text": "a" * 161}, {"text": "161 GSM-7 septets"}),
    ("80 euros and one", "sendSMS", SMS, {"text": "€" * 80 + "a"}, {"text": "161"}),
    ("71 units", "sendSMS", SMS, {"text": "ç" * 71}, {"text": "71 UCS-2 units"}),
    ("36 emoji", "sendSMS", SMS, {"text": "\U0001f600" * 36}, {"text": "72 UCS-2 units"}),
    (
        "too long for any number of parts",
        "sendSMS",
        SMS,
        {"text": "ç" * 17086, "allow_multipart": True},
        {"text": "at most 17085"},
    ),
    (
        "multipart no",
        "sendSMS",
        SMS,
        {"text": "a" * 161, "allow_multipart": False},
        {"text": "161"},
    ),
    ("multipart yes", "sendSMS", SMS, {"allow_multipart": "yes"}, {"allow_multipart": "true or"}),
    (
        "multipart without an SMS",
        "getMmsIds",
        {},
        {"allow_multipart": True},
        {"allow_multipart": "not a field"},
    ),
    ("carrier", "sendSMS", SMS, {"operator_id": "00018900"}, {"operator_id": "7"}),
    ("two-line reference", "sendSMS", SMS, {"campaign_ref": "a\nb"}, {"campaign_ref": "one line"}),
    (
        "reference as a number",
        "sendSMS",
        SMS,
        {"campaign_ref": 12},
        {"campaign_ref": "must be a string"},
    ),
    ("no slides", "sendMMS", MMS, {"slides": []}, {"slides": "it has 0"}),
    ("nine slides", "sendMMS", MMS, {"slides": [SLIDE] * 9}, {"slides": "it has 9"}),
    ("slides as a map", "sendMMS", MMS, {"slides": SLIDE}, {"slides": "array"}),
    ("slide as text", "sendMMS", MMS, {"slides": ["a"]}, {"slides[0]": "object"}),
    (
        "empty slide",
        "sendMMS",
        MMS,
        {"slides": [SLIDE, {}]},
        {"slides[1]": "must have a text or a file"},
    ),
    (
        "duration alone",
        "sendMMS",
        MMS,
        {"slides": [{"duration": 5}]},
        {"slides[0]": "must have a text or a file"},
    ),
    (
        "relative URL",
        "sendMMS",
        MMS,
        {"slides": [{"image": "/a.png"}]},
        {"slides[0].image": "absolute"},
    ),
    *(
        (f"URL {url!r}", "sendMMS", MMS, {"slides": [{"image": url}]}, {"slides[0].image": "URL"})
        for url in (
            *("ftp://a/b", "http://", "https:///a", "javascript:alert(1)", "a.example/b.png"),
            *(
                "http://a b/",
                "http://a/ b",
                "http://[::1/",
                "http://a:99999/",
                "//a/b",
                "file:///a",
            ),
        )
    ),
    (
        "image and video",
        "sendMMS",
        MMS,
        {"slides": [{"image": URL, "video": URL}]},
        {"slides[0].video": "image"},
    ),
    (
        "audio and video",
        "sendMMS",
        MMS,
        {"slides": [{"audio": URL, "video": URL}]},
        {"slides[0].video": "audio"},
    ),
    (
        "image and its personalised twin",
        "sendMMS",
        MMS,
        {"slides": [{"image": URL, "personalized_image": "1"}]},
        {"slides[0].personalized_image": "image"},
    ),
    (
        "pdf and image",
        "sendMMS",
        MMS,
        {"slides": [{"pdf": URL, "image": URL}]},
        {"slides[0].pdf": "image"},
    ),
    (
        "vcard, ical and passbook",
        "sendMMS",
        MMS,
        {"slides": [{"vcard": URL, "ical": URL, "passbook": URL}]},
        {"slides[0].ical": "vcard", "slides[0].passbook": "vcard, ical"},
    ),
    (
        "slide text of 5001",
        "sendMMS",
        MMS,
        {"slides": [{"text": "a" * 5001}]},
        {"slides[0].text": "5001 characters"},
    ),
    *(
        (
            f"duration {value!r}",
            "sendMMS",
            MMS,
            {"slides": [{"text": "a", "duration": value}]},
            {"slides[0].duration": "must be"},
        )
        for value in (0, -1, 61, "5", 5.5, True, None, 10**30, float("inf"))
    ),
    (
        "unknown slide field",
        "sendMMS",
        MMS,
        {"slides": [{"text": "a", "gif": URL}]},
        {"slides[0].gif": "not a field of this object"},
    ),
    ("subject of 81", "sendMMS", MMS, {"subject": "s" * 81}, {"subject": "81 characters"}),
    (
        "neither subject nor fallback text",
        "sendMMS",
        MMS,
        {"subject": ABSENT},
        {"fallback_sms_text": "unless subject"},
    ),
    (
        "fallback not disabled",
        "sendMMS",
        MMS,
        {"subject": ABSENT, "disable_fallback_sms": False},
        {"fallback_sms_text": "must be given"},
    ),
    (
        "long fallback text",
        "sendMMS",
        MMS,
        {"fallback_sms_text": "a" * 161},
        {"fallback_sms_text": "161"},
    ),
    (
        "yes for true",
        "sendMMS",
        MMS,
        {"disable_fallback_sms_link": "yes"},
        {"disable_fallback_sms_link": "true or false"},
    ),
    (
        "slide given twice",
        "sendSavedMMS",
        SAVED,
        {"custom_text": [{"slide": 1, "value": "a"}, {"slide": 1, "value": "b"}]},
        {"custom_text[1].slide": "twice"},
    ),
    (
        "custom text without its parts",
        "sendSavedMMS",
        SAVED,
        {"custom_text": [{}]},
        {"custom_text[0].value": "must be given", "custom_text[0].slide": "must be given"},
    ),
    (
        "slide 9",
        "sendSavedMMS",
        SAVED,
        {"custom_text": [{"slide": 9, "value": "a"}]},
        {"custom_text[0].slide": "1 to 8"},
    ),
    (
        "subject of 81 for one send",
        "sendSavedMMS",
        SAVED,
        {"custom_subject": "s" * 81},
        {"custom_subject": "81"},
    ),
    *(
        (
            f"data name {name!r}",
            "sendSavedMMS",
            SAVED,
            {"data": {name: "a"}},
            {f"data.{name}": "snake_case"},
        )
        for name in ("First", "1st", "a b", "a-b", "", "é", "a>b", "_a", "a" * 65)
    ),
    ("data as text", "sendSavedMMS", SAVED, {"data": "a"}, {"data": "object"}),
    ("data as numbers", "sendSavedMMS", SAVED, {"data": {"age": 3}}, {"data.age": "string"}),
    ("data with BEL", "sendSavedMMS", SAVED, {"data": {"a": "\x07"}}, {"data.a": "U+0007"}),
    ("minutes", "sendSavedMMS", SAVED, {"ddm_timeout": 0}, {"ddm_timeout": "1 to 1440"}),
    (
        "neither MMS nor text",
        "sendMessageBySubscriberRef",
        {"subscriber_ref": "a", "campaign_ref": "b"},
        {},
        {"mms_id": "must be given unless text is given"},
    ),
    (
        "MMS and text",
        "sendMessageBySubscriberRef",
        {"subscriber_ref": "a", "campaign_ref": "b", "mms_id": "1", "text": "a"},
        {},
        {"text": "with mms_id"},
    ),
    (
        "no campaign",
        "subscribe",
        {"mobile": "+17743199144"},
        {},
        {"campaign_ref": "must be given unless campaign_id is given"},
    ),
    (
        "three templates",
        "getPassTemplate",
        {"pass_template_id": "1", "mms_id": "2", "email_id": "3"},
        {},
        {"mms_id": "with pass_template_id", "email_id": "with pass_template_id"},
    ),
    (
        "alias beside its name",
        "sendSavedEmail",
        {"email": "a@b.example", "campaign_id": "1", "email_template_id": "1", "email_id": "1"},
        {},
        {"email_id": "another name of email_template_id"},
    ),
    *(
        (
            f"email {email!r}",
            "subscribeEmail",
            {"campaign_id": "1", "email": email},
            {},
            {"email": "email address"},
        )
        for email in ("a", "a@", "@b", "a b@c", "a@b@c", "ALL", "<a@b>", "a@b,c@d")
    ),
    (
        "all in small letters",
        "unsubscribeEmail",
        {"campaign_id": "1", "email": "all"},
        {},
        {"email": "ALL"},
    ),
    *(
        (
            f"time {time!r}",
            "getSendingStatus",
            {"start_date": time, "end_date": "2026-11-22T10:00:00Z"},
            {},
            {"start_date": "must be a time" if shape else "must be a valid"},
        )
        for time, shape in (
            ("2026-11-22", True),
            ("2026-11-22T10:00:00", True),
            ("22.11.2026 10:00:00", True),
            ("2026-11-22T10:00Z", True),
            ("yesterday", True),
            ("2026-02-30 10:00:00", False),
            ("2026-11-22 25:00:00", False),
            ("2026-11-22T10:00:00+99:00", False),
            ("0000-01-01T00:00:00Z", False),
            ("0001-01-01T00:00:00+05:00", False),
        )
    ),
    ("page 0", "getMMSTemplates", {}, {"page_number": 0}, {"page_number": "must be from 1"}),
    (
        "unknown pass field",
        "generatePass",
        {"pass_template_id": "1", "pass_data": {"header_label2": "a"}},
        {},
        {"pass_data.header_label2": "not a field of this"},
    ),
    (
        "pass data on an update",
        "updatePass",
        {"pass_data_id": "1", "pass_data": {"email": "a@b.example", "custom_pass_id": "1"}},
        {},
        {
            "pass_data.email": "not a field of this",
            "pass_data.custom_pass_id": "not a field of this",
        },
    ),
    (
        "places and beacons",
        "addPassData",
        {
            "pass_template_id": "1",
            "pass_data": {
                "rel_latitude1": "91",
                "rel_longitude1": "east",
                "ibeacon_major2": "65536",
                "ibeacon_uuid3": "x",
                "phone": "2025550123",
                "custom_id": "a-b",
                "thumbnail_url": "x",
            },
        },
        {},
        {
            "pass_data.rel_latitude1": "-90 to 90",
            "pass_data.rel_longitude1": "degrees",
            "pass_data.ibeacon_major2": "65535",
            "pass_data.ibeacon_uuid2": "must be given",
            "pass_data.ibeacon_uuid3": "UUID",
            "pass_data.phone": "ambiguous",
            "pass_data.custom_id": "letters, digits",
            "pass_data.thumbnail_url": "absolute",
        },
    ),
]


@pytest.mark.parametrize(
    ("name", "fields", "changes", "expected"),
    [row[1:] for row in BAD_FIELDS],
    ids=[row[0] for row in BAD_FIELDS],
)
def test_bad_fields_are_named(
    name: str, fields: dict[str, Any], changes: dict[str, Any], expected: dict[str, str]
) -> None:
    found = faults(name, fields, **changes)
    assert found.keys() == expected.keys()
    for field, detail in expected.items():
        assert detail in found[field]


GOOD_FIELDS: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    ("number", "sendSMS", {**SMS, "to": "+1 774-319-9144"}, {**SMS, "to": "17743199144"}),
    (
        "multipart is not sent",
        "sendSMS",
        {**SMS, "to": "17743199144", "text": "a" * 161, "allow_multipart": True},
        {**SMS, "to": "17743199144", "text": "a" * 161},
    ),
    (
        "long fallback in parts",
        "sendMMS",
        {**MMS, "to": "17743199144", "fallback_sms_text": "a" * 200, "allow_multipart": True},
        {**MMS, "to": "17743199144", "fallback_sms_text": "a" * 200},
    ),
    (
        "no subject, fallback disabled",
        "sendMMS",
        {**MMS, "to": "17743199144", "subject": "s", "disable_fallback_sms": True},
        {**MMS, "to": "17743199144", "subject": "s", "disable_fallback_sms": True},
    ),
    (
        "whole number with a point",
        "getMMSTemplates",
        {"page_number": 2.0, "start_date": "2026-11-22T12:30:00.5+02:30"},
        {"page_number": 2, "start_date": "2026-11-22T10:00:00Z"},
    ),
    (
        "times in UTC",
        "getSendingStatus",
        {"start_date": "2026-11-22T05:00:00-05:00", "end_date": "2026-11-22 11:00:00"},
        {"start_date": "2026-11-22 10:00:00", "end_date": "2026-11-22 11:00:00"},
    ),
    (
        "alias",
        "sendSavedEmail",
        {"email": "a@b.example", "campaign_id": "1", "email_id": "7"},
        {"email": "a@b.example", "campaign_id": "1", "email_template_id": "7"},
    ),
    (
        "merge tags are left alone",
        "sendSMS",
        {**SMS, "to": "17743199144", "text": "Hi {$first_name|friend}"},
        {**SMS, "to": "17743199144", "text": "Hi {$first_name|friend}"},
    ),
]


@pytest.mark.parametrize(
    ("name", "fields", "expected"),
    [row[1:] for row in GOOD_FIELDS],
    ids=[row[0] for row in GOOD_FIELDS],
)
def test_good_fields_are_normalised(
    name: str, fields: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert prepare(action_named(name), fields) == expected


@pytest.mark.parametrize("action", all_actions(), ids=lambda action: action.name)
def test_nothing_at_all_names_every_mandatory_field(action: Action) -> None:
    mandatory = {p.name for p in action.parameters if p.required == "always" or p.required_unless}
    mandatory.update(action.one_of[:1])
    assert faults(action.name, {}).keys() == mandatory


@pytest.mark.parametrize("action", all_actions(), ids=lambda action: action.name)
@given(st.data())
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_valid_requests_pass_and_one_spoiled_field_is_the_one_named(
    action: Action, data: st.DataObject
) -> None:
    fields = data.draw(requests_of(action))
    assert prepare(action, fields).keys() == fields.keys()
    if fields:
        spoiled = data.draw(st.sampled_from(sorted(fields)))
        assert list(faults(action.name, {**fields, spoiled: object()})) == [spoiled]


INVISIBLE = {
    "spaces": " \t\n",
    "zero-width space": "\u200b",
    "byte order mark": "\ufeff",
    "soft hyphen": "\u00ad",
    "no-break and ideographic spaces": "\u00a0\u3000\u2003",
    "line separator": "\u2028\u2029",
    "directions": "\u202d\u202c\u2066\u2069\u200e",
    "variation selectors": "\ufe0f\U000e0100",
    "word joiner": "\u2060",
    "braille blank": "\u2800",
    "Hangul fillers": "\u3164\u115f\u1160\uffa0",
    "tags": "\U000e0001\U000e0020",
    "delete and next line": "\x7f\x85",
    "a mark without a letter": "\u0301",
    "an enclosing mark": " \u20e3",
    "an object replacement": "\ufffc",
    "a musical null notehead": "\U0001d159",
}


@pytest.mark.parametrize("name", INVISIBLE)
@pytest.mark.parametrize(
    ("action", "fields", "field"),
    [
        ("sendSMS", SMS, "text"),
        ("sendMMS", MMS, "subject"),
        ("sendMMS", MMS, "slides[0].text"),
        ("sendMMS", MMS, "fallback_sms_text"),
    ],
)
def test_a_text_without_a_visible_character_is_refused(
    name: str, action: str, fields: dict[str, Any], field: str
) -> None:
    text = INVISIBLE[name]
    changes = {"slides": [{"text": text}]} if "slides" in field else {field: text}
    assert "visible" in faults(action, fields, **changes)[field]


@pytest.mark.parametrize(
    "text", [".", "e\u0301", "\U0001f600", "\u200ba", "0\ufe0f\u20e3", "ﷺ", "\ue000"]
)
def test_a_text_with_a_visible_character_is_sent_as_it_is(text: str) -> None:
    assert prepare(action_named("sendSMS"), {**SMS, "text": text})["text"] == text


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("a" * 99 + "\u2019", "character 100 (\u2019, U+2019 RIGHT SINGLE QUOTATION MARK)"),
        ("\u00a0" + "a" * 99, "character 1 (U+00A0 NO-BREAK SPACE)"),
        ("ab\tc" + "a" * 99 + "\u2026", "character 3 (U+0009)"),
        ("a" * 70 + "ç€ç", "character 71 (ç, U+00E7 LATIN SMALL LETTER C WITH CEDILLA)"),
        ("e\u0301" * 50, "character 2 (\u0301, U+0301 COMBINING ACUTE ACCENT)"),
        ("\U0001f600" * 36, "character 1 (\U0001f600, U+1F600 GRINNING FACE)"),
    ],
)
def test_the_character_that_forces_ucs2_is_named_with_its_place(text: str, named: str) -> None:
    detail = faults("sendSMS", SMS, text=text)["text"]
    assert named in detail
    assert "must be at most 70 UCS-2 units" in detail
    assert "allow_multipart" in detail


def test_a_long_text_in_gsm_7_names_no_character() -> None:
    detail = faults("sendSMS", SMS, text="a" * 161)["text"]
    assert "character" not in detail
    assert "160 GSM-7 septets" in detail


PRIVATE = "must have a public host"
INVALID = "must have a valid host"
FORM = "must be an absolute http or https URL"
BAD_URLS = {
    "http://127.0.0.1/": PRIVATE,
    "http://127.255.255.254/a.png": PRIVATE,
    "http://127.0.0.1./": PRIVATE,
    "http://0.0.0.0/": PRIVATE,
    "http://10.1.2.3/": PRIVATE,
    "http://172.16.0.1:8080/": PRIVATE,
    "http://192.168.1.1/": PRIVATE,
    "http://100.64.0.1/": PRIVATE,
    "http://169.254.169.254/latest/meta-data": PRIVATE,
    "http://192.0.2.1/": PRIVATE,
    "http://224.0.0.1/": PRIVATE,
    "http://255.255.255.255/": PRIVATE,
    "http://\uff11\uff12\uff17.0.0.1/": PRIVATE,
    "http://127\u30020\u30020\u30021/": PRIVATE,
    "http://2130706433/": INVALID,
    "http://0x7f000001/": INVALID,
    "http://0x7f.1/": INVALID,
    "http://0177.0.0.1/": INVALID,
    "http://127.1/": INVALID,
    "http://127.0.0.0x1/": INVALID,
    "http://8.8.8/": INVALID,
    "http://256.1.1.1/": INVALID,
    "http://1.2.3.4.5/": INVALID,
    "http://[::1]/": PRIVATE,
    "http://[::]/": PRIVATE,
    "http://[0:0:0:0:0:0:0:1]/": PRIVATE,
    "http://[fe80::1]/": PRIVATE,
    "http://[fe80::1%25eth0]/": PRIVATE,
    "http://[2606:4700::1111%25eth0]/": PRIVATE,
    "http://[fc00::1]/": PRIVATE,
    "http://[fec0::1]/": PRIVATE,
    "http://[ff0e::1]/": PRIVATE,
    "http://[::ffff:127.0.0.1]/": PRIVATE,
    "http://[::ffff:a9fe:a9fe]/": PRIVATE,
    "http://[::127.0.0.1]/": PRIVATE,
    "http://[2002:7f00:1::]/": PRIVATE,
    "http://[64:ff9b::169.254.169.254]/": PRIVATE,
    "http://[2001:0:4136:e378:8000:63bf:80ff:fffe]/": PRIVATE,
    "http://localhost/": PRIVATE,
    "http://LOCALHOST:8000/a": PRIVATE,
    "http://a.localhost/": PRIVATE,
    "http://localhost.localdomain/": PRIVATE,
    "http://intranet/": PRIVATE,
    "http://printer.local/": PRIVATE,
    "http://metadata.google.internal/": PRIVATE,
    "http://nas.home.arpa./": PRIVATE,
    "http://a.test/": PRIVATE,
    "http://media.example/": PRIVATE,
    "http://a.invalid/": PRIVATE,
    "http://b\u00fccher.example/": PRIVATE,
    "http://nas.private/": PRIVATE,
    "http://site.alt/": PRIVATE,
    "http://kubernetes.default.svc/": PRIVATE,
    "http://a.default.svc.cluster.local/": PRIVATE,
    "http://A.B.LOCAL.:8/": PRIVATE,
    "https://example..com/": INVALID,
    "https://example.c_m/": INVALID,
    "https://my_bucket.com/": INVALID,
    "https://\U0001f600.com/": INVALID,
    "https://xn--\u00fc.com/": INVALID,
    f"https://{'\u00fc' * 1_000}.com/": INVALID,
    "https://example.com/a%zz": FORM,
    "https://example.com/a?b=100%": FORM,
    "https://example.com/%e": FORM,
    "https://example.com/a<b>": FORM,
    "https://example.com/a>": FORM,
    'https://example.com/"a"': FORM,
    "https://.example.com/": INVALID,
    "https://exa_mple.com/": INVALID,
    "https://-example.com/": INVALID,
    "https://example-.com/": INVALID,
    "https://exa%6dple.com/": INVALID,
    "https://%31%32%37.0.0.1/": INVALID,
    "https://exam$ple.com/": INVALID,
    f"https://{'a' * 64}.com/": INVALID,
    f"https://{'a.' * 130}com/": INVALID,
    "https://user:pw@example.com/": FORM,
    "https://user@example.com/": FORM,
    "https://@example.com/": FORM,
    "https://example.com\\@127.0.0.1/": FORM,
    "https://example.com\\a": FORM,
    "https://example.com:0/": FORM,
    "https://example.com:65536/": FORM,
    "https://example.com:x/": FORM,
    "https://ex\uff0fample.com/": FORM,
    "https://exam ple.com/": FORM,
    "https://example.com/a b": FORM,
    "https://example.com/a\u00a0b": FORM,
    "https://example.com/a\u3000b": FORM,
    "https://example.com/a\nb": FORM,
    "ftp://example.com/": FORM,
    "data:image/png;base64,AAAA": FORM,
    "https:/example.com/": FORM,
    "https:///example.com/": FORM,
    "//example.com/": FORM,
    "example.com/a.png": FORM,
}


@pytest.mark.parametrize("url", BAD_URLS, ids=ascii)
def test_a_url_that_skycore_cannot_fetch_is_refused(url: str) -> None:
    found = faults("sendMMS", MMS, slides=[{"image": url}])
    assert found["slides[0].image"].startswith(BAD_URLS[url])


GOOD_URLS = {
    "https://example.com/a.png": "https://example.com/a.png",
    "HTTP://EXAMPLE.com:8080/a?b=c&d=%20#e": "HTTP://EXAMPLE.com:8080/a?b=c&d=%20#e",
    "https://example.com": "https://example.com",
    "https://example.com./a": "https://example.com./a",
    "https://8.8.8.8/a": "https://8.8.8.8/a",
    "https://[2606:4700::1111]:443/a": "https://[2606:4700::1111]:443/a",
    "https://1and1.com/": "https://1and1.com/",
    "https://xn--bcher-kva.de/": "https://xn--bcher-kva.de/",
    "https://b\u00fccher.de:81/\u00e4?\u00f6=%41": "https://xn--bcher-kva.de:81/%C3%A4?%C3%B6=%41",
    # Names of IDNA 2008, which IDNA 2003 took for fass.de and strasse.de.
    "https://fa\u00df.de/\u00e9": "https://xn--fa-hia.de/%C3%A9",
    "https://STRA\u1e9eE.de/": "https://xn--strae-oqa.de/",
    "https://my_bucket.s3.amazonaws.com/p.jpg": "https://my_bucket.s3.amazonaws.com/p.jpg",
    "https://_my_.b\u00fccher.de/": "https://_my_.xn--bcher-kva.de/",
    "https://fritz.box/": "https://fritz.box/",
    "https://example.com/{a}|b'c": "https://example.com/{a}|b'c",
    "https://example.com/@a:b": "https://example.com/@a:b",
    " https://example.com/a\u200b\n": "https://example.com/a",
    "\ufeffhttps://exam\u200dple.com/a\u202c": "https://example.com/a",
    "\u3000https://example.com/\ufe0f\u00a0": "https://example.com/",
}


@pytest.mark.parametrize("url", GOOD_URLS, ids=ascii)
def test_a_url_that_skycore_can_fetch_is_sent_in_ascii(url: str) -> None:
    prepared = prepare(action_named("sendMMS"), {**MMS, "slides": [{"image": url}]})
    assert prepared["slides"] == [{"image": GOOD_URLS[url]}]


def test_a_local_skycore_may_fetch_from_itself_and_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SKYCORE_URL", "http://127.0.0.1:8085/API/wxml/1.3/index.php")
    for port in (8085, 8086):  # its API and its page may have different ports
        own = {"image": f"http://127.0.0.1:{port}/parcel.png"}
        assert prepare(action_named("sendMMS"), {**MMS, "slides": [own]})["slides"] == [own]
    for url in ("http://127.0.0.2:8085/", "https://127.0.0.1:8085/"):
        assert "slides[0].image" in faults("sendMMS", MMS, slides=[{"image": url}])


@pytest.mark.parametrize(
    ("action", "fields"),
    [
        ("sendMMSBarcode", {**SAVED, "barcode_id": "Ticket_12345"}),
        ("saveMMS", {"name": "n", "slides": [SLIDE], "fallback_sms_text": "See it here"}),
        ("saveMMS", {"name": "n", "slides": [SLIDE], "disable_fallback_sms": True}),
    ],
)
def test_the_vendors_own_examples_are_accepted(action: str, fields: dict[str, Any]) -> None:
    assert prepare(action_named(action), fields).keys() == fields.keys()


def test_save_mms_needs_something_for_handsets_without_mms() -> None:
    assert "subject" in faults("saveMMS", {"name": "n", "slides": [SLIDE]})


@pytest.mark.parametrize(
    "fields",
    [
        {f"x{n}": n for n in range(100_000)},
        {"slides": [{f"x{n}": n for n in range(100_000)}]},
        {"slides": [{"duration": 0, "text": ""}] * 8},
        {"x" * 1_000_000: 1},
    ],
    ids=["fields", "fields of a slide", "slides", "a long name"],
)
def test_errors_stay_few_and_short(fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        prepare(action_named("sendMMS"), {**MMS, **fields})
    assert 0 < len(caught.value.errors) <= 20
    assert all(len(error.field) + len(error.detail) < 500 for error in caught.value.errors)


def test_messages_have_one_form() -> None:
    """Every message says "must …", except that an unknown name "is not a field of …"."""
    for _, name, fields, changes, _ in BAD_FIELDS:
        for detail in faults(name, fields, **changes).values():
            assert re.match("must |is not a field of", detail), detail


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


@given(st.sampled_from(all_actions()), st.data())
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_json_gives_fields_or_errors(action: Action, data: st.DataObject) -> None:
    names = [p.name for p in action.parameters] or ["x"]
    fields = data.draw(st.dictionaries(st.sampled_from(names) | st.text(), JSON, max_size=6))
    errors = []
    try:
        prepare(action, fields)
    except InvalidRequest as error:
        errors = [(fault.field, fault.detail) for fault in error.errors]
    assert all(detail for _, detail in errors)
    assert len(set(errors)) == len(errors)


def test_error_text_and_repr_hold_no_values() -> None:
    with pytest.raises(InvalidRequest) as caught:
        prepare(action_named("sendSMS"), {**SMS, "to": "2025550123", "17743199144": "x"})
    assert str(caught.value) == "not valid: to"
    assert "2025550123" not in repr(caught.value.errors)
    assert "2025550123" in caught.value.errors[0].detail


class Counted(dict[str, Any]):
    """A dictionary that counts how many of its names were read in turn."""

    read = 0

    def __iter__(self) -> Any:
        for name in super().__iter__():
            self.read += 1
            yield name


@pytest.mark.parametrize("where", ["slide", "request"])
def test_a_check_ends_at_twenty_errors(where: str) -> None:
    junk = Counted({f"x{n}": 1 for n in range(1000)})
    fields: Any = {"to": "+17743199144", "from": "60856", "subject": "s", "slides": [junk]}
    with pytest.raises(InvalidRequest) as caught:
        prepare(action_named("sendMMS"), fields if where == "slide" else junk)
    assert len(caught.value.errors) == 20
    assert junk.read <= 20


@pytest.mark.parametrize("field", ["text", "to", "from", "image"])
@pytest.mark.parametrize("character", ["x", "\u200b"])
def test_a_value_that_is_too_long_is_not_read(
    monkeypatch: pytest.MonkeyPatch, field: str, character: str
) -> None:
    fields: Any = {"to": "+17743199144", "from": "60856", "text": "Hello"}
    action = "sendSMS"
    huge = character * 100_000
    if field == "image":
        action, fields = "sendMMS", {**fields, "subject": "s", "slides": [{"image": huge}]}
        del fields["text"]
    else:
        fields[field] = huge
    reads = []
    for name in ("find_invalid_character", "has_visible_character", "visible_text"):
        real = getattr(values, name)

        def counted(text: str, real: Any = real) -> Any:
            reads.append(len(text))
            return real(text)

        monkeypatch.setattr(values, name, counted)
    with pytest.raises(InvalidRequest) as caught:
        prepare(action_named(action), fields)
    (error,) = (one for one in caught.value.errors if one.field.endswith(field))
    assert "must be at most" in error.detail
    assert "it has 100000 characters" in error.detail
    assert max(reads, default=0) < 100
