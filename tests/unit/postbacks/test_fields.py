from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from skycore.catalogue.fields import all_postback_fields
from skycore.postbacks.event import Event
from skycore.postbacks.parser import read_postback

if TYPE_CHECKING:
    from datetime import datetime

Read = Callable[[str | bytes], Event]


@pytest.mark.parametrize(
    ("element", "field"),
    [(element, field) for field in all_postback_fields() for element in field.elements],
    ids=lambda value: value if isinstance(value, str) else value.shape,
)
def test_every_element_in_every_spelling(read: Read, element: str, field: Any) -> None:
    value = "2026-03-08T14:22:05Z" if field.shape == "time" else "N202"
    expected = [value] if field.shape == "list" else value
    code = "" if field.name == "code" else "<CODE>N202</CODE>"
    spellings = [element, element.lower(), f"{element[:2]}-{element[2:]}", element.title()]
    for name in spellings:
        event = read(f"<POSTBACK>{code}<{name}> {value} </{name}></POSTBACK>")
        got = event.data[field.name]
        assert (got.strip() if field.shape == "prose" else got) == expected, name
        empty = read(f"<POSTBACK><CODE>N999</CODE><STATUS>x</STATUS><{name}> </{name}></POSTBACK>")
        assert field.name in {"code", "status"} or field.name not in empty.data, name


@pytest.mark.parametrize(
    ("inside", "extra"),
    [
        ("<NEW>1</NEW>", {"new": "1"}),
        ("<new-thing>1</new-thing>", {"new_thing": "1"}),
        ("<NEW>1</NEW><NEW>2</NEW><NEW>3</NEW>", {"new": ["1", "2", "3"]}),
        ("<NEW><A>1</A><B><C>2</C></B>t</NEW>", {"new_a": "1", "new_b_c": "2"}),
        ("<NEW/>", {}),
        ("<NEW k='v'/>", {"new_k": "v"}),
        ("<TO k='v'>1</TO>", {"to_k": "v"}),
        ("<TO>1</TO><TO>1</TO>", {}),
        ("<SUBID>1</SUBID><CAMPAIGNID>2</CAMPAIGNID>", {"subid": "1"}),
        ("<CAMPAIGNID>2</CAMPAIGNID><SUBID>1</SUBID>", {"subid": "1"}),
        ("<TIMESTAMP>2012-03-08 14:22:05</TIMESTAMP>", {"timestamp": "2012-03-08 14:22:05"}),
        ("<RECEIVED>yesterday</RECEIVED>", {"timestamp": "yesterday"}),
        ("<CONTENT><SIZE>3</SIZE><FILE>u</FILE></CONTENT>", {"content_size": "3"}),
        (f"<{'a' * 300}>1</{'a' * 300}>", {"a" * 100: "1"}),
        ("<NEW xml:lang='en' xmlns:x='u' x:y='z'>1</NEW>", {"new": "1"}),
    ],
)
def test_extra(read: Read, inside: str, extra: dict[str, object]) -> None:
    event = read(f"<POSTBACK><CODE>N202</CODE>{inside}</POSTBACK>")
    assert event.data.get("extra", {}) == extra


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (" two  blanks ", " two  blanks "),
        ("a\nb", "a\nb"),
        ("  \n ", None),
        ("", None),
        ("a &lt;b&gt; &amp;amp; ü 😀", "a <b> &amp; ü 😀"),
        ("<![CDATA[<STOP> & go]]>", "<STOP> & go"),
        ("x<!-- y -->z", "x<!-- y -->z"),
        ("a <b>c <i>d</i> e</b> f", "a <b>c <i>d</i> e</b> f"),
    ],
)
def test_text_is_kept_as_written(read: Read, text: str, kept: str | None) -> None:
    event = read(f"<POSTBACK><CODE>N211</CODE><TEXT>{text}</TEXT></POSTBACK>")
    assert event.data.get("text") == kept


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("<STATUS text='Delivered' celly='20'/>", "Delivered"),
        ("<STATUS text='' description='Expired'/>", "Expired"),
        ("<STATUS protocol='smpp' status='Failed'/>", "Failed"),
        ("<STATUS protocol='smpp' status='0'/>", None),
        ("<STATUS text='Failed'>Message Sent/Delivered</STATUS>", "Message Sent/Delivered"),
    ],
)
def test_status_in_attributes(read: Read, status: str, said: str | None) -> None:
    event = read(f"<POSTBACK><CODE>N202</CODE>{status}</POSTBACK>")
    assert event.data.get("status") == said


SENT = "<NOTIFICATION><CODE>N201</CODE></NOTIFICATION>"
DELIVERED = "<NOTIFICATION><CODE>N202</CODE></NOTIFICATION>"


@pytest.mark.parametrize(
    ("body", "codes"),
    [
        ("<POSTBACK><CODE>N201</CODE></POSTBACK>", ["N201"]),
        ("<NOTIFICATION><CODE>N201</CODE></NOTIFICATION>", ["N201"]),
        ("<postback><notification><code>n201</code></notification></postback>", ["N201"]),
        (f"<POSTBACK>{SENT}{DELIVERED}</POSTBACK>", ["N201", "N202"]),
        (f"<POSTBACK><CODE>N201</CODE>{DELIVERED}</POSTBACK>", ["N201", "N202"]),
        ("<POSTBACK><CODE>N201</CODE></POSTBACK><POSTBACK><CODE>N202</CODE></POSTBACK>",
         ["N201", "N202"]),
        ("<xml><POSTBACK><CODE>N201</CODE></POSTBACK></xml>", ["N201"]),
        ("<other><CODE>N201</CODE></other>", ["N201"]),
        ("<NOTIFICATION><ORIGIN>SMS_MT</ORIGIN><BODY><CODE>N201</CODE></BODY></NOTIFICATION>",
         ["N201"]),
        ('{"postback": {"code": "N201"}}', ["N201"]),
        ('[{"code": "N201"}, {"code": "N202"}, {"code": "N201"}]', ["N201", "N202", "N201"]),
    ],
)  # fmt: skip
def test_notifications_in_a_body(now: datetime, body: str, codes: list[str]) -> None:
    assert [event.data["code"] for event in read_postback(body.encode(), now)] == codes


def test_hundreds_of_notifications_in_a_body(now: datetime) -> None:
    each = (
        "<NOTIFICATION id='{0}'><ORIGIN>SMS_MT</ORIGIN><CODE>N202</CODE><BODY><FROM>60856</FROM>"
        "<FROM_MASK><FROM_MASK><TO>1774319{0:04}</TO><TRACKINGID>SMS_{0}</TRACKINGID>"
        "<STATUS>Message Sent/Delivered</STATUS></BODY></NOTIFICATION>"
    )
    body = f"<POSTBACK>{''.join(each.format(number) for number in range(350))}</POSTBACK>"
    events = read_postback(body.encode(), now)
    assert [event.tracking_id for event in events] == [f"SMS_{number}" for number in range(350)]
    assert {event.type for event in events} == {"skycore.sms_delivered"}


def test_a_notification_that_cannot_be_read_does_not_spoil_the_others(now: datetime) -> None:
    unreadable = "<NOTIFICATION><TO>1</TO></NOTIFICATION>" * 2
    body = f"<POSTBACK>{SENT}{unreadable}{DELIVERED}</POSTBACK>".encode()
    events = read_postback(body, now)
    assert [event.event for event in events] == [
        "sms_sent",
        "unparsed",
        "sms_delivered",
    ]
    assert events[1].data["error"] == "notifications 2, 3 of 4: no code"
    assert len({event.id for event in events}) == 3


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("+447700900123", "447700900123"),
        ("+1 (774) 319-9144", "17743199144"),
        ("17743199144", "17743199144"),
        ("60856", "60856"),
        ("ACME", "ACME"),
        ("+ACME", "+ACME"),
        ("+" + "1" * 40, "+" + "1" * 40),
    ],
)
@pytest.mark.parametrize("name", ["to", "from", "mobile"])
def test_numbers_are_digits(read: Read, name: str, written: str, told: str) -> None:
    assert read(f"<POSTBACK><CODE>N202</CODE><{name}>{written}</{name}></POSTBACK>").data[name] == (
        told
    )


@pytest.mark.parametrize("origin", ["", "SMS_MT", "SUB", "SMS_MO", "MMS_MO"])
@pytest.mark.parametrize(
    ("code", "counterpart"), [("N211", "1774"), ("N401", "1774"), ("N202", "60856")]
)
def test_the_code_says_who_the_other_side_is(
    read: Read, code: str, origin: str, counterpart: str
) -> None:
    fields = f"<ORIGIN>{origin}</ORIGIN><FROM>1774</FROM><TO>60856</TO>"
    event = read(f"<POSTBACK><CODE>{code}</CODE>{fields}</POSTBACK>")
    assert (event.subscriber_number, event.subject) == (counterpart, counterpart)


@pytest.mark.parametrize(
    ("inside", "subject", "counterpart"),
    [
        ("<ORIGIN>SMS_MT</ORIGIN><TO>+1774</TO><TRACKINGID>t</TRACKINGID>", "t", "1774"),
        ("<ORIGIN>SMS_MT</ORIGIN><TO>1774</TO><FROM>60856</FROM>", "1774", "1774"),
        ("<ORIGIN>SMS_MO</ORIGIN><TO>60856</TO><FROM>1774</FROM>", "1774", "1774"),
        ("<ORIGIN>SUB</ORIGIN><MOBILE>1774</MOBILE><CAMPAIGNID>2</CAMPAIGNID>", "1774", "1774"),
        ("<ORIGIN>EMAIL_SUB</ORIGIN><EMAIL>a@example.com</EMAIL>", "a@example.com", None),
        ("<ORIGIN>MMS_MT</ORIGIN><MMSID>35</MMSID>", "35", None),
        ("<ORIGIN>SMS_MT</ORIGIN><TO>ACME</TO>", "ACME", None),
        ("<PASSDATAID>8</PASSDATAID><SERIALNUMBER>9</SERIALNUMBER>", "8", None),
        ("<SERIALNUMBER>9</SERIALNUMBER>", "9", None),
        ("<NEW>9</NEW>", None, None),
    ],
)  # fmt: skip
def test_subject_and_counterpart(
    read: Read, inside: str, subject: str | None, counterpart: str | None
) -> None:
    event = read(f"<POSTBACK><CODE>N999</CODE>{inside}</POSTBACK>")
    assert (event.subject, event.subscriber_number) == (subject, counterpart)
