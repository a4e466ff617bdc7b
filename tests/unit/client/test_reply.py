"""What a reply is taken for."""

import base64
import gzip
import html
import json
import time
import zlib
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skycore.catalogue.actions import Action, all_actions, find_action
from skycore.client.errors import (
    HTTP_PROBLEMS,
    MAX_RETRY_AFTER,
    HttpRefused,
    OutcomeUnknown,
    Refused,
)
from skycore.client.reply import MAX_REPLY_BYTES, Reply, read_reply

OK = "<STATUS>Success</STATUS>"


def action_named(name: str) -> Action:
    action = find_action(name)
    assert action is not None
    return action


def read(name: str, inner: str, status: int = 200) -> Reply:
    return read_reply(action_named(name), status, f"<RESPONSE>{inner}</RESPONSE>".encode())


DONE: list[tuple[str, str, str, dict[str, Any]]] = [
    (
        "SMS",
        "sendSMS",
        f"{OK}<TRACKINGID>U01TXzkwNDE3MzM=</TRACKINGID><TO>17743199144</TO>",
        {"tracking_id": "U01TXzkwNDE3MzM=", "to": "17743199144"},
    ),
    (
        "any case, blanks, hyphens",
        "sendMMS",
        "<status> SUCCESS </status><tracking-id> T1 </tracking-id><mms-id>7</mms-id>",
        {"status": "SUCCESS", "tracking_id": "T1", "mms_id": "7"},
    ),
    (
        "undocumented elements",
        "sendSMS",
        f"{OK}<TRACKINGID>T1</TRACKINGID><Price-Code>a</Price-Code><X><Y>1</Y></X><Z/><Z>2</Z>",
        {"tracking_id": "T1", "price_code": "a", "x": {"y": "1"}, "z": ["", "2"]},
    ),
    (
        "campaign",
        "sendSavedMMSCampaign",
        f"{OK}<SCHEDULEDID>9</SCHEDULEDID>",
        {"scheduled_id": "9"},
    ),
    ("ids", "getMmsIds", f"{OK}<MMSIDS>1, 2,3,</MMSIDS>", {"mms_ids": ["1", "2", "3"]}),
    ("no ids", "getEmailIds", f"{OK}<EMAILIDS/>", {"email_ids": []}),
    (
        "ids one by one",
        "getPassTemplateIds",
        f"{OK}<PASSTEMPLATEIDS><ID>1</ID><ID>2</ID></PASSTEMPLATEIDS>",
        {"pass_template_ids": ["1", "2"]},
    ),
    (
        "campaigns",
        "getMmsCampaigns",
        (
            f"{OK}<MMSCAMPAIGNS><CAMPAIGN><ID>1</ID><NAME>a &amp; b</NAME></CAMPAIGN>"
            "<CAMPAIGN><ID>2</ID><NAME/></CAMPAIGN></MMSCAMPAIGNS>"
        ),
        {"campaigns": [{"id": "1", "name": "a & b"}, {"id": "2", "name": ""}]},
    ),
    ("no campaigns", "getEmailCampaigns", f"{OK}<EMAILCAMPAIGNS/>", {"campaigns": []}),
    (
        "templates",
        "getMMSTemplates",
        (
            f"{OK}<PAGE_NUMBER>1</PAGE_NUMBER><TOTAL_RESULTS>many</TOTAL_RESULTS>"
            "<ITEMS_PER_PAGE> 100 </ITEMS_PER_PAGE>"
            "<MMS_TEMPLATE><mms-id>7</mms-id><mms-name>n</mms-name></MMS_TEMPLATE>"
            "<MMS_TEMPLATE><mms-id>8</mms-id></MMS_TEMPLATE>"
        ),
        {
            "page_number": 1,
            "items_per_page": 100,
            "total_results": "many",
            "mms_templates": [{"mms_id": "7", "mms_name": "n"}, {"mms_id": "8"}],
        },
    ),
    (
        "one template in a wrapper",
        "getMMSTemplates",
        f"{OK}<MMS_TEMPLATES><MMS_TEMPLATE><MMSID>7</MMSID></MMS_TEMPLATE></MMS_TEMPLATES>",
        {"mms_templates": [{"mms_id": "7"}]},
    ),
    (
        "pass template",
        "getPassTemplate",
        (
            f"{OK}<PASSTEMPLATEID>a</PASSTEMPLATEID><PASSTEMPLATE><PASSNAME>n</PASSNAME>"
            "<HEADERFIELDS>1</HEADERFIELDS><SECLABEL3>l</SECLABEL3></PASSTEMPLATE>"
        ),
        {
            "pass_template_id": "a",
            "pass_template": {"pass_name": "n", "header_fields": 1, "sec_label3": "l"},
        },
    ),
    (
        "bare ampersand",
        "generatePass",
        f"{OK}<DOWNLOADURL>https://a.example/d?a=1&b=2&amp;c=3&copy;</DOWNLOADURL>",
        {"download_url": "https://a.example/d?a=1&b=2&c=3&copy;"},
    ),
    (
        "raw HTML",
        "getPassEmailTemplate",
        (
            f"{OK}<WARNINGCODE>E915</WARNINGCODE><EMAILHTML><!DOCTYPE html><html><br><p>a & b"
            " &nbsp;<STATUS>Failure</STATUS></html></EMAILHTML>"
        ),
        {
            "warning_code": "E915",
            "email_html": "<!DOCTYPE html><html><br><p>a & b &nbsp;<STATUS>Failure</STATUS></html>",
        },
    ),
    (
        "HTML that happens to be XML",
        "getPassEmailTemplate",
        f"{OK}<EMAILHTML><p class='a'>1 &lt; 2<br/></p></EMAILHTML>",
        {"email_html": "<p class='a'>1 &lt; 2<br/></p>"},
    ),
    (
        "escaped HTML",
        "getPassEmailTemplate",
        f"{OK}<EMAILHTML>&lt;p&gt;a &amp;amp; b&lt;/p&gt;</EMAILHTML><PASSLINK>a?b&c</PASSLINK>",
        {"email_html": "<p>a &amp; b</p>", "pass_link": "a?b&c"},
    ),
    (
        "HTML in CDATA",
        "getPassEmailTemplate",
        f"{OK}<EMAILHTML><![CDATA[<p>a & b<br>]]></EMAILHTML>",
        {"email_html": "<p>a & b<br>"},
    ),
    (
        "partial failure",
        "sendMessageBySubscriberRef",
        (
            "<SUBSCRIBERREF>s</SUBSCRIBERREF><SUBSCRIBER><STATUS>Success</STATUS>"
            "<TRACKINGID>T1</TRACKINGID><TO>1</TO></SUBSCRIBER><SUBSCRIBER><STATUS>Failure</STATUS>"
            "<TO>2</TO><ERRORCODE>E114</ERRORCODE><ERRORINFO>no</ERRORINFO></SUBSCRIBER>"
        ),
        {
            "subscriber_ref": "s",
            "subscribers": [
                {"status": "Success", "tracking_id": "T1", "to": "1"},
                {"status": "Failure", "to": "2", "error_code": "E114", "error_info": "no"},
            ],
        },
    ),
    (
        "several numbers in the form of 2013",
        "sendSavedMMS",
        (
            f"{OK}<SENDING><TO>1</TO><TRACKINGID>T1</TRACKINGID></SENDING>"
            "<SENDING><TO>2</TO><ERRORCODE>E110</ERRORCODE></SENDING>"
        ),
        {
            "sendings": [
                {"to": "1", "tracking_id": "T1"},
                {"to": "2", "error_code": "E110"},
            ]
        },
    ),
    (
        "one number in the form of 2013",
        "sendSavedMMS",
        f"{OK}<SENDING><TO>1</TO><TRACKINGID>T1</TRACKINGID></SENDING>",
        {"to": "1", "tracking_id": "T1"},
    ),
    (
        "report without a status",
        "getSendingStatus",
        "<URL>https://a.example/r.xml</URL>",
        {"url": "https://a.example/r.xml"},
    ),
    (
        "new user",
        "createUser",
        f"{OK}<USERNAME>u</USERNAME><PASSWORD>5d41</PASSWORD><API_KEY>k</API_KEY>",
        {"username": "u", "password": "5d41", "api_key": "k"},
    ),
    ("an empty error code is none", "deleteMMSID", f"{OK}<ERRORCODE/>", {"error_code": ""}),
]


@pytest.mark.parametrize(
    ("name", "inner", "fields"), [row[1:] for row in DONE], ids=[row[0] for row in DONE]
)
def test_done(name: str, inner: str, fields: dict[str, Any]) -> None:
    reply = read(name, inner)
    status = {"status": "Success"} if inner.startswith(OK) else {}
    assert reply.fields == {**status, **fields}
    assert repr(reply) == f"Reply(action='{name}')"


def refused_each(*codes: str) -> str:
    """Return a reply that refuses each of several recipients."""
    failed = "<TO>{}</TO><STATUS>Failure</STATUS><ERRORCODE>{}</ERRORCODE>"
    parts = [failed.format(number, code) for number, code in enumerate(codes, 1)]
    return "".join(f"<SENDING>{part}</SENDING>" for part in parts)


SUBSCRIBERS = "sendMessageBySubscriberRef"


@pytest.mark.parametrize("code", ["E104", "e112", "E107", "E106", "E120"])
@pytest.mark.parametrize("before", ["", OK])
def test_recipients_refused_for_the_account_or_a_limit_are_one_refusal(
    code: str, before: str
) -> None:
    with pytest.raises(Refused) as caught:
        read(SUBSCRIBERS, before + refused_each(code, code, code))
    assert caught.value.code == code.upper()
    assert caught.value.problem.code in {"skycore_account", "rate_limited"}


@pytest.mark.parametrize(
    "inner",
    [
        refused_each("E114", "E114"),
        refused_each("E114", "E112"),
        refused_each("E503", "E112"),
        refused_each("E112") + "<SENDING><TO>2</TO><TRACKINGID>T</TRACKINGID></SENDING>",
        f"{OK}<TRACKINGID>T</TRACKINGID>" + refused_each("E112", "E112"),
    ],
)
def test_only_what_proves_that_nobody_can_be_reached_is_one_refusal(inner: str) -> None:
    reply = read(SUBSCRIBERS, inner)
    assert len(reply.recipients) == 2


FAILURES = [
    ("failure", "<STATUS>Failure</STATUS><ERRORCODE>E110</ERRORCODE>", "E110"),
    ("any case", "<Status>FAILURE</Status><ErrorCode> e110 </ErrorCode>", "E110"),
    ("no status", "<ERRORCODE>E503</ERRORCODE>", "E503"),
    ("unknown code", "<STATUS>Failure</STATUS><ERRORCODE>E000</ERRORCODE>", "E000"),
    ("odd code", "<STATUS>Failure</STATUS><ERRORCODE>104</ERRORCODE>", "104"),
    (
        "a tracking id in a failure",
        "<STATUS>Failure</STATUS><TRACKINGID>T</TRACKINGID><ERRORCODE>E110</ERRORCODE>",
        "E110",
    ),
    ("no code", "<STATUS>Failure</STATUS>", ""),
    ("hyphens", "<status>Failure</status><error-code>E110</error-code>", "E110"),
    ("2013", "<SENDING><TO>1</TO><ERRORCODE>E110</ERRORCODE></SENDING>", "E110"),
    (
        "2013, the request a success and its only recipient an error",
        f"{OK}<SENDING><TO>1</TO><ERRORCODE>E110</ERRORCODE></SENDING>",
        "E110",
    ),
]


@pytest.mark.parametrize("http_status", [200, 400, 403])
@pytest.mark.parametrize(
    ("inner", "code"), [row[1:] for row in FAILURES], ids=[row[0] for row in FAILURES]
)
def test_refused(inner: str, code: str, http_status: int) -> None:
    with pytest.raises(Refused) as caught:
        read("sendSMS", inner, http_status)
    assert caught.value.code == code


def test_refusal_carries_what_it_echoes_but_shows_none_of_it() -> None:
    inner = (
        "<STATUS>Failure</STATUS><TO>17743199144</TO><ERRORCODE>E110</ERRORCODE>"
        "<ERRORINFO>17743199144 is & invalid</ERRORINFO>"
    )
    with pytest.raises(Refused) as caught:
        read("sendSMS", inner)
    refusal = caught.value
    assert (refusal.info, refusal.fields) == ("17743199144 is & invalid", {"to": "17743199144"})
    assert (refusal.problem.status, refusal.problem.code) == (422, "skycore_rejected")
    assert "7743199144" not in f"{refusal} {refusal!r}"


@pytest.mark.parametrize(
    ("code", "info", "seconds"),
    [
        ("E106", "Minimum 3 seconds between calls", 3),
        ("E106", "wait 0.5 seconds", 1),
        ("E106", "wait 1.2s", 2),
        ("E106", "1 sec", 1),
        ("E106", "10-second spacing", 10),
        ("E106", "too fast", None),
        ("E106", "limit 5 calls", None),
        ("E110", "17 seconds", None),
        ("E000", "3 seconds", None),
    ],
)
def test_retry_after(code: str, info: str, seconds: int | None) -> None:
    assert Refused(code, info).retry_after == seconds


def test_unspecified_fault_may_be_repeated_only_when_it_read() -> None:
    for action in all_actions():
        with pytest.raises(Refused) as caught:
            read(action.name, "<STATUS>Failure</STATUS><ERRORCODE>E503</ERRORCODE>")
        assert caught.value.problem.status == 504
        assert caught.value.problem.retryable == (action.effect == "read")


WHOLE = f"<RESPONSE>{OK}<TRACKINGID>T1</TRACKINGID><TO>17743199144</TO></RESPONSE>"
BOMB = (
    '<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    f"<RESPONSE>{OK}<TRACKINGID>&b;</TRACKINGID></RESPONSE>"
)


def escaped(text: str, times: int) -> str:
    return escaped(html.escape(text), times - 1) if times else text


UNKNOWN = {
    "empty": b"",
    "blank": b" \n",
    "only a declaration": b"<?xml version='1.0'?>",
    "not XML": b"Fatal error",
    "HTML": b"<html><body>Success</body></html>",
    "JSON": b'{"status":"Success"}',
    "another root": b"<POSTBACK><STATUS>Success</STATUS><TRACKINGID>T</TRACKINGID></POSTBACK>",
    "two roots": WHOLE.encode() * 2,
    "two roots in each other": WHOLE.replace("<TO>", WHOLE + "<TO>").encode(),
    "opened twice": b"<RESPONSE>" + WHOLE.encode(),
    "closed twice": WHOLE.encode() + b"</RESPONSE>",
    "closed before it is opened": b"</RESPONSE><RESPONSE>",
    "in a comment": b"<!-- " + WHOLE.encode() + b" -->",
    "half a gzip": gzip.compress(WHOLE.encode(), mtime=0)[:-9],
    "no gzip": b"\x1f\x8b" + WHOLE.encode(),
    "a gzip bomb": gzip.compress(b" " * (MAX_REPLY_BYTES + 1)),
    "a gzip bomb in gzip": gzip.compress(gzip.compress(b" " * (MAX_REPLY_BYTES + 1))),
    "no status": b"<RESPONSE><TRACKINGID>T1</TRACKINGID></RESPONSE>",
    "another status": b"<RESPONSE><STATUS>Queued</STATUS><TRACKINGID>T</TRACKINGID></RESPONSE>",
    "no tracking id": b"<RESPONSE><STATUS>Success</STATUS></RESPONSE>",
    "empty tracking id": b"<RESPONSE><STATUS>Success</STATUS><TRACKINGID> </TRACKINGID></RESPONSE>",
    "tracking id and error": b"<RESPONSE><STATUS>Success</STATUS><TRACKINGID>T</TRACKINGID>"
    b"<ERRORCODE>E106</ERRORCODE></RESPONSE>",
    "success and error": b"<RESPONSE><STATUS>Success</STATUS><ERRORCODE>E106</ERRORCODE>"
    b"</RESPONSE>",
    "scheduled id and error": b"<RESPONSE><SCHEDULEDID>9</SCHEDULEDID><ERRORCODE>E106</ERRORCODE>"
    b"</RESPONSE>",
    "subscriber a success, and an error": b"<RESPONSE><ERRORCODE>E106</ERRORCODE><SUBSCRIBER>"
    b"<STATUS>Success</STATUS></SUBSCRIBER></RESPONSE>",
    "subscriber sent to, and an error": b"<RESPONSE><ERRORCODE>E106</ERRORCODE><SUBSCRIBER>"
    b"<TRACKINGID>T</TRACKINGID></SUBSCRIBER></RESPONSE>",
    "entities": BOMB.encode(),
    "document type": b"<!DOCTYPE RESPONSE>" + WHOLE.encode(),
    "entity before it": b"<!ENTITY b 'x'>" + WHOLE.replace("T1", "&b;").encode(),
    "a tracking id of control characters": WHOLE.replace("T1", "\0\x01").encode(),
    "two replies in a form": urlencode({"xml": WHOLE, "b": WHOLE}).encode(),
    "half a reply in a form": urlencode({"xml": WHOLE[:-5]}).encode(),
    "half a reply in base64": base64.b64encode(WHOLE[:-5].encode()),
    "two replies in HTML escapes": html.escape(WHOLE * 2).encode(),
    "a page that shows a reply": f"<html><pre>{html.escape(WHOLE)}</pre></html>".encode(),
    "an open comment before it": b"<!-- " + WHOLE.encode(),
    "escapes within escapes within escapes": escaped(WHOLE, 8).encode(),
    "mismatched tags": WHOLE.replace("</TO>", "</OT>").encode(),
    "too deep": b"<RESPONSE>" + b"<A>" * 5000 + b"</A>" * 5000 + b"</RESPONSE>",
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_outcome_unknown(name: str) -> None:
    with pytest.raises(OutcomeUnknown):
        read_reply(action_named("sendSMS"), 200, UNKNOWN[name])


@pytest.mark.parametrize("status", [100, 301, 302, 304, 307, 500, 502, 503, 504, 599])
@pytest.mark.parametrize("body", [WHOLE, WHOLE.replace("Success", "Failure"), ""])
def test_http_errors_leave_the_outcome_unknown(status: int, body: str) -> None:
    with pytest.raises(OutcomeUnknown, match=f"HTTP {status}"):
        read_reply(action_named("sendSMS"), status, body.encode())


# The problem of each HTTP status without a document of Skycore; of any other: unknown.
WITHOUT_DOCUMENT = {
    **dict.fromkeys((401, 403, 404, 405, 407), "skycore_account"),
    **dict.fromkeys((413, 421, 431), "skycore_unreachable"),
    429: "rate_limited",
}
PAGES = {
    "nothing": b"",
    "a page": b"<html><body>403 Forbidden</body></html>",
    "JSON": b'{"message": "Too Many Requests"}',
    "other XML": b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>",
    "other XML without end tags": b"<?xml version='1.0'?><Error code='AccessDenied'/>",
    "a declaration alone": b"<?xml version='1.0'?>",
    "XML that is cut off": b"<?xml version='1.0'?><Error><Code>Acc",
    "a form": b"error=AccessDenied&message=%3Cb%3Eno%3C/b%3E",
    "no text": bytes(range(256)),
}


def test_the_problems_of_http_statuses_are_those_of_the_contract() -> None:
    assert HTTP_PROBLEMS == WITHOUT_DOCUMENT


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("status", [200, 204, *range(300, 600)])
def test_an_http_error_without_a_document(status: int, page: str) -> None:
    expected = HttpRefused if status in WITHOUT_DOCUMENT else OutcomeUnknown
    with pytest.raises(expected) as caught:
        read_reply(action_named("sendSMS"), status, PAGES[page])
    if isinstance(caught.value, HttpRefused):
        assert (caught.value.status, caught.value.problem) == (status, WITHOUT_DOCUMENT[status])


@pytest.mark.parametrize("status", [*WITHOUT_DOCUMENT, 400, 408])
@pytest.mark.parametrize(
    "body",
    [
        WHOLE,
        WHOLE[:-5],
        WHOLE * 2,
        "<RESPONSE",
        "<?xml?><RES",
        "<?xml ver",
        "<",
        "<!DOCTYPE RESPONSE>" + WHOLE,
        "<RESPONSE/>",
    ],
)
def test_an_http_error_with_a_success_or_an_unreadable_document_is_unknown(
    status: int, body: str
) -> None:
    with pytest.raises(OutcomeUnknown, match=f"HTTP {status}"):
        read_reply(action_named("sendSMS"), status, f"{body} ".encode())


def _http_date(ahead: timedelta) -> str:
    return format_datetime(datetime.now(UTC) + ahead, usegmt=True)


@pytest.mark.parametrize(
    ("header", "low", "high"),
    [
        (None, None, None),
        ("", None, None),
        ("30", 30, 30),
        (" 30 ", 30, 30),
        ("0", 1, 1),
        ("86400", MAX_RETRY_AFTER, MAX_RETRY_AFTER),
        ("9" * 5000, MAX_RETRY_AFTER, MAX_RETRY_AFTER),
        # With ids: each test process must collect the same tests.
        pytest.param(_http_date(timedelta(seconds=90)), 1, 91, id="a date soon"),
        pytest.param(_http_date(timedelta(days=-1)), 1, 1, id="a past date"),
        pytest.param(
            _http_date(timedelta(days=9)), MAX_RETRY_AFTER, MAX_RETRY_AFTER, id="a far date"
        ),
        ("Fri, 31 Dec 9999 23:59:59 GMT", MAX_RETRY_AFTER, MAX_RETRY_AFTER),
        ("Sun, 99 Foo 2026 99:99:99 GMT", None, None),
        ("-5", None, None),
        ("1.5", None, None),
        ("\u0663", None, None),
        ("soon", None, None),
    ],
)
def test_retry_after_of_an_http_429(header: str | None, low: int | None, high: int | None) -> None:
    with pytest.raises(HttpRefused) as caught:
        read_reply(action_named("sendSMS"), 429, b"slow down", retry_after=header)
    seconds = caught.value.retry_after
    assert seconds is None if low is None or high is None else low <= (seconds or 0) <= high


TO = "17743199144"
OWN_NUMBER = [
    "",
    "<TO/>",
    f"<TO>{TO}</TO>",
    f"<TO>+{TO}</TO>",
    "<TO>+1 (774) 319-9144</TO>",
    "<TO>7743199144</TO>",
    "<TO>0017743199144</TO>",
    f"<TO>tel:+{TO}</TO>",
    f"<TO>{TO}/TYPE=PLMN</TO>",
    f"<TO>\u202d+{TO}\u202c</TO>",
    "<TO>1774319XXXX</TO>",
    f"<TO>17743190002,{TO}</TO>",
    "<TO>17743190002,17743190003</TO>",
    f"<TO>17743190002 {TO}</TO>",
    f"<TO>17743190002;{TO}</TO>",
    f"<TO>17743190002</TO><TO>{TO}</TO>",
    f"<TO><NUMBER>{TO}</NUMBER></TO>",
    f"<SENDING><TO>{TO}</TO><TRACKINGID>T1</TRACKINGID></SENDING>",
]
OTHER_NUMBER = [
    "<TO>17743199145</TO>",
    "<TO>+1 774 319 9145</TO>",
    "<TO>7743199145</TO>",
    "<TO>447743199144</TO>",
    "<TO>tel:+17743199145/TYPE=PLMN</TO>",
    "<TO>4</TO>",
    "<TO>9144</TO>",
    "<TO>3199144</TO>",
    "<TO>+7743199144</TO>",
    "<SENDING><TO>17743199145</TO><TRACKINGID>T1</TRACKINGID></SENDING>",
]


@pytest.mark.parametrize("element", OWN_NUMBER)
def test_a_reply_about_the_recipient_however_it_is_written(element: str) -> None:
    body = f"<RESPONSE>{OK}<TRACKINGID>T1</TRACKINGID>{element}</RESPONSE>".encode()
    reply = read_reply(action_named("sendSavedMMS"), 200, body, to=TO)
    assert reply.fields["tracking_id"] == "T1"


@pytest.mark.parametrize("element", OTHER_NUMBER)
@pytest.mark.parametrize(
    "outcome",
    [
        f"{OK}<TRACKINGID>T1</TRACKINGID>",
        "<STATUS>Failure</STATUS><ERRORCODE>E110</ERRORCODE>",
        "<STATUS>Failure</STATUS><ERRORCODE>E104</ERRORCODE>",
    ],
)
@pytest.mark.parametrize("status", [200, 400])
def test_a_reply_about_another_number_says_nothing(element: str, outcome: str, status: int) -> None:
    body = f"<RESPONSE>{outcome}{element}</RESPONSE>".encode()
    with pytest.raises(OutcomeUnknown, match="another number"):
        read_reply(action_named("sendSavedMMS"), status, body, to=TO)


@pytest.mark.parametrize("written", ["17743199144", "+17743199144", "tel:+17743199144"])
def test_a_number_that_ends_another_one_is_not_that_one(written: str) -> None:
    body = f"<RESPONSE>{OK}<TRACKINGID>T1</TRACKINGID><TO>{written}</TO></RESPONSE>".encode()
    with pytest.raises(OutcomeUnknown, match="another number"):
        read_reply(action_named("sendSMS"), 200, body, to="4917743199144")


@pytest.mark.parametrize(
    "code",
    ["The number 17743199144 did not take: Hello", "E110; x", "17743199144", "E\n110", "<b>"],
)
def test_a_text_in_place_of_an_error_code_is_not_a_code(code: str) -> None:
    escaped = code.replace("<", "&lt;")
    with pytest.raises(Refused) as caught:
        read("sendSMS", f"<STATUS>Failure</STATUS><ERRORCODE>{escaped}</ERRORCODE>")
    assert (caught.value.code, caught.value.problem.code) == ("", "skycore_rejected")
    group = {"to": "1", "error_code": code}
    (one,) = Reply("sendMessageBySubscriberRef", {"subscribers": [group]}).recipients
    assert (one["error_code"], one["outcome"]) == ("undocumented", "rejected")


@pytest.mark.parametrize("length", range(len(WHOLE)))
def test_no_part_of_a_reply_is_a_reply(length: int) -> None:
    with pytest.raises(OutcomeUnknown):
        read_reply(action_named("sendSMS"), 200, WHOLE[:length].encode())


@pytest.mark.parametrize(
    ("label", "body"),
    [
        ("declaration", b"<?xml version='1.0'?>\n" + WHOLE.encode()),
        ("blank before the declaration", b"\n <?xml version='1.0'?>" + WHOLE.encode() + b"\r\n"),
        ("UTF-8 mark", b"\xef\xbb\xbf" + WHOLE.encode()),
        ("three marks", b"\xef\xbb\xbf" * 3 + WHOLE.encode()),
        ("UTF-16", WHOLE.encode("utf-16")),
        ("UTF-16 without a mark", WHOLE.encode("utf-16-le")),
        ("UTF-16 that is declared UTF-8", f"<?xml encoding='utf-8'?>{WHOLE}".encode("utf-16")),
        ("declared UTF-16", b"<?xml version='1.0' encoding='utf-16'?>" + WHOLE.encode()),
        ("declared ISO-8859-15", b"<?xml version='1.0' encoding='ISO-8859-15'?>" + WHOLE.encode()),
        ("declared as nothing known", b"<?xml encoding='rot13'?>" + WHOLE.encode()),
        ("gzip", gzip.compress(WHOLE.encode(), mtime=0)),
        ("gzip in gzip", gzip.compress(gzip.compress(WHOLE.encode(), mtime=0), mtime=0)),
        ("zlib", zlib.compress(WHOLE.encode())),
        ("a PHP notice before", b"<br />\n<b>Notice</b>: x & y in <b>a.php</b>\n" + WHOLE.encode()),
        ("a PHP notice after", WHOLE.encode() + b"\n<br />\n<b>Warning</b>: <?php"),
        ("an HTML page around", f"<!DOCTYPE html><html><p>{WHOLE}</p></html>".encode()),
        ("another root around", f"<A>{WHOLE}</A>".encode()),
        ("JSON around", f'{{"xml": "{WHOLE}"}}'.encode()),
        ("a prefix", WHOLE.replace("RESPONSE>", "s:RESPONSE>").encode()),
        ("attributes", WHOLE.replace("<RESPONSE>", "<RESPONSE a='1'b='2'>").encode()),
        ("a blank in the end tag", WHOLE.replace("</RESPONSE>", "</RESPONSE \n>").encode()),
        ("letter case", WHOLE.replace("</RESPONSE>", "</Response>").encode()),
        ("an error code of zero", WHOLE.replace(OK, f"{OK}<ERRORCODE>0</ERRORCODE>").encode()),
        ("an error code of zeros", WHOLE.replace(OK, f"{OK}<ERRORCODE>000</ERRORCODE>").encode()),
        ("an empty error code", WHOLE.replace(OK, f"{OK}<ERRORCODE></ERRORCODE>").encode()),
        ("a control character", WHOLE.replace(OK, f"{OK}<X>\x01</X>").encode()),
        ("a bare <", WHOLE.replace(OK, f"{OK}<X>I <3 you</X>").encode()),
        ("half an emoji", WHOLE.replace(OK, f"{OK}<X>&#xD83D;</X>").encode()),
        ("a field left open", WHOLE.replace(OK, f"{OK}<FROM>60856").encode()),
        ("Latin-1", b'<?xml version="1.0" encoding="ISO-8859-1"?>' + WHOLE.encode("latin-1")),
        ("a stray byte", WHOLE.replace("</TO>", "</TO><X>\u00e9</X>").encode("latin-1")),
        ("a namespace", WHOLE.replace("<RESPONSE>", "<RESPONSE xmlns='urn:x'>").encode()),
        ("a comment", WHOLE.replace(OK, f"<!-- & -->{OK}").encode()),
        ("a comment beside it", b"<!-- <RESPONSE> -->" + WHOLE.encode()),
        ("a comment behind it", WHOLE.encode() + b"<!-- </RESPONSE> -->"),
        ("a comment in it", WHOLE.replace("<TO>", "<!-- </RESPONSE> --><TO>").encode()),
        ("no comment but CDATA", WHOLE.replace(OK, f"<X><![CDATA[<!--]]></X>{OK}").encode()),
        ("HTML escapes", html.escape(WHOLE).encode()),
        ("HTML escapes twice", escaped(WHOLE, 2).encode()),
        ("a form", urlencode({"xml": WHOLE}).encode()),
        ("a form with other fields", urlencode({"a": "1", "XML": WHOLE, "b": "2"}).encode()),
        ("a field that is not escaped", b"xml=" + WHOLE.encode()),
        ("percent encoding", quote(WHOLE).encode()),
        ("base64", base64.b64encode(WHOLE.encode())),
        ("base64 in a form", urlencode({"xml": base64.b64encode(WHOLE.encode())}).encode()),
        ("base64 of gzip", base64.b64encode(gzip.compress(WHOLE.encode(), mtime=0))),
        ("a JSON text of PHP", json.dumps(WHOLE).replace("/", "\\/").encode()),
        ("no error in letters", WHOLE.replace(OK, f"{OK}<ERRORCODE>None</ERRORCODE>").encode()),
        ("no error as null", WHOLE.replace(OK, f"{OK}<ERRORCODE>NULL</ERRORCODE>").encode()),
        ("no error E0", WHOLE.replace(OK, f"{OK}<ERRORCODE>E0</ERRORCODE>").encode()),
        ("no error E000", WHOLE.replace(OK, f"{OK}<ERRORCODE>E000</ERRORCODE>").encode()),
    ],
)
def test_a_whole_success_is_understood(label: str, body: bytes) -> None:
    assert read_reply(action_named("sendSMS"), 200, body).fields["tracking_id"] == "T1"


@pytest.mark.parametrize("character", ["\0", "\x0b", "\x1f", "&#11;"])
def test_a_control_character_in_a_tracking_id_is_that_of_the_postbacks(character: str) -> None:
    body = WHOLE.replace("T1", f"T{character}1").encode()
    assert read_reply(action_named("sendSMS"), 200, body).fields["tracking_id"] == "T\ufffd1"


@given(st.binary(max_size=200), st.sampled_from(all_actions()))
def test_no_bytes_crash(body: bytes, action: Action) -> None:
    for content in (body, b"<RESPONSE>" + body + b"</RESPONSE>"):
        try:
            read_reply(action, 200, content)
        except (OutcomeUnknown, Refused):
            continue


def test_hostile_replies_take_linear_time() -> None:
    began = time.process_time()
    pieces = (
        "<?xml ",
        "<!--",
        "<!-- -->",
        "<![CDATA[",
        "<![CDATA[]]>",
        "<EMAILHTML>",
        "</EMAILHTML>",
        "<EMAILHTML ",
        "&",
        "</RESPONSE ",
        "1 ",
        "<A>",
    )
    for piece in pieces:
        for head in ("<RESPONSE>", "<RESPONSE><EMAILHTML>", ""):
            body = head + piece * (2**19 // len(piece)) + "</RESPONSE>"
            with pytest.raises((OutcomeUnknown, Refused)):
                read_reply(action_named("sendSMS"), 200, body.encode())
    assert time.process_time() - began < 10  # quadratic would be minutes


def test_success_with_an_error_is_a_refusal_where_nothing_is_sent() -> None:
    with pytest.raises(Refused):
        read("deleteMMSID", f"{OK}<ERRORCODE>E110</ERRORCODE>")


def test_a_campaign_that_was_scheduled_with_an_error_is_unknown() -> None:
    with pytest.raises(OutcomeUnknown):
        read(
            "sendSavedMMSCampaign",
            f"{OK}<SCHEDULEDID>9</SCHEDULEDID><ERRORCODE>E106</ERRORCODE>",
        )


RECIPIENTS = [
    ("success", {"status": "Success", "tracking_id": "T"}, "accepted", None),
    ("no status", {"tracking_id": "T"}, "accepted", None),
    ("refused", {"status": "Failure", "error_code": "E114"}, "rejected", "skycore_rejected"),
    ("refused without a status", {"error_code": "e114"}, "rejected", "skycore_rejected"),
    ("limited", {"error_code": "E106"}, "rejected", "rate_limited"),
    ("account", {"error_code": "E713"}, "rejected", "skycore_account"),
    ("failure without a code", {"status": "failure"}, "rejected", "skycore_rejected"),
    ("E503", {"status": "Failure", "error_code": "E503"}, "unknown", "outcome_unknown"),
    ("both", {"tracking_id": "T", "error_code": "E114"}, "unknown", "skycore_rejected"),
    ("neither", {}, "unknown", None),
    ("success alone", {"status": "Success", "error_code": ""}, "unknown", None),
]


@pytest.mark.parametrize("group", ["subscribers", "sendings"])
@pytest.mark.parametrize(
    ("told", "outcome", "problem"), [row[1:] for row in RECIPIENTS], ids=[r[0] for r in RECIPIENTS]
)
def test_recipients(group: str, told: dict[str, Any], outcome: str, problem: str | None) -> None:
    (one,) = Reply("sendMessageBySubscriberRef", {group: [{"to": "1", **told}]}).recipients
    known = {} if problem is None else {"problem": problem}
    assert one == {"to": "1", **told, "outcome": outcome, **known}


def test_a_single_recipient_is_no_group() -> None:
    assert Reply("sendSMS", {"tracking_id": "T1"}).recipients == []
