"""What enters the table is told once it can be, and moves statuses to the same end in any order."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pynamodb.connection.base import Connection

from skycore.catalogue.statuses import RANKS
from skycore.queries.messages import get_message
from skycore.receiving.publish import publish, publish_retries
from skycore.receiving.store import store
from skycore.table import messages, models
from tests.unit.sending.conftest import Outside
from tests.unit.table.fake_dynamodb import FakeDynamoDB, error
from tests.unit.table.tables import new_table

NOW = datetime.now(UTC).replace(microsecond=0)
TO, OTHER = "17743199144", "17743199145"
WHERE: dict[str, Any] = {"source": "urn:skycore:test", "topic_arn": "topic"}
STATUSES = {
    ("N201", ""): "sent",
    ("N202", "Message Sent/Delivered"): "delivered",
    ("N202", "Message Sent/Expired"): "expired",
    ("E202", "Message Sent/Failed"): "failed",
    ("N103", ""): "expired",
    ("E201", ""): "failed",
    ("N501", ""): None,  # device discovery never settles a message
    ("N502", ""): None,
    ("E501", ""): None,
    ("E502", ""): None,
    ("N003", ""): None,
    ("N999", ""): None,
}


def receipt(code: str, status: str = "", to: str = TO, tracking_id: str = "T1") -> bytes:
    return (
        f"<POSTBACK><ORIGIN>SMS_MT</ORIGIN><CODE>{code}</CODE><STATUS>{status}</STATUS>"
        f"<TO>{to}</TO><TRACKINGID>{tracking_id}</TRACKINGID></POSTBACK>"
    ).encode()


def arrive(*bodies: bytes) -> None:
    batch = [(f"q{n}", body, NOW + timedelta(seconds=n)) for n, body in enumerate(bodies)]
    assert store(batch, days=90) == []


class Sender:
    """What a send writes, in its order: the row, the pointer, and that Skycore accepted."""

    def __init__(
        self, to: str | None = TO, parent: str | None = None, *, shared: bool | None = False
    ) -> None:
        self.shared = shared
        known = {"to": to, "parent": parent, "sender": "60856", "action": "sendSMS"}
        row = messages.new_row(
            "m1", "sending", time=NOW, days=90, attempt="a", fingerprint="f", **known
        )
        self.steps = [lambda: messages.create(row), self.point, self.accept]

    def point(self) -> None:
        messages.TrackingRow(
            models.tracking_partition("T1"),
            models.MESSAGE,
            message_id="m1",
            client_reference="order-1",
            shared=self.shared,
            expires=models.expiry(NOW, 90),
        ).save()

    def accept(self) -> None:
        if not messages.transition("m1", "accepted", time=NOW, own=True, tracking_id="T1"):
            messages.record_accepted_after_receipt("m1", "a", NOW, tracking_id="T1")

    def step(self) -> None:
        if self.steps:
            self.steps.pop(0)()

    def finish(self) -> None:
        while self.steps:
            self.step()


def status() -> str:
    row = messages.get("m1")
    assert row is not None
    return row.status


def tell(table: FakeDynamoDB, start: int = 0) -> list[str]:
    return publish(table.stream[start:], retry_queue_url="retry", **WHERE)


def retry(outside: Outside) -> list[str]:
    bodies, outside.queued = outside.queued, []
    return publish_retries([(f"r{n}", body) for n, body in enumerate(bodies)], **WHERE)


def test_a_hundred_events_take_ten_publish_calls(table: FakeDynamoDB, outside: Outside) -> None:
    arrive(*(receipt("N202", tracking_id=f"X{n}") for n in range(100)))
    table.calls.clear()
    assert tell(table) == []
    assert (len(outside.published), outside.calls) == (100, 10)
    assert table.calls == {"BatchGetItem": 1}


def test_an_event_names_its_message(table: FakeDynamoDB, outside: Outside) -> None:
    Sender().finish()
    arrive(receipt("N202"))
    tell(table)
    accepted, delivered = outside.published
    assert accepted["type"] == "skycore.message_accepted"
    assert delivered["data"]["message_id"] == "m1"
    assert delivered["data"]["client_reference"] == "order-1"
    assert status() == "delivered"


@pytest.mark.parametrize(
    ("bodies", "expected"),
    [
        ([receipt("N202", to=OTHER)], "accepted"),
        ([receipt("N202", to=OTHER), receipt("E202")], "failed"),
        ([receipt("N202", to="+1 (774) 319-9144")], "delivered"),
        ([receipt("N202", to="7743199144")], "delivered"),
        ([receipt("N202", to="0017743199144")], "delivered"),
        ([receipt("N202", to="01117743199144")], "delivered"),
        ([receipt("N202", to="tel:+17743199144")], "delivered"),
        ([receipt("N202", to="17743199144/TYPE=PLMN")], "delivered"),
        ([receipt("N202", to="7743199145")], "accepted"),
        ([receipt("N202", to="0017743199145")], "accepted"),
    ],
    ids=lambda value: None if isinstance(value, str) else repr(value)[-60:],
)
@pytest.mark.parametrize("shared", [True, None], ids=["shared", "of an earlier release"])
def test_a_shared_tracking_id_moves_the_recipients_own_message(
    table: FakeDynamoDB, outside: Outside, bodies: Any, expected: str, shared: bool | None
) -> None:
    Sender(parent="p1", shared=shared).finish()
    arrive(*bodies)
    tell(table)
    assert status() == expected


@pytest.mark.parametrize("to", ["", "1774319XXXX", "9144", "319914", "name@example.com"])
@pytest.mark.parametrize(
    ("shared", "expected"),
    [(True, "accepted"), (None, "delivered")],
    ids=["shared", "of an earlier release"],
)
def test_a_receipt_of_nobody_known_moves_no_message_of_a_shared_tracking_id(
    table: FakeDynamoDB, outside: Outside, to: str, shared: bool | None, expected: str
) -> None:
    Sender(parent="p1", shared=shared).finish()
    arrive(receipt("N202", to=to))
    tell(table)
    assert status() == expected


@pytest.mark.parametrize("to", [OTHER, "7743199144", "0017743199144", "1774319XXXX", ""])
@pytest.mark.parametrize(
    ("parent", "shared"),
    [(None, False), ("p1", False), (None, None)],
    ids=["one message", "one of several recipients", "of an earlier release"],
)
@pytest.mark.parametrize("early", [False, True])
def test_a_receipt_is_of_the_one_message_with_its_tracking_id_however_to_is_written(
    table: FakeDynamoDB,
    outside: Outside,
    to: Any,
    parent: str | None,
    shared: bool | None,
    early: bool,
) -> None:
    sender = Sender(parent=parent, shared=shared)
    sender.step()
    if early:
        arrive(receipt("N202", to=to))
        tell(table)
    sender.finish()
    if not early:
        arrive(receipt("N202", to=to))
    tell(table)
    assert status() == "delivered"
    assert [step["event"] for step in get_message("m1")["timeline"]][-1] == (
        "message_accepted" if parent and to == OTHER else "sms_delivered"
    )


@pytest.mark.parametrize(
    ("sent_to", "written"),
    [
        ("525562000000", "5215562000000"),
        ("541112345678", "5491112345678"),
        ("5491112345678", "541112345678"),
        ("5511987654321", "551187654321"),
        ("447911123456", "07911123456"),
        ("12025550123", "2025550123"),
    ],
)
def test_a_receipt_is_its_messages_however_the_recipient_is_written(
    table: FakeDynamoDB, outside: Outside, sent_to: str, written: str
) -> None:
    Sender(to=sent_to).finish()
    arrive(receipt("N202", to=written))
    tell(table)
    assert status() == "delivered"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Message Sent/Expired", "Message Sent/Failed"),
        ("Message Sent/Failed", "Message Sent/Expired"),
    ],
)
def test_two_failures_of_one_message_end_the_same_in_any_order(
    table: FakeDynamoDB, outside: Outside, first: str, second: str
) -> None:
    Sender().finish()
    arrive(receipt("E202", first))
    arrive(receipt("E202", second))
    tell(table)
    assert status() == "failed"
    assert len(table.of_kind("event")) == 2


def test_a_receipt_that_is_on_its_way_hides_no_delivery(
    table: FakeDynamoDB, outside: Outside
) -> None:
    Sender().finish()
    arrive(receipt("N202", "Message Sent/Deferred"))
    tell(table)
    assert status() == "sent"
    arrive(receipt("N202", "Message Sent/Delivered"))
    tell(table)
    assert status() == "delivered"


@pytest.mark.parametrize(
    ("parent", "expected"),
    [(None, "accepted"), ("p1", "delivered")],
    ids=["a campaign stays accepted", "one of several whose number Skycore did not give"],
)
def test_a_message_without_a_number(
    table: FakeDynamoDB, outside: Outside, parent: str | None, expected: str
) -> None:
    Sender(to=None, parent=parent).finish()
    arrive(receipt("N202"))
    tell(table)
    assert status() == expected


def test_a_receipt_from_before_the_pointer_counts_although_accepted_was_never_news(
    table: FakeDynamoDB, outside: Outside
) -> None:
    sender = Sender()
    sender.step()
    arrive(receipt("N202"))
    tell(table)
    sender.step()
    arrive(receipt("N201"))  # moves the row on, so that the send's own note moves nothing
    tell(table, len(table.stream) - 1)
    sender.finish()
    tell(table, len(table.stream) - 1)
    assert status() == "delivered"


class TestWhatCannotBeTold:
    def test_an_event_that_sns_refuses_is_told_later(
        self, table: FakeDynamoDB, outside: Outside
    ) -> None:
        arrive(*(receipt("N202", tracking_id=f"X{n}") for n in range(12)))
        names = [record["dynamodb"]["Keys"]["sk"]["S"][6:] for record in table.stream]
        outside.refused = {names[3], names[11]}
        assert tell(table) == []
        assert len(outside.published) == 10
        assert [json.loads(body) for body in outside.queued] == [
            {"event_id": names[3]},
            {"event_id": names[11]},
        ]
        outside.refused = set()
        assert retry(outside) == []
        assert sorted(outside.ids()) == sorted(names)

    def test_while_the_topic_is_out_everything_waits_and_no_time_is_lost(
        self, table: FakeDynamoDB, outside: Outside
    ) -> None:
        Sender().finish()
        arrive(*(receipt("N202", tracking_id=f"X{n}") for n in range(30)), b"unreadable")
        outside.topic_is_out = True
        assert tell(table) == []
        assert (outside.calls, len(outside.queued)) == (1, 32)
        assert len(retry(outside)) == 32
        outside.topic_is_out = False
        tell(table)
        expected, outside.published = outside.published, []
        outside.topic_is_out = True
        tell(table)
        outside.topic_is_out = False
        assert retry(outside) == []
        in_order = sorted(outside.published, key=lambda event: event["id"])
        assert in_order == sorted(expected, key=lambda event: event["id"])

    def test_the_stream_brings_again_what_neither_took(
        self, table: FakeDynamoDB, outside: Outside
    ) -> None:
        arrive(receipt("N202"), receipt("N201"))
        outside.topic_is_out = outside.queue_is_out = True
        numbers = [record["dynamodb"]["SequenceNumber"] for record in table.stream]
        assert tell(table) == numbers

    def test_a_record_that_cannot_be_read_holds_up_nothing(
        self, table: FakeDynamoDB, outside: Outside
    ) -> None:
        arrive(receipt("N201"), receipt("N202"))
        table.stream[0]["dynamodb"]["NewImage"]["blob"] = {"B": "bm8="}
        assert tell(table) == []
        assert len(outside.published) == len(outside.queued) == 1
        assert retry(outside) == []
        assert len(outside.published) == 2

    def test_while_the_table_is_out_everything_waits(
        self, table: FakeDynamoDB, outside: Outside
    ) -> None:
        Sender().finish()
        arrive(receipt("N202"))

        def out(_: int, operation: str, __: object) -> None:
            raise error("InternalServerError", operation)

        table.before = out
        assert tell(table) == []
        assert (len(outside.published), len(outside.queued)) == (0, 2)
        assert len(retry(outside)) == 2
        table.before = lambda *_: None
        tell(table)
        assert len(outside.published) == 2

    @pytest.mark.parametrize("body", ["", "{", "[]", "{}", '{"event_id": 7}', "null"])
    def test_what_is_no_name_fails_alone(
        self, table: FakeDynamoDB, outside: Outside, body: str
    ) -> None:
        arrive(receipt("N202"))
        name = json.dumps({"event_id": table.stream[0]["dynamodb"]["Keys"]["sk"]["S"][6:]})
        assert publish_retries([("bad", body), ("good", name)], **WHERE) == ["bad"]
        assert len(outside.published) == 1

    def test_what_has_left_the_table_is_dropped(
        self, table: FakeDynamoDB, outside: Outside
    ) -> None:
        names = [{"event_id": "gone"}, {"message_id": "gone", "step": "accepted"}]
        assert (
            publish_retries([(str(n), json.dumps(name)) for n, name in enumerate(names)], **WHERE)
            == []
        )
        assert outside.published == []


@settings(
    deadline=None,
    max_examples=3 * settings().max_examples,  # of DynamoDB Local's profile, too
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.data())
def test_any_order_and_any_repetition_end_the_same(
    monkeypatch: pytest.MonkeyPatch, data: Any
) -> None:
    """Receipts, the send's own writes and the stream interleave at every call to the table."""
    from skycore.aws import clients

    shared = data.draw(st.booleans(), label="shared tracking id")
    table, outside, sender = new_table(), Outside(), Sender(shared=shared)
    monkeypatch.setattr(Connection, "client", table)
    monkeypatch.setattr(clients, "sns", lambda: outside)
    monkeypatch.setattr(clients, "sqs", lambda: outside)
    kinds = st.tuples(st.sampled_from(sorted(STATUSES)), st.sampled_from([TO, TO, OTHER]))
    coming = data.draw(st.lists(kinds, max_size=6), label="receipts")
    bodies = [receipt(code, status, to) for (code, status), to in coming]
    schedule = data.draw(st.lists(st.sampled_from("sand-"), max_size=60), label="schedule")
    sender.step()  # the row comes before the call, and no receipt before that

    def between(_: int, operation: str, __: object) -> None:
        """Before a call to the table the sender may get ahead."""
        if schedule and schedule.pop(0) == "s":
            hook, table.before = table.before, lambda *_: None
            sender.step()
            table.before = hook

    read = 0
    while schedule:
        move = schedule.pop(0)
        table.before = between if move in "-d" else lambda *_: None
        if move == "s":
            sender.step()
        elif move == "a" and bodies:
            arrive(bodies.pop(0))
        elif move in "nd" and read < len(table.stream):
            outside.topic_is_out = data.draw(st.booleans(), label="topic is out")
            until = data.draw(st.integers(read + 1, len(table.stream)), label="until")
            batch = table.stream[:until] if move == "d" else table.stream[read:until]
            assert publish(batch, retry_queue_url="retry", **WHERE) == []
            read = until
    table.before = lambda *_: None
    outside.topic_is_out = False
    sender.finish()
    for body in bodies:
        arrive(body)
    while read < len(table.stream):
        start, read = read, len(table.stream)
        tell(table, start)
    retry(outside)

    told = [STATUSES[kind] for kind, to in coming if to == TO or not shared]
    assert status() == max(["accepted", *filter(None, told)], key=RANKS.__getitem__)
    events_kept = {item["sk"]["S"][6:] for item in table.of_kind("event")}
    assert events_kept <= set(outside.ids())


def test_events_carry_the_status_that_their_batch_left_the_message_in(
    table: FakeDynamoDB, outside: Outside
) -> None:
    sender = Sender()
    sender.finish()
    start = len(table.stream)
    arrived = [receipt("N201"), receipt("N202")]
    batch = [(str(n), body, NOW + timedelta(seconds=n)) for n, body in enumerate(arrived)]
    assert store(batch, days=90) == []
    assert tell(table, start) == []
    data = [event["data"] for event in outside.published]
    assert [one["event"] for one in data] == ["sms_sent", "sms_delivered"]
    assert [one["message_status"] for one in data] == ["delivered", "delivered"]


def test_a_late_receipt_carries_the_status_that_it_did_not_change(
    table: FakeDynamoDB, outside: Outside
) -> None:
    Sender().finish()
    messages.transition("m1", "delivered", time=NOW, own=False)
    start = len(table.stream)
    assert store([("0", receipt("N201"), NOW)], days=90) == []
    assert tell(table, start) == []
    assert outside.published[0]["data"]["message_status"] == "delivered"


def test_an_accepted_event_that_comes_late_carries_the_present_status(
    table: FakeDynamoDB, outside: Outside
) -> None:
    Sender().finish()
    seen = len(table.stream)
    messages.transition("m1", "delivered", time=NOW, own=False)
    assert publish(table.stream[:seen], retry_queue_url="retry", **WHERE) == []
    accepted = [e for e in outside.published if e["type"] == "skycore.message_accepted"]
    assert [event["data"]["message_status"] for event in accepted] == ["delivered"]


def test_without_statuses_the_stream_delivers_again(
    table: FakeDynamoDB, outside: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    Sender().finish()
    monkeypatch.setattr(messages, "statuses", lambda _: 1 / 0)
    assert tell(table) == []
    assert len(outside.queued) == 1
    assert outside.published == []
