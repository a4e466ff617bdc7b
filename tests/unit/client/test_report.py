"""The report file, with the faults that it has."""

import time

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from requests.adapters import HTTPAdapter

from skycore.client.client import SkycoreClient
from skycore.client.errors import InvalidRequest, OutcomeUnknown
from skycore.client.reply import Reply
from skycore.client.report import ReportRow, read_report, report_link, report_url, text_digest
from skycore.client.request import Credentials
from tests.unit.client.skycore_server import answer, serve

SAMPLE = b"""<?xml version='1.0'?>
<RESPONSE>
<BATCHES>
<BATCH trackingid="B1" mmsid="7" from="60856" scheduled_date="2026-11-22 05:00@server localtime" />
<CONTENT to="17743199144"><MSG_STATUS><INQUE time="2026-11-22T05:00:00Z"/>
<ACK gw="9" net="1000" time="2026-11-22T05:00:01Z">
<DLR gw="20" net="1000" time="2026-11-22T05:00:09Z">
</MSG_STATUS><MM7_HANDSETID>motol7c</MM7_HANDSETID></CONTENT>
<CONTENT to="17743199145" mmsid="8">
<MSG_STATUS><EXPIRED gw="30" time="2026-11-22T06:00:00Z"/></MSG_STATUS>
</CONTENT>
</BATCH>
<BATCH trackingid="B2" from="60857" />
</BATCHES>
<AUTORESPONDERS><AUTORESPONDER from="60856"><TEXT to="17743199146" text='a "b" > c'>
<MSG_STATUS><ACK gw="10" net="1000"><REJECTED gw="35" net="2001"/></MSG_STATUS></TEXT>
</AUTORESPONDER>
</AUTORESPONDERS>
<SUBSCRIPTIONS><SUB from="60856"><TEXT to="1" trackingid="S1"/></SUB></SUBSCRIPTIONS>
<SENDING_LIST>
<TEXT trackingid="T1" from="+447911123456" to="17743199147"
 body="Fish & chips &amp; &#39;peas&#39; &copy;">
<MSG_STATUS><INIT gw="0"/><ERROR gw="99" net="500"/></MSG_STATUS></TEXT>
<!-- <TEXT trackingid="never"/> -->
<TEXT trackingid="T2" body="an odd " quote" to="17743199148"></TEXT>
<CONTENT trackingid="T3" to="17743199149"><MSG_STATUS><ACK gw="80"/><DLR gw="81"/></MSG_STATUS>
</CONTENT>
<CONTENT trackingid="T4" to="17743199149"><MSG_STATUS><OPENED gw="11"/><ACK gw="10"/></MSG_STATUS>
</SENDING_LIST>
</RESPONSE>
"""
EXPECTED = [
    ("mms", "batch", "B1", "17743199144", "60856", "7", "delivered"),
    ("mms", "batch", "B1", "17743199145", "60856", "8", "expired"),
    ("sms", "autoresponder", None, "17743199146", "60856", None, "rejected"),
    ("sms", "subscription", "S1", "1", "60856", None, None),
    ("sms", "single", "T1", "17743199147", "447911123456", None, "failed"),
    ("sms", "single", "T2", "17743199148", None, None, None),
    ("mms", "single", "T3", "17743199149", None, None, "ddm_delivered"),
    ("mms", "single", "T4", "17743199149", None, None, "opened"),
]


def told(row: ReportRow) -> tuple[str | None, ...]:
    return (row.kind, row.section, row.tracking_id, row.to, row.sender, row.mms_id, row.state)


def test_rows() -> None:
    report = read_report(SAMPLE)
    assert report.complete
    assert [told(row) for row in report.rows] == EXPECTED


def test_details() -> None:
    rows = {row.tracking_id: row for row in read_report(SAMPLE).rows}
    first = read_report(SAMPLE).rows[0]
    assert first.attributes["mm7handsetid"] == "motol7c"
    assert first.attributes["scheduleddate"] == "2026-11-22 05:00@server localtime"
    assert (first.gateway, first.network, first.time) == ("20", "1000", "2026-11-22T05:00:09Z")
    assert [step.state for step in first.steps] == ["queued", "sent", "delivered"]
    assert rows["T1"].attributes["body"] == "Fish & chips & 'peas' &copy;"
    assert "1774319914" not in repr(read_report(SAMPLE))
    assert "Fish" not in repr(read_report(SAMPLE))


@pytest.mark.parametrize("length", range(0, len(SAMPLE) - 13, 41))
def test_a_part_is_not_complete_and_its_rows_are_those_of_the_whole(length: int) -> None:
    report = read_report(SAMPLE[:length])
    assert not report.complete
    got = [told(row)[:2] for row in report.rows]
    assert got == [row[:2] for row in EXPECTED[: len(got)]]


@given(st.lists(st.sampled_from([b"<", b">", b'"', b"'", b"/", b"=", *SAMPLE.split(b" ")])))
def test_no_bytes_crash(pieces: list[bytes]) -> None:
    read_report(b" ".join(pieces))


HOSTILE = (b"<A ", b'<A b="', b"<TEXT>", b"<BATCH/>", b"<!--", b"<A b='", b"&", b"a", b"a =", b'"')


def test_hostile_files_take_linear_time() -> None:
    began = time.perf_counter()
    for piece in (*HOSTILE, *(piece + b">" for piece in HOSTILE)):
        read_report(b"<RESPONSE><A " + piece * (200_000 // len(piece)))
    assert time.perf_counter() - began < 10  # quadratic would be minutes


@pytest.mark.parametrize(
    ("fields", "link"),
    [
        ({"status": "Success", "url": "https://a.example/r.xml"}, "https://a.example/r.xml"),
        ({"link": "HTTP://a.example/r.xml"}, "HTTP://a.example/r.xml"),
        ({"mms_id": " https://a.example/r.xml\n"}, "https://a.example/r.xml"),
        ({"status": "Success", "file": "/reports/r.xml"}, "/reports/r.xml"),
        ({"status": "Success"}, None),
        ({"status": "Success", "file": "r.xml", "x": {"y": "1"}}, None),
    ],
)
def test_link(fields: dict[str, object], link: str | None) -> None:
    assert report_link(Reply("getSendingStatus", fields)) == link


# What Skycore's documentation shows, 2013 to 2015; kind, section, history id, group id, mms id,
# text, fallback and state.
STEPS = '<INQUE time="2012-04-30T08:30:12.327558Z"/>'
DOCUMENTED = {
    "a lone SMS": (
        (
            '<TEXT id="455118" to="11112233444" carrier="Verizon Wireless" from="60856"'
            ' body="Hi & bye"><ACK gw="10" net="0" time="2012-04-30 08:30:13-04">'
            '<DLR gw="20" net="0" time="x"></TEXT>'
        ),
        ("sms", "single", "455118", None, None, "Hi & bye", False, "delivered"),
    ),
    "a binary MMS": (
        (
            '<CONTENT id="1" to="1" from="60856" carrier="AT&T" delivery="binary" contentid="7"'
            f' contentname="Sale">{STEPS}<INIT gw="0"/><ACK gw="9" net="0"><DLR gw="20" net="1000">'
        ),
        ("mms", "single", "1", None, "7", None, False, "delivered"),
    ),
    "a fallback SMS": (
        f'<CONTENT id="2" to="1" delivery="xhtml" contentid="7">{STEPS}<ACK gw="10"><DLR gw="20">',
        ("mms", "single", "2", None, "7", None, True, "delivered"),
    ),
    "a fallback SMS by its step": (
        f'<CONTENT id="2" to="1" contentid="7">{STEPS}<ACK gw="10"/><OPENED gw="11"/>',
        ("mms", "single", "2", None, "7", None, True, "opened"),
    ),
    "a campaign's message": (
        (
            '<BATCH id="12418" from="60856" campaignid="5" campaignname="a" contentid="7"'
            ' scheduled_date="2012-04-30 08:30@server localtime" />'
            f'<CONTENT id="150838" to="1">{STEPS}'
            '<REJECTED gw="35"/></CONTENT></BATCH>'
        ),
        ("mms", "batch", "150838", "12418", "7", None, False, "rejected"),
    ),
    "an SMS campaign's message": (
        f'<BATCH id="12419" body="All"><TEXT id="3" to="1">{STEPS}<ACK gw="10"></TEXT></BATCH>',
        ("sms", "batch", "3", "12419", None, "All", False, "sent"),
    ),
    "an autoresponder's": (
        f'<AUTORESPONDER id="8" contentid="7"><CONTENT id="4" to="1">{STEPS}</CONTENT>',
        ("mms", "autoresponder", "4", "8", "7", None, False, "queued"),
    ),
    "a group's id is not a message's": (
        f'<AUTORESPONDER id="8"><TEXT to="1" text="Hi">{STEPS}</TEXT>',
        ("sms", "autoresponder", None, "8", None, "Hi", False, "queued"),
    ),
    "a subscription's": (
        f'<SUB to="1" from="60856" carrier="x"><TEXT text="Hi" id="5">{STEPS}<ERROR info="no"/>',
        ("sms", "subscription", "5", None, None, "Hi", False, "failed"),
    ),
    "discovery expired": (
        f'<CONTENT id="6" to="1">{STEPS}<ACK gw="80"/><EXPIRED gw="30"/></CONTENT>',
        ("mms", "single", "6", None, None, None, False, "queued"),
    ),
    "discovery expired before the message was sent": (
        (
            f'<CONTENT id="6" to="1">{STEPS}<ACK gw="80"/><EXPIRED gw="30"/>'
            '<INIT gw="0"/><ACK gw="9"/>'
        ),
        ("mms", "single", "6", None, None, None, False, "sent"),
    ),
    "discovery rejected, and its message too": (
        (
            f'<CONTENT id="6" to="1">{STEPS}<ACK gw="80"/><REJECTED gw="35"/><ACK gw="9"/>'
            '<REJECTED gw="35"/>'
        ),
        ("mms", "single", "6", None, None, None, False, "rejected"),
    ),
    "discovery delivered": (
        f'<CONTENT id="6" to="1">{STEPS}<ACK gw="80"/><DLR gw="81"/></CONTENT>',
        ("mms", "single", "6", None, None, None, False, "queued"),
    ),
    "discovery without a DLR's number": (
        f'<CONTENT id="6" to="1">{STEPS}<ACK gw="80"/><DLR/></CONTENT>',
        ("mms", "single", "6", None, None, None, False, "queued"),
    ),
}


@pytest.mark.parametrize("name", DOCUMENTED)
def test_a_documented_form_is_read(name: str) -> None:
    body, expected = DOCUMENTED[name]
    (row,) = read_report(f"<RESPONSE>{body}</RESPONSE>".encode()).rows
    got = (
        *(row.kind, row.section, row.history_id, row.group_id, row.mms_id, row.text),
        *(row.fallback, row.state),
    )
    assert got == expected
    assert row.tracking_id is None
    assert row.steps[0].time is not None


@pytest.mark.parametrize("name", [name for name in DOCUMENTED if name.startswith("discovery")])
def test_device_discovery_has_states_of_its_own(name: str) -> None:
    (row,) = read_report(DOCUMENTED[name][0].encode()).rows
    assert row.steps[2].state in {"ddm_failed", "ddm_delivered"}


def test_an_errors_explanation_is_kept() -> None:
    (row,) = read_report(DOCUMENTED["a subscription's"][0].encode()).rows
    assert row.steps[-1].info == "no"


@pytest.mark.parametrize(
    "text", ["Fish & chips", "fish &amp; CHIPS ", "Fish\n&  chips", "Fish chips"]
)
def test_a_text_is_found_however_the_report_escapes_and_wraps_it(text: str) -> None:
    (row,) = read_report(f'<TEXT body="{text}">'.encode()).rows
    assert text_digest(str(row.text)) == text_digest("Fish & chips")
    assert text_digest(text) != text_digest("Fish & chips 2")


def test_fetch() -> None:
    with (
        serve(answer(SAMPLE)) as server,
        SkycoreClient(server.url, Credentials(api_key="the-key")) as client,
    ):
        assert len(client.fetch_report(f"{server.url}/r.xml?a=b").rows) == len(EXPECTED)
    assert b"the-key" not in server.requests[0]


def test_a_path_is_fetched_from_the_endpoints_host() -> None:
    with (
        serve(answer(SAMPLE)) as server,
        SkycoreClient(server.url, Credentials(api_key="the-key")) as client,
    ):
        assert len(client.fetch_report("/reports/r.xml").rows) == len(EXPECTED)
    assert server.requests[0].startswith(b"GET /reports/r.xml ")


@pytest.mark.parametrize(
    "link",
    [
        *("https://evil.example/r", "http://127.0.0.1.evil.example/", "//127.0.0.1/", "r.xml", ""),
        *("file:///etc/passwd", "https://skycore.com/", "https://a@secure.skycore.com/"),
        *("ftp://127.0.0.1:9/", "http://127.0.0.1:x@evil.example/", "http://u:p@127.0.0.1:9/"),
        *("http://127.0.0.2\\.skycore.com/r.xml", "http://127.0.0.2\\@127.0.0.1:9/r.xml"),
        *("https://169.254.169.254\\.skycore.com/", "https://evil.example\uff0f.skycore.com/"),
        "http://evil.example:9#@127.0.0.1:9/",
        *("http://127.0.0.1:10/", "http://127.0.0.1/", "https://127.0.0.1:9/", "https://["),
        *("http:/127.0.0.1:9/", "http:127.0.0.1:9", "http:///127.0.0.1:9/", "http://"),
        *("http://2130706433:9/", "http://0x7f000001:9/", "http://[::1]:9/", "http://localhost:9/"),
        *("http://evil.example:9/\r\nHost: 127.0.0.1", "\x00http://127.0.0.1:9/"),
    ],
)
def test_other_links_are_not_fetched(link: str, monkeypatch: pytest.MonkeyPatch) -> None:
    client = SkycoreClient("http://127.0.0.1:9/", Credentials(api_key="k"))
    monkeypatch.setattr(client, "_exchange", lambda *_: pytest.fail("fetched"))
    with client, pytest.raises(InvalidRequest):
        client.fetch_report(link)


@given(
    st.lists(
        st.sampled_from([*"/\\@:?#.%[] \t\r\n\0", "http", "//", "127.0.0.1:9", "evil.example"])
    ).map("".join)
)
def test_whatever_passes_the_check_connects_to_the_endpoints_host(tail: str) -> None:
    for link in ("http://127.0.0.1:9" + tail, "http://" + tail, tail):
        try:
            url = report_url(link, "http://127.0.0.1:9/")
        except InvalidRequest:
            continue
        prepared = requests.Request("GET", url).prepare()
        adapter = HTTPAdapter()
        host, _ = adapter.build_connection_pool_key_attributes(prepared, verify=True)
        assert (host["host"], host["port"] or 443) in {("127.0.0.1", 9), ("127.0.0.1", 443)}


def test_a_report_is_not_fetched_in_clear_text_when_the_base_is_not() -> None:
    client = SkycoreClient("https://secure.skycore.com/", Credentials(api_key="k"))
    with client, pytest.raises(InvalidRequest):
        client.fetch_report("http://secure.skycore.com/r.xml")


@pytest.mark.parametrize("status", ["302 Found", "404 Not Found", "500 Oops", "204 No Content"])
def test_anything_but_a_file_is_unknown(status: str) -> None:
    with (
        serve(answer(SAMPLE, status, "Location: /x\r\n")) as server,
        SkycoreClient(server.url, Credentials(api_key="k")) as client,
        pytest.raises(OutcomeUnknown),
    ):
        client.fetch_report(server.url)
    assert len(server.requests) == 1
