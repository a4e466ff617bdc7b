"""What strangers write is read as text: it breaks no postback and makes no event of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from skycore.postbacks.event import Event
from skycore.postbacks.parser import read_postback

if TYPE_CHECKING:
    from datetime import datetime

Read = Callable[[str | bytes], Event]
SENDER, STRANGER = "15550001111", "17743199144"


def inbound_sms(text: str) -> str:
    return (
        f"<POSTBACK><ORIGIN>SMS_MO</ORIGIN><CODE>N211</CODE><FROM>{SENDER}</FROM><TO>60856</TO>"
        f"<TEXT>{text}</TEXT><RECEIVED>2026-11-22T05:41:00-05:00</RECEIVED>"
        "<TRANSACTIONID>A-1</TRANSACTIONID></POSTBACK>"
    )


def inbound_mms(keyword: str, subject: str) -> str:
    return (
        f"<POSTBACK><ORIGIN>MMS_MO</ORIGIN><CODE>N401</CODE><FROM>{SENDER}</FROM><TO>60856</TO>"
        f"<KEYWORD>{keyword}</KEYWORD><SUBJECT>{subject}</SUBJECT><TRACKINGID>MMS_MO_1</TRACKINGID>"
        "<CONTENT><FILE>http://example.com/1.jpg</FILE></CONTENT></POSTBACK>"
    )


def wrapped(body: str) -> str:
    """The form of 2014: NOTIFICATION in POSTBACK."""
    inner = body.removeprefix("<POSTBACK>").removesuffix("</POSTBACK>")
    return f"<POSTBACK><NOTIFICATION>{inner}</NOTIFICATION></POSTBACK>"


UNSUBSCRIBED = f"<CODE>N302</CODE><SOURCE>MO</SOURCE><MOBILE>{STRANGER}</MOBILE>"
TEXTS = [
    "I <3 you & me",
    "if a<b then b>a",
    "Ann <ann@example.com> STOP",
    "a <b>c</b> d",
    "<a href=\"x'>link",
    "<x>" * 40,
    "<<<<",
    "see ]]> this",
    "x <![CDATA[ y",
    "a]]>b<![CDATA[c",
    "a <!-- b",
    "<!-- b -->",
    "<?php echo 1 ?>",
    "<!DOCTYPE a [<!ENTITY b 'c'>]>&b;",
    "<b:c>x</b:c>",
    "&lol; &nbsp; & &#; &#xZ;",
    "</TEXT>",
    "<TEXT>",
    "</text >",
    "<text/>",
    "</TEXT></TEXT>",
    "</POSTBACK>",
    "<POSTBACK>",
    "<NOTIFICATION>",
    "<SUBJECT>a</SUBJECT>",
    "</SUBJECT>",
    "a</TEXT><FROM>1999</FROM><TEXT>b",
    "a</TEXT><CODE>N302</CODE><TEXT>",
    "a</TEXT><TIMESTAMP>2099-01-01T00:00:00Z</TIMESTAMP><TEXT>",
    f"a</TEXT><NOTIFICATION>{UNSUBSCRIBED}</NOTIFICATION><TEXT>",
    f"<NOTIFICATION>{UNSUBSCRIBED}</NOTIFICATION>",
]


@pytest.mark.parametrize("form", [inbound_sms, lambda text: wrapped(inbound_sms(text))])
@pytest.mark.parametrize("text", TEXTS)
def test_a_text_is_read_whatever_it_contains(read: Read, form: Any, text: str) -> None:
    event = read(form(text))
    assert event.data["text"] == text
    assert (event.event, event.data["from"]) == ("sms_received", SENDER)
    assert event.data["transaction_id"] == "A-1"
    assert event.data["timestamp"] == "2026-11-22T10:41:00Z"
    assert "extra" not in event.data


@pytest.mark.parametrize("text", [text for text in TEXTS if "SUBJECT" not in text])
def test_subject_and_keyword_are_read_whatever_they_contain(read: Read, text: str) -> None:
    event = read(inbound_mms("PIC", text.replace("TEXT", "SUBJECT").replace("text", "subject")))
    assert event.data["subject"] == text.replace("TEXT", "SUBJECT").replace("text", "subject")
    event = read(inbound_mms(text.replace("TEXT", "KEYWORD").replace("text", "keyword"), "Hi"))
    assert event.data["keyword"] == text.replace("TEXT", "KEYWORD").replace("text", "keyword")
    assert (event.event, event.data["subject"]) == ("mms_received", "Hi")
    assert event.data["files"] == ["http://example.com/1.jpg"]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("a &lt;b&gt; &amp;amp; &#39;c&#x27;", "a <b> &amp; 'c'"),
        ("&lt;3 & <3", "<3 & <3"),
        ("<![CDATA[<STOP> & &amp;]]>", "<STOP> & &amp;"),
        ("<![CDATA[a ]]> b]]>", "a ]]> b"),
        ("<![CDATA[a ]]]]><![CDATA[> b]]>", "a ]]> b"),
        ("\n<![CDATA[STOP]]>\n", "\nSTOP\n"),
        ("&#xD83D;&#xDE00; &#55357;&#56832;", "😀 😀"),
        ("&#1;\x02", "\ufffd\ufffd"),
        ("a\r\nb\rc", "a\nb\nc"),
        ("a&#13;b", "a\rb"),
    ],
)
def test_a_text_that_skycore_escaped(read: Read, content: str, text: str) -> None:
    assert read(inbound_sms(content)).data["text"] == text


@pytest.mark.parametrize("name", ["message-text", "Text", "sk:TEXT"])
def test_a_text_under_its_other_names(read: Read, name: str) -> None:
    body = inbound_sms("a </b> ]]> & <c").replace("<TEXT>", f"<{name}>")
    assert read(body.replace("</TEXT>", f"</{name}>")).data["text"] == "a </b> ]]> & <c"


def second(body: str, *, begins: str = "<POSTBACK>", ends: str = "</POSTBACK>") -> str:
    """A text that closes its notification, tells another and opens a third."""
    return f"a</TEXT>{ends}{begins}{body}{ends}{begins}<CODE>N211</CODE><TEXT>"


DELIVERED = "<CODE>N202</CODE><ORIGIN>SMS_MT</ORIGIN><TRACKINGID>T1</TRACKINGID>"


NEXT = "</NOTIFICATION><NOTIFICATION>"
OF_2011 = (
    '<POSTBACK><NOTIFICATION id="101" created="2026-11-29T05:00:00Z"><ORIGIN>SMS_MO</ORIGIN>'
    f"<CODE>N211</CODE><BODY><FROM>{SENDER}</FROM><TO>60856</TO><KEYWORD>{{}}</KEYWORD></BODY>"
    "</NOTIFICATION></POSTBACK>"
)
FORGED = [
    wrapped(inbound_mms("a", f"a</SUBJECT><FROM>1</FROM>{NEXT}{UNSUBSCRIBED}{NEXT}<SUBJECT>")),
    wrapped(inbound_mms("a", f"a</SUBJECT><CODE>N1</CODE>{NEXT}{UNSUBSCRIBED}{NEXT}"
                             "<CODE>N9</CODE><CODE>N8</CODE><SUBJECT>b")),
    wrapped(inbound_mms("a", f"a</SUBJECT>{NEXT}{DELIVERED}<TO>{SENDER}</TO>{NEXT}"
                             f"<CODE>N401</CODE><FROM>{SENDER}</FROM><SUBJECT>b")),
    wrapped(inbound_sms(f"a</TEXT>{NEXT}<CODE>N211</CODE><FROM>{STRANGER}</FROM><TEXT>STOP</TEXT>"
                        f"{NEXT}<CODE>N211</CODE><FROM>{SENDER}</FROM><TEXT>b")),
    OF_2011.format(f"a</KEYWORD></BODY></NOTIFICATION><NOTIFICATION ID='7'>{UNSUBSCRIBED}"
                   "</NOTIFICATION><NOTIFICATION ID='8'><CODE>N9</CODE><BODY><KEYWORD>b"),
    OF_2011.format("a</KEYWORD></BODY></NOTIFICATION><NOTIFICATION ID='7'><ORIGIN>SUB</ORIGIN>"
                   f"<CODE>N302</CODE><BODY><SOURCE>MO</SOURCE><MOBILE>{STRANGER}</MOBILE></BODY>"
                   "</NOTIFICATION><NOTIFICATION ID='8'><ORIGIN>SMS_MO</ORIGIN><CODE>N211</CODE>"
                   f"<BODY><FROM>{SENDER}</FROM><KEYWORD>b"),
]  # fmt: skip


@pytest.mark.parametrize(
    "body",
    [
        inbound_sms(second(UNSUBSCRIBED)),
        inbound_sms(second(DELIVERED)),
        inbound_sms(second(UNSUBSCRIBED, begins="<postback >", ends="</Postback\n>")),
        inbound_sms(second(UNSUBSCRIBED, begins="<?xml version='1.0'?><POSTBACK>")),
        inbound_sms(second(UNSUBSCRIBED, ends="</POSTBACK>", begins="<NOTIFICATION>")),
        wrapped(
            inbound_sms(second(UNSUBSCRIBED, begins="<NOTIFICATION>", ends="</NOTIFICATION>"))
        ),
        wrapped(
            inbound_sms(second(UNSUBSCRIBED, begins="x <NOTIFICATION>", ends="</NOTIFICATION>"))
        ),
        inbound_sms("hi") + inbound_sms("STOP").replace(SENDER, STRANGER),
        inbound_sms("hi").replace("</POSTBACK>", "<FROM>1999</FROM></POSTBACK>"),
        inbound_sms("hi").replace("</POSTBACK>", f"<FROM>{SENDER}</FROM></POSTBACK>"),
        inbound_sms("hi").replace("</POSTBACK>", "<CODE>N211</CODE></POSTBACK>"),
        inbound_sms("hi").replace("</POSTBACK>", f"{UNSUBSCRIBED}</POSTBACK>"),
        inbound_sms("hi").replace("</POSTBACK>", "<STATUSCODE>N302</STATUSCODE></POSTBACK>"),
        f"<POSTBACK><TEXT>STOP</TEXT><NOTIFICATION>{UNSUBSCRIBED}</NOTIFICATION></POSTBACK>",
        f"<NOTIFICATION><CODE>N211</CODE><FROM>1</FROM>{wrapped(UNSUBSCRIBED)}</NOTIFICATION>",
        f"<POSTBACK><CODE>N211</CODE><NOTIFICATION>{UNSUBSCRIBED}</NOTIFICATION></POSTBACK>",
        *FORGED,
        '{"code": "N211", "from": "1", "message-text": "a", "from": "2"}',
        '{"code": "N211", "from": "1", "message-text": "a", "message-text": "b"}',
        '{"code": "N211", "from": "1", "message-text": "a"}{"code": "N302", "mobile": "2"}',
        '[{"code": "N211", "from": "1", "message-text": "a"}, {"code": "N202"}]',
        '{"code": "N211", "from": "1", "message-text": "he said "STOP" ok"}',
        '{"code”: "N211", "message-text": "a”,“code”:“N302”,“x”:“b"}',
        '{"code”: "N211", "message-text": "a”,“mobile”:“2”,“x”:“b"}',
        '{"code": "N211", "notifications": [{"code": "N302", "mobile": "2"}], "keyword": "a"}',
        "from=1&code=N211&text=<POSTBACK><CODE>N302</CODE><MOBILE>2</MOBILE></POSTBACK>",
        "from=1&text=%3CPOSTBACK%3E%3CCODE%3EN302%3C/CODE%3E%3CMOBILE%3E2%3C/MOBILE%3E%3C/POSTBACK%3E",
        f"<other><TEXT>a <POSTBACK>{UNSUBSCRIBED}</POSTBACK></TEXT></other>",
    ],
)  # fmt: skip
def test_a_text_makes_no_event_about_a_stranger(read: Read, body: str) -> None:
    assert read(body).unparsed


@pytest.mark.parametrize(
    ("keyword", "subject"),
    [
        ("a", "b</KEYWORD><SOURCE>MO</SOURCE><SUBJECT>c"),
        ("a</KEYWORD><SOURCE>MO</SOURCE><SUBJECT>b", "c</KEYWORD>d"),
        ("a<SUBJECT>b", "c</KEYWORD>d"),
    ],
)
def test_texts_of_two_fields_that_overlap(read: Read, keyword: str, subject: str) -> None:
    """Where each ends is not certain, and a forged field could stand between them."""
    error = read(inbound_mms(keyword, subject)).data["error"]
    assert error == "the texts of two fields overlap"


RECEIPT = "<POSTBACK><CODE>N202</CODE><TO>{0}</TO><TRACKINGID>T{0}</TRACKINGID></POSTBACK>"


@pytest.mark.parametrize(
    "body",
    [
        RECEIPT.format(1) + RECEIPT.format(2),
        RECEIPT.format(1).replace("</POSTBACK>", "<TO>2</TO></POSTBACK>"),
        RECEIPT.format(1).replace(
            "</POSTBACK>",
            "<NOTIFICATION><CODE>N302</CODE><MOBILE>2</MOBILE></NOTIFICATION></POSTBACK>",
        ),
        '[{"code": "N202", "to": "1"}, {"code": "N202", "to": "2"}]',
        '{"code": "N202", "to": "1"}\n{"code": "N202", "to": "2"}',
        '{"notifications": [{"code": "N303", "email": "a@b"}, {"code": "N303", "email": "c@d"}]}',
        '{"code": "N202", "to": ["1", "2"]}',
        "<POSTBACK><FROM>1</FROM></POSTBACK>" + RECEIPT.format(2),
        RECEIPT.format(2) + "<POSTBACK><CODE>N202</CODE><CODE>N201</CODE></POSTBACK>",
        RECEIPT.format(1)
        .replace("<TO>", "<CODE>N201</CODE><TO>")
        .replace(
            "</POSTBACK>",
            "<NOTIFICATION><CODE>N302</CODE><MOBILE>2</MOBILE></NOTIFICATION></POSTBACK>",
        ),
        '[{"code": "N202", "to": "1"}, {"to": "2"}]',
        "<POSTBACK><CODE>N202</CODE><BODY><TO>1</TO><BODY><TO>2</TO></BODY></BODY></POSTBACK>",
        "<POSTBACK><CODE>N202</CODE><BODY><BODY><TO>1</TO><TO>2</TO></BODY></BODY></POSTBACK>",
        '{"code": "N202", "body": {"body": {"body": {"to": ["1", "2"]}}}}',
    ],
)
def test_a_body_on_several_people_where_one_is_documented(read: Read, body: str) -> None:
    assert read(body).unparsed


def test_a_documented_batch_reports_on_several_people(now: datetime) -> None:
    """Until 2013 a POSTBACK held all that was pending; its NOTIFICATIONs have ids and BODYs."""
    texts = ["a</TEXT> & <b>", "STOP", "</POSTBACK>"]
    inner = "".join(
        inbound_sms(text)
        .replace("<POSTBACK>", f'<NOTIFICATION id="{number}">')
        .replace("</CODE>", "</CODE><BODY>")
        .removesuffix("</POSTBACK>")
        .replace(SENDER, f"1555000111{number}")
        .replace("A-1", f"A-{number}")
        + "</BODY></NOTIFICATION>\n"
        for number, text in enumerate(texts)
    )
    events = read_postback(f"<POSTBACK>{inner}</POSTBACK>".encode(), now)
    assert [event.data["text"] for event in events] == texts
    assert len({event.data["from"] for event in events}) == len(texts)
    without_ids = inner.replace(' id="', ' number="')
    without_bodies = inner.replace("<BODY>", "").replace("</BODY>", "")
    for other in (without_ids, without_bodies):
        (event,) = read_postback(f"<POSTBACK>{other}</POSTBACK>".encode(), now)
        assert event.data["error"] == "texts and reports on several people in one body"


@pytest.mark.parametrize(
    "field",
    [
        "<STATUS>Message Sent/Delivered/STATUS>",
        "<STATUS>Message Sent/Delivered/STATUS",
        "<STATUS>Message Sent/Delivered&lt;/STATUS>",
        "<TRACKINGID>T1/TRACKINGID>",
        "<TRACKINGID>T1<</TRACKINGID>",
        "<TRACKINGID>T1&</TRACKINGID>",
        "<TRACKINGID>T1/<TRACKINGID>",
        "<TRACKINGID>T1INGID>",
        "<STATUSDETAILS>Bad <b>",
        "<STATUSDETAILS>Bad <b>x</b>",
        "<TIMESTAMP>2026-11-22T05:4<OS>x</OS>",
        "<TEXT>STOP<OS>x</OS>",
        "<CODE>N2<OS>x</OS>",
    ],
)
def test_a_repair_keeps_no_markup_in_a_value(read: Read, field: str) -> None:
    code = "" if "CODE" in field else "<CODE>N202</CODE>"
    assert read(f"<POSTBACK>{code}{field}<SPID>1</SPID></POSTBACK>").unparsed
