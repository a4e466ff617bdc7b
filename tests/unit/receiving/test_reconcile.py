"""What a report says becomes the postback that would have told it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from skycore.client.report import read_report
from skycore.postbacks.parser import read_postback
from skycore.receiving.reconcile import TOLD_AS, told_by

NOW = datetime(2026, 11, 22, 10, 41, 15, tzinfo=UTC)
REAL = b"""<?xml version='1.0'?><POSTBACK><ORIGIN>SMS_MT</ORIGIN><CODE>N202</CODE>
<STATUS>Message Sent/Delivered</STATUS><FROM>60856</FROM><TO>17743199144</TO>
<TRACKINGID>U01T&amp;x=</TRACKINGID><TIMESTAMP>2026-11-22T05:41:15-05:00</TIMESTAMP></POSTBACK>"""


def row(steps: str, item: str = "TEXT") -> bytes:
    return (
        f"<RESPONSE><SENDING_LIST><{item} trackingid='U01T&amp;x=' to='17743199144' from='60856'>"
        f"<MSG_STATUS>{steps}</MSG_STATUS></{item}></SENDING_LIST></RESPONSE>"
    ).encode()


def test_it_is_the_same_event_as_the_postbacks():
    report = read_report(row("<DLR gw='20' net='1000' time='2026-11-22T05:41:15Z'/>"))
    ((_, event),) = told_by(report.rows, NOW)
    (real,) = read_postback(REAL, NOW)
    assert event.id == real.id
    assert event.data["from_report"] is True
    assert "2026-11-22T05:41:15Z" in event.data["status_details"]


@pytest.mark.parametrize("steps", ["<INQUE time='x'/>", "<ACK gw='10' time='x'/>", ""])
def test_what_is_not_settled_tells_nothing(steps):
    assert list(told_by(read_report(row(steps)).rows, NOW)) == []


def test_every_told_status_is_read_as_it_is_meant():
    for (kind, state), (code, status) in TOLD_AS.items():
        body = (
            f"<POSTBACK><ORIGIN>{kind.upper()}_MT</ORIGIN><CODE>{code}</CODE><STATUS>{status}"
            "</STATUS><TO>17743199144</TO><TRACKINGID>T</TRACKINGID></POSTBACK>"
        ).encode()
        (event,) = read_postback(body, NOW)
        expected = {"opened": "delivered", "rejected": "failed"}.get(state, state)
        assert event.status_step == expected, (kind, state)
