"""What a report says becomes the postback that would have reported it, unless that is known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pynamodb.connection.base import Connection

from skycore import timestamps
from skycore.client.report import campaign_tracking_id, read_report, text_digest
from skycore.postbacks.parser import read_postback
from skycore.receiving import reconcile as subject
from skycore.receiving.reconcile import REPORT_STATES, Reconciled, reconcile
from skycore.receiving.store import store
from skycore.table import events, messages, opt_outs
from tests.unit.receiving.test_publish import OTHER, TO, receipt, status, tell
from tests.unit.table.tables import new_table

if TYPE_CHECKING:
    from tests.unit.sending.conftest import Outside
    from tests.unit.table.fake_dynamodb import FakeDynamoDB

NOW = datetime.now(UTC).replace(microsecond=0)
SENT = NOW - timedelta(hours=6)
TEXT = "Fish & chips"
EASTERN = ZoneInfo("America/New_York")
DELIVERED = '<ACK gw="10" net="0"><DLR gw="20" net="0">'


def printed(moment: datetime, zone: Any = EASTERN) -> str:
    """The report's times end in Z although they are of another zone."""
    return moment.astimezone(zone).strftime("%Y-%m-%dT%H:%M:%SZ")


def sms(steps: str = DELIVERED, *, at: datetime = SENT, zone: Any = EASTERN, **given: str) -> str:
    """An SMS as the report documents it."""
    known = {"id": "455118", "to": TO, "from": "60856", "carrier": "AT&T", "body": TEXT}
    attributes = "".join(f' {name}="{value}"' for name, value in (known | given).items())
    return f'<TEXT{attributes}>\n<INQUE time="{printed(at, zone)}"/>{steps}</TEXT>'


def sms_from(sender: str) -> str:
    given: dict[str, Any] = {"from": sender}
    return sms(**given)


def mms(steps: str = '<ACK gw="9"><DLR gw="20" net="1000">', **given: str) -> str:
    known = {"id": "455119", "to": TO, "from": "60856", "delivery": "binary", "contentid": "1001"}
    attributes = "".join(f' {name}="{value}"' for name, value in (known | given).items())
    inque = f'<INQUE time="{printed(SENT)}"/>'
    return f"<CONTENT{attributes}><MSG_STATUS>{inque}{steps}</MSG_STATUS></CONTENT>"


def run(*items: str, around: str = "SENDING_LIST", write: bool = True) -> Reconciled:
    body = f"<?xml version='1.0'?><RESPONSE><{around}>{''.join(items)}</{around}></RESPONSE>"
    return reconcile(read_report(body.encode()), days=90, write=write)


def sent(
    message_id: str = "m1",
    tracking_id: str | None = "T1",
    *,
    at: datetime = SENT,
    action: str = "sendSMS",
    text: str | None = TEXT,
    mms_id: str | None = None,
    to: str = TO,
    sender: str = "60856",
) -> None:
    """What a send leaves behind."""
    row = messages.new_row(
        message_id,
        "sending",
        time=at,
        days=90,
        attempt="a",
        fingerprint="f",
        to=to,
        sender=sender,
        action=action,
        content=text_digest(text) if text else None,
    )
    messages.create(row)
    answer = messages.pack({"status": 201, "body": {"mms_id": mms_id}})
    if tracking_id is None:
        messages.transition(message_id, "unknown", time=at, own=True)
        return
    messages.put_tracking_row(tracking_id, message_id, None, time=at, days=90)
    messages.transition(
        message_id, "accepted", time=at, own=True, tracking_id=tracking_id, answer=answer
    )


def reasons(found: Reconciled) -> list[str]:
    return [one.reason for one in found.unmatched]


@pytest.fixture(autouse=True)
def fresh(table: FakeDynamoDB) -> Any:
    return table


class TestRowsWithoutATrackingId:
    @pytest.mark.parametrize("zone", [EASTERN, UTC], ids=["US Eastern", "UTC"])
    def test_an_sms_is_found_by_its_numbers_text_and_time(
        self, table: FakeDynamoDB, outside: Outside, zone: Any
    ) -> None:
        sent()
        assert run(sms(zone=zone)).missing == ("skycore.sms_delivered",)
        tell(table)
        assert status() == "delivered"
        (event,) = events.by_tracking_id("T1")
        assert event.data["from_report"] is True
        assert printed(SENT, zone) not in event.time
        assert run(sms(zone=zone)).missing == ()

    @pytest.mark.parametrize(
        ("to", "written"),
        [
            (TO, f"+{TO}"),
            (TO, TO.removeprefix("1")),
            (TO, f"00{TO}"),
            ("525562000000", "5215562000000"),
            ("5215562000000", "525562000000"),
            ("5491123456789", "541123456789"),
            ("551187654321", "5511987654321"),
        ],
    )
    def test_no_message_is_missed_by_the_form_of_its_recipient(self, to: Any, written: Any) -> None:
        sent(to=to)
        assert run(sms(to=written)).missing == ("skycore.sms_delivered",)
        assert run(sms(to=to)).missing == ()

    @pytest.mark.parametrize(
        ("sender", "written"),
        [
            ("14155550000", "4155550000"),
            ("447700900999", "+447700900999"),
            ("525562000000", "5215562000000"),
            ("60856", "447700900999"),
        ],
        ids=["national", "with a plus", "equivalent", "replaced abroad"],
    )
    def test_no_message_is_missed_by_the_form_of_its_sender(
        self, sender: str, written: str
    ) -> None:
        sent(sender=sender)
        assert run(sms_from(written)).missing == ("skycore.sms_delivered",)

    def test_a_row_from_another_sender_of_this_stack_is_not_a_replaced_one(self) -> None:
        opt_outs._known_senders.clear()
        opt_outs.record_sender("14155550000")
        sent()
        assert reasons(run(sms_from("4155550000"))) == [subject.NOT_FOUND]

    def test_no_message_is_missed_because_its_text_was_escaped_twice(self) -> None:
        sent(text="Fish & chips")
        assert run(sms(body="Fish &amp;amp; chips")).missing == ("skycore.sms_delivered",)

    def test_an_mms_is_found_by_its_content_id(self) -> None:
        sent("m1", "T1", action="sendSavedMMS", text=None, mms_id="1000")
        sent("m2", "T2", action="sendSavedMMS", text=None, mms_id="1001")
        assert run(mms()).missing == ("skycore.mms_delivered",)
        assert len(events.by_tracking_id("T2")) == 1

    def test_a_fallback_sms_is_no_delivery_of_the_mms(self) -> None:
        sent(action="sendSavedMMS", text=None, mms_id="1001")
        found = run(mms(DELIVERED, delivery="xhtml"))
        assert found.missing == ("skycore.sms_delivered",)
        (event,) = events.by_tracking_id("T1")
        assert (event.data["origin"], event.data["code"]) == ("MMS_MT", "N202")

    def test_a_campaign_is_found_by_the_id_of_its_batch(self) -> None:
        events.mark_shared([campaign_tracking_id("12418")], time=SENT, days=90)
        batch = '<BATCH id="12418" from="60856" contentid="7" />'
        found = run(batch, mms(to=TO), mms(to=OTHER, id="3"), "</BATCH>", around="BATCHES")
        assert found.missing == ("skycore.mms_delivered",) * 2
        assert run(batch, mms(), mms(to=OTHER), "</BATCH>", around="BATCHES").missing == ()

    @pytest.mark.parametrize(
        ("item", "reason"),
        [
            (sms(to=OTHER), subject.NOT_FOUND),
            (sms("", at=SENT).replace("TEXT", "CONTENT").replace("/>", '/><DLR gw="20">'), ""),
            (sms(body="Fish and chips"), subject.NOT_FOUND),
            (sms_from("60857"), subject.NOT_FOUND),
            (sms(at=SENT + timedelta(hours=2)), subject.NOT_FOUND),
            (sms(at=SENT - timedelta(hours=2)), subject.NOT_FOUND),
            (sms().replace("<INQUE", "<X"), subject.NO_TIME),
            (sms(to=""), subject.NO_NUMBER),
            (sms() + sms(id="2"), subject.AMBIGUOUS),
        ],
        ids=["number", "kind", "text", "sender", "late", "early", "no time", "no number", "twice"],
    )
    def test_what_fits_no_message_for_certain_is_returned_and_becomes_no_event(
        self, table: FakeDynamoDB, item: Any, reason: Any
    ) -> None:
        sent()
        before = dict(table.items)
        found = run(item)
        assert found.missing == ()
        assert set(reasons(found)) == {reason or subject.NOT_FOUND}
        assert found.rows == len(found.unmatched)
        assert table.items == before

    def test_two_messages_that_fit_are_not_guessed_between(self) -> None:
        sent("m1", "T1")
        sent("m2", "T2", at=SENT + timedelta(minutes=1))
        assert reasons(run(sms())) == [subject.AMBIGUOUS]

    def test_a_message_whose_outcome_is_unknown_is_left_to_a_person(self) -> None:
        sent(tracking_id=None)
        assert reasons(run(sms())) == [subject.UNKNOWN_CALL]
        assert status() == "unknown"

    def test_other_groups_of_the_account_are_counted(self) -> None:
        group = '<AUTORESPONDER id="9" from="60856">'
        found = run(group, sms(), "</AUTORESPONDER>", around="AUTORESPONDERS")
        assert reasons(found) == [subject.OTHER_GROUP]
        (unmatched,) = found.unmatched
        assert (unmatched.row.history_id, unmatched.row.group_id) == ("455118", "9")

    def test_device_discovery_settles_nothing(self) -> None:
        sent(action="sendMMS", text=None, mms_id="1001")
        found = run(mms('<ACK gw="80"/><EXPIRED gw="30"/>'))
        assert (found.missing, found.unsettled, found.unmatched) == ((), 1, ())

    @settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.permutations(range(6)), st.sampled_from([EASTERN, UTC]))
    def test_any_order_of_rows_and_any_repetition_end_the_same(
        self, monkeypatch: pytest.MonkeyPatch, order: Any, zone: Any
    ) -> None:
        monkeypatch.setattr(Connection, "client", new_table())
        items = []
        for n in range(6):
            moment = SENT + timedelta(minutes=20 * (n // 2))
            sent(f"m{n}", f"T{n}", at=moment, to=f"1774319000{n % 2}")
            items.append(sms(at=moment, zone=zone, to=f"1774319000{n % 2}", id=str(n)))
        assert len(run(*(items[n] for n in order)).missing) == 6
        assert all(len(events.by_tracking_id(f"T{n}")) == 1 for n in range(6))
        assert run(*items).missing == ()


T1 = f"<TO>{TO}</TO><TRACKINGID>T1</TRACKINGID></POSTBACK>"


@pytest.mark.parametrize("owned", [True, False], ids=["own message", "another's"])
@pytest.mark.parametrize(
    ("postback", "item"),
    [
        ("<ORIGIN>SMS_MT</ORIGIN><CODE>N202</CODE><STATUS>Message Sent/Delivered</STATUS>", sms()),
        ("<ORIGIN>SMS_MT</ORIGIN><CODE>E201</CODE>", sms('<ERROR info="no route"/>')),
        ("<ORIGIN>MMS_MT</ORIGIN><CODE>E101</CODE>", mms("<INIT/><ERROR/>")),
        ("<ORIGIN>MMS_MT</ORIGIN><CODE>E999</CODE>", mms("<INIT/><ERROR/>")),
        ("<ORIGIN>MMS_MT</ORIGIN><CODE>N103</CODE>", mms('<ACK gw="9"><EXPIRED gw="30"/>')),
        ("<ORIGIN>MMS_MT</ORIGIN><CODE>N202</CODE><SENTAS>SMS</SENTAS>", mms(DELIVERED)),
        ("<ORIGIN>MMS_MT</ORIGIN><CODE>N202</CODE>", mms('<OPENED gw="11"/>')),
        ("<ORIGIN>SMS_MT</ORIGIN><CODE>N202</CODE>", sms('<ACK gw="10"><EXPIRED gw="30"/>')),
    ],
)
@pytest.mark.parametrize("to", [TO, ""], ids=["", "without TO"])
def test_what_a_postback_reported_is_not_reported_again_under_another_id(
    table: FakeDynamoDB, postback: str, item: Any, owned: bool, to: Any
) -> None:
    kind = "sendSMS" if item.startswith("<TEXT") else "sendMMS"
    if owned:
        sent(action=kind, text=TEXT if kind == "sendSMS" else None, mms_id="1001")
    else:
        item = item.replace(" id=", " trackingid='T1' id=")
    body = ("<POSTBACK>" + postback + T1.replace(TO, to)).encode()
    assert store([("q", body, NOW)], days=90) == []
    found = run(item)
    assert (found.missing, found.known, found.unmatched) == ((), 1, ())


def test_a_higher_status_than_the_known_one_becomes_an_event() -> None:
    sent()
    assert store([("q", receipt("E202", "Message Sent/Failed"), NOW)], days=90) == []
    assert run(sms('<ACK gw="10"><EXPIRED gw="30"/>')).missing == ()
    assert run(sms()).missing == ("skycore.sms_delivered",)


def test_nothing_is_stored_without_write(table: FakeDynamoDB) -> None:
    sent()
    before = dict(table.items)
    assert run(sms(), write=False).missing == ("skycore.sms_delivered",)
    assert table.items == before


def test_an_event_from_the_report_has_the_id_that_its_postback_would_have() -> None:
    sent()
    run(sms())
    (event,) = events.by_tracking_id("T1")
    (real,) = read_postback(receipt("N202", "Message Sent/Delivered"), timestamps.now())
    assert event.id == real.id


def test_every_reported_status_is_read_as_it_is_meant() -> None:
    for (kind, state), (code, stated) in REPORT_STATES.items():
        body = (
            f"<POSTBACK><ORIGIN>{kind.upper()}_MT</ORIGIN><CODE>{code}</CODE><STATUS>{stated}"
            "</STATUS><TO>17743199144</TO><TRACKINGID>T</TRACKINGID></POSTBACK>"
        ).encode()
        (event,) = read_postback(body, NOW)
        assert event.status_step == subject._STEPS.get(state, state), (kind, state)


def test_many_messages_to_one_number_are_compared_only_near_their_time(
    table: FakeDynamoDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    same = subject._same_content

    def counted(*pair: Any) -> bool:
        calls.append(pair)
        return same(*pair)

    monkeypatch.setattr(subject, "_same_content", counted)
    moments = [SENT - timedelta(hours=2 * n) for n in range(40)]
    for number, moment in enumerate(moments):
        sent(f"m{number}", f"T{number}", at=moment)
    report = run(*(sms(at=moment) for moment in moments))
    assert len(report.missing) == len(moments)
    assert len(calls) <= 2 * len(moments)  # each reading of the time names one message
