"""The report file, with the faults that it has."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skycore.client.client import SkycoreClient
from skycore.client.errors import InvalidRequest, OutcomeUnknown
from skycore.client.reply import Reply
from skycore.client.report import ReportRow, read_report, report_link
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
        ({"status": "Success"}, None),
        ({"status": "Success", "file": "r.xml", "x": {"y": "1"}}, None),
    ],
)
def test_link(fields: dict[str, object], link: str | None) -> None:
    assert report_link(Reply("getSendingStatus", fields)) == link


def test_fetch() -> None:
    with (
        serve(answer(SAMPLE)) as server,
        SkycoreClient(server.url, Credentials(api_key="the-key")) as client,
    ):
        assert len(client.fetch_report(f"{server.url}/r.xml?a=b").rows) == len(EXPECTED)
    assert b"the-key" not in server.requests[0]


@pytest.mark.parametrize(
    "link",
    [
        *("https://evil.example/r", "http://127.0.0.1.evil.example/", "//127.0.0.1/", "r.xml", ""),
        *("file:///etc/passwd", "https://notskycore.com/", "https://a@secure.skycore.com/"),
        *("ftp://skycore.com/", "http://127.0.0.1:x@evil.example/"),
    ],
)
def test_other_links_are_not_fetched(link: str) -> None:
    client = SkycoreClient("http://127.0.0.1:9/", Credentials(api_key="k"))
    with client, pytest.raises(InvalidRequest):
        client.fetch_report(link)


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
