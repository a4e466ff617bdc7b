"""Postbacks that are understood after a fix become new events; stored events are told again."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from pynamodb.connection.base import Connection

from skycore.postbacks import notification
from skycore.postbacks.document import UnreadableError
from skycore.queries.messages import list_unparsed
from skycore.receiving import republish
from skycore.receiving.publish import publish
from skycore.receiving.store import store
from skycore.table import events, messages, opt_outs
from tests.unit.receiving.test_publish import TO, WHERE, Sender, receipt, retry, status
from tests.unit.table.fake_dynamodb import Crash, FakeDynamoDB
from tests.unit.table.tables import new_table

if TYPE_CHECKING:
    from tests.unit.sending.conftest import Outside

NOW = datetime.now(UTC).replace(microsecond=0)
ODD = receipt("N202", tracking_id="ODD")
UNDATED = b"<POSTBACK><CODE>N303</CODE><EMAIL>odd@example.com</EMAIL></POSTBACK>"


def many(*bodies: bytes) -> bytes:
    inner = b"".join(body.replace(b"POSTBACK", b"NOTIFICATION") for body in bodies)
    return b"<POSTBACK>" + inner + b"</POSTBACK>"


@pytest.fixture
def fault(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Until it is mended, nothing with ODD in it can be read."""
    real = notification.Fields._read

    def read(self: Any, node: Any) -> None:
        if "odd" in str([child.text for child in node.children]).lower():
            raise UnreadableError("odd")
        real(self, node)

    monkeypatch.setattr(notification.Fields, "_read", read)
    return lambda: monkeypatch.setattr(notification.Fields, "_read", real)


def arrive(*bodies: bytes, at: datetime = NOW) -> None:
    batch = [(str(n), body, at + timedelta(seconds=n)) for n, body in enumerate(bodies)]
    assert store(batch, days=90) == []


def unparsed() -> list[str]:
    return [event["event_id"] for event in list_unparsed({}, days=90)["events"]]


def stored(event_id: str) -> events.StoredEvent:
    found = events.get(event_id)
    assert found is not None
    return found


def reread(write: bool = True) -> list[republish.Reread]:
    return list(republish.reread_unparsed(days=90, write=write))


def tell(table: FakeDynamoDB, outside: Any) -> list[dict[str, Any]]:
    outside.published = []
    publish(table.stream, retry_queue_url="retry", **WHERE)
    published: list[dict[str, Any]] = outside.published
    return published


def test_what_is_understood_now_is_a_new_event_that_says_what_it_replaces(
    table: FakeDynamoDB, outside: Outside, fault: Any
) -> None:
    arrive(ODD, b"never a postback", receipt("N202"))
    (odd,) = [id_ for id_ in unparsed() if stored(id_).raw == ODD]
    before = len(table.stream)
    fault()
    found = {one.event_id: one.types for one in reread()}
    assert found.pop(odd) == ("skycore.sms_delivered",)
    assert list(found.values()) == [()]
    assert unparsed() == list(found)
    del table.stream[:before]
    (event,) = tell(table, outside)
    assert event["replaces"] == odd
    assert event["id"] != odd
    assert event["data"]["tracking_id"] == "ODD"
    assert event["data"]["received_at"] == NOW.isoformat().replace("+00:00", "Z")
    assert stored(odd).event.unparsed  # it stays, off the list
    assert reread() == [one for one in reread() if one.event_id in found]


def test_a_dry_run_writes_nothing(table: FakeDynamoDB, fault: Any) -> None:
    arrive(ODD, UNDATED)
    fault()
    before = dict(table.items)
    assert sorted(one.types for one in reread(write=False)) == [
        ("skycore.email_subscribed",),
        ("skycore.sms_delivered",),
    ]
    assert table.items == before


def test_all_that_is_odd_in_a_body_is_one_event_which_several_replace(
    table: FakeDynamoDB, outside: Outside, fault: Any
) -> None:
    other = ODD.replace(b"ODD", b"ODD-2")
    arrive(many(receipt("N202"), ODD, receipt("N201"), other))
    assert len(unparsed()) == 1
    fault()
    before = len(table.stream)
    assert [one.types for one in reread()] == [("skycore.sms_delivered",) * 2]
    assert unparsed() == []
    del table.stream[:before]
    told = tell(table, outside)
    assert sorted(event["data"]["tracking_id"] for event in told) == ["ODD", "ODD-2"]
    assert len({event["replaces"] for event in told}) == 1


def test_what_stays_odd_of_a_body_stays_listed(
    table: FakeDynamoDB, fault: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = ODD.replace(b"ODD", b"ODD-2")
    arrive(many(receipt("N202"), ODD, other))
    (first,) = unparsed()
    fault()
    real = notification.Fields._read

    def read(self: Any, node: Any) -> None:
        if "ODD-2" in [child.text for child in node.children]:
            raise UnreadableError("odd")
        real(self, node)

    monkeypatch.setattr(notification.Fields, "_read", read)
    assert [one.types for one in reread()] == [("skycore.sms_delivered", "skycore.unparsed")]
    (second,) = unparsed()
    assert second != first
    assert stored(second).event.data["error"] == "notification 3 of 3: odd"
    monkeypatch.setattr(notification.Fields, "_read", real)
    assert [one.types for one in reread()] == [("skycore.sms_delivered",)]
    assert unparsed() == []


def test_one_of_several_that_stays_unreadable_stays_listed(table: FakeDynamoDB, fault: Any) -> None:
    arrive(many(receipt("N202"), ODD))
    assert [one.types for one in reread()] == [()]
    assert len(unparsed()) == 1


def test_what_is_known_by_now_is_not_told_twice(table: FakeDynamoDB, fault: Any) -> None:
    arrive(ODD)
    fault()
    arrive(ODD)  # SQS brought it again after the fix
    before = len(table.of_kind("event"))
    assert [(one.types, one.known) for one in reread(write=False)] == [((), 1)]
    assert [(one.types, one.known) for one in reread()] == [((), 1)]
    assert len(table.of_kind("event")) == before
    assert unparsed() == []


def test_dying_in_between_and_running_again_ends_the_same(
    table: FakeDynamoDB, fault: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bodies = (ODD, UNDATED, many(receipt("N202"), ODD.replace(b"ODD", b"ODD-3")))
    arrive(*bodies)
    fault()
    start = dict(table.items)

    def run(crash: int) -> FakeDynamoDB:
        fresh = new_table()
        fresh.items = dict(start)
        monkeypatch.setattr(Connection, "client", fresh)

        def die(calls: int, *_: object) -> None:
            if calls == crash:
                fresh.before = lambda *_: None
                raise Crash

        fresh.before = die
        try:
            reread()
        except Crash:
            reread()
        return fresh

    expected = run(10_000)
    for step in range(sum(expected.calls.values())):
        assert run(step).items == expected.items, step


def replay(since: datetime, until: datetime, *types: str) -> Counter[str]:
    counts: Counter[str] = Counter()
    for page in republish.republish(since, until, types, retry_queue_url="retry"):
        counts.update(page)
    return counts


@pytest.mark.parametrize(
    ("minutes", "types", "expected"),
    [
        (5, [], {"sms_sent": 3, "sms_delivered": 3, "unparsed": 1, "message_accepted": 1}),
        (5, ["skycore.sms_sent"], {"sms_sent": 3}),
        (5, ["skycore.message_accepted"], {"message_accepted": 1}),
        (-60 * 24 * 3, [], {}),
    ],
)
def test_stored_events_are_published_again_under_the_same_ids(
    table: FakeDynamoDB, outside: Outside, minutes: int, types: Any, expected: dict[str, Any]
) -> None:
    bodies = [receipt(code, tracking_id=f"X{n}") for n in range(3) for code in ("N201", "N202")]
    arrive(many(*bodies[:4]), *bodies, b"unreadable")
    Sender().finish()
    first = {event["id"]: event for event in tell(table, outside)}
    outside.published = []
    until = NOW + timedelta(minutes=minutes)
    counts = replay(until - timedelta(days=2), until, *types)
    assert counts == {f"skycore.{name}": number for name, number in expected.items()}
    assert outside.published == []
    assert retry(outside) == []
    assert len(outside.published) == sum(expected.values())
    assert all(first[event["id"]] == event for event in outside.published)


STOP = f"""<POSTBACK><ORIGIN>SMS_MO</ORIGIN><CODE>N211</CODE><FROM>{TO}</FROM><TO>60856</TO>
<TEXT>STOP</TEXT><RECEIVED>{NOW.isoformat()}</RECEIVED><TRANSACTIONID>X1</TRANSACTIONID></POSTBACK>
""".encode()


def test_what_publish_never_saw_moves_statuses_and_opts_out_when_it_is_replayed(
    table: FakeDynamoDB, outside: Outside
) -> None:
    """An outage of a day: the stream's records are gone, the events are in the table."""
    Sender().finish()
    arrive(receipt("N202"), STOP)
    table.stream.clear()
    replay(NOW - timedelta(hours=1), NOW + timedelta(hours=1))
    for _ in range(2):  # safe to repeat
        bodies = list(outside.queued)
        assert retry(outside) == []
        outside.queued = bodies
    assert status() == "delivered"
    assert opt_outs.opted_out([(TO, "60856")])
    assert len(set(outside.ids())) == 3  # and message_accepted


@pytest.mark.parametrize("days", [2, 90])
def test_a_row_that_is_named_again_late_stays_for_as_long_as_a_queue_may_name_it(
    table: FakeDynamoDB, outside: Outside, days: int
) -> None:
    batch = [("q", many(receipt("N202"), receipt("N201")), NOW), ("r", b"unreadable", NOW)]
    assert store(batch, days=days) == []
    soon = str(int((NOW + timedelta(hours=1)).timestamp()))
    for item in table.items.values():
        item["expires"]["N"] = soon
    replay(NOW - timedelta(hours=1), NOW + timedelta(hours=1))
    until = int((NOW + timedelta(days=16)).timestamp())
    named = [item for item in table.items.values() if item["kind"]["S"] != "window"]
    assert {int(item["expires"]["N"]) >= until for item in named} == {True}
    assert retry(outside) == []
    assert len(outside.published) == 3


def test_what_is_not_a_name_is_left_alone(table: FakeDynamoDB) -> None:
    odd: list[Any] = [{}, {"event_id": ""}, 7, None, []]
    republish.keep_named_rows(odd)
    assert table.items == {}


@pytest.mark.parametrize(("days", "steps"), [(14, 1), (16, 0)])
def test_a_step_of_a_message_that_waited_long_in_the_queue(
    table: FakeDynamoDB, outside: Outside, days: int, steps: int
) -> None:
    known = {"to": TO, "parent": None, "sender": "60856", "action": "sendSMS"}
    made = NOW - timedelta(days=days)
    messages.create(
        messages.new_row("m1", "queued", time=made, days=90, attempt="a", fingerprint="f", **known)
    )
    messages.transition("m1", "expired", time=NOW, own=True)
    pages = republish.stored_names(NOW - timedelta(minutes=1), NOW, [])
    told = [type_ for page in pages for type_, _ in page]
    assert told == ["skycore.message_expired"] * steps


def test_a_queue_that_refuses_is_an_error(table: FakeDynamoDB, outside: Outside) -> None:
    arrive(receipt("N202"))
    outside.queue_is_out = True
    with pytest.raises(RuntimeError):
        replay(NOW, NOW)
