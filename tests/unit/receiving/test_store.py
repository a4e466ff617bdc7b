"""Postbacks from the queue: kept once, in few calls, and nothing is lost when the process dies."""

from __future__ import annotations

import base64
import itertools
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pynamodb.connection.base import Connection

from skycore import metrics
from skycore import settings as environment
from skycore.postbacks.parser import read_postback
from skycore.receiving import store as store_flow
from skycore.receiving.store import store
from skycore.table import audit, events
from tests.unit.table.fake_dynamodb import Crash, FakeDynamoDB, error
from tests.unit.table.tables import new_table

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from skycore.postbacks.event import Event
    from tests.unit.sending.conftest import Outside

START = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)


def receipt(number: int, code: str = "N202") -> bytes:
    return (
        f"<POSTBACK><ORIGIN>SMS_MT</ORIGIN><CODE>{code}</CODE><TO>17743199144</TO>"
        f"<TRACKINGID>SMS_MT_{number}</TRACKINGID></POSTBACK>"
    ).encode()


def undated(email: str = "a@example.com") -> bytes:
    return f"<POSTBACK><CODE>N303</CODE><EMAIL>{email}</EMAIL></POSTBACK>".encode()


def many(*numbers: int) -> bytes:
    inner = b"".join(receipt(n).replace(b"POSTBACK", b"NOTIFICATION") for n in numbers)
    return b"<POSTBACK>" + inner + b"</POSTBACK>"


def arrived(*bodies: bytes, minutes: float = 0) -> list[tuple[str, bytes, datetime]]:
    return [
        (f"queue-{n}", body, START + timedelta(minutes=minutes, seconds=n))
        for n, body in enumerate(bodies)
    ]


def kept(table: FakeDynamoDB) -> list[str]:
    return sorted(item["sk"]["S"] for item in table.of_kind("event"))


def test_a_hundred_postbacks_take_about_seven_requests(table: FakeDynamoDB) -> None:
    assert store(arrived(*(receipt(n) for n in range(100))), days=90) == []
    assert len(kept(table)) == 100
    # One call finds the tracking ids that recipients share, one finds repeats.
    assert table.calls == {"BatchGetItem": 2, "BatchWriteItem": 4}


def test_a_repeat_in_the_batch_and_a_later_one_are_one_event(
    table: FakeDynamoDB, caplog: pytest.LogCaptureFixture
) -> None:
    first = arrived(receipt(1), receipt(2), receipt(1))
    assert store(first, days=90) == []
    before = dict(table.items)
    assert store(arrived(receipt(1), receipt(2), minutes=5), days=90) == []
    assert table.items == before
    assert len(kept(table)) == 2
    stored = events.get_by_keys(key for key in table.items)
    assert min(one.event.received_at for one in stored.values()) == START


def test_the_first_copy_stays_whatever_the_order_in_the_batch(table: FakeDynamoDB) -> None:
    batch = [("late", receipt(1), START + timedelta(minutes=5)), ("early", receipt(1), START)]
    store(batch, days=90)
    (stored,) = events.get_by_keys(table.items).values()
    assert stored.event.received_at == START


def test_a_body_of_many_is_kept_once_and_told_apart(table: FakeDynamoDB) -> None:
    assert store(arrived(many(1, 2, 3), receipt(2)), days=90) == []
    assert len(kept(table)) == 3
    (raw,) = table.of_kind("raw")
    assert len(raw["blob"]["B"]) < 300
    stored = events.get(kept(table)[0].removeprefix("event#"))
    assert stored is not None
    assert stored.raw == many(1, 2, 3)


def test_what_the_table_leaves_comes_again(table: FakeDynamoDB) -> None:
    table.unprocessed = lambda operation, _: 1 if operation == "BatchWriteItem" else 0
    assert store(arrived(receipt(1), receipt(2), receipt(1)), days=90) == ["queue-1"]
    table.unprocessed = lambda *_: 0
    assert store(arrived(receipt(2)), days=90) == []
    assert len(kept(table)) == 2


def test_one_that_fails_does_not_fail_the_others(
    table: FakeDynamoDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(calls: int, operation: str, request: object) -> None:
        if operation == "PutItem":
            raise error("ProvisionedThroughputExceededException", operation)

    table.before = fail
    assert store(arrived(receipt(1), undated(), receipt(2)), days=90) == ["queue-1"]
    assert len(kept(table)) == 2


def test_what_is_not_read_in_time_comes_again(
    table: FakeDynamoDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = iter(range(0, 1000, 5))
    monkeypatch.setattr("skycore.receiving.store.time.monotonic", lambda: float(next(seconds)))
    assert store(arrived(*map(receipt, range(5))), days=90) == ["queue-2", "queue-3", "queue-4"]
    assert len(kept(table)) == 2


def undated_many(count: int) -> bytes:
    bodies = (undated(f"{n}@example.com") for n in range(count))
    inner = b"".join(body.replace(b"POSTBACK", b"NOTIFICATION") for body in bodies)
    return b"<POSTBACK>" + inner + b"</POSTBACK>"


def test_a_body_of_many_undated_events_takes_no_time_from_the_others(
    table: FakeDynamoDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Clock:
        now = 0.0

        def monotonic(self) -> float:
            return self.now

    clock = Clock()
    monkeypatch.setattr(store_flow, "time", clock)

    def slow(_: int, operation: str, __: object) -> None:
        clock.now += 0.1 * (operation == "PutItem")

    table.before = slow
    assert store(arrived(undated_many(300), undated(), receipt(1)), days=90) == ["queue-0"]
    assert len(kept(table)) == 2
    assert clock.now < store_flow.READ_BUDGET_SECONDS + 1


def test_a_batch_of_more_events_than_one_run_can_put_is_shared_out(
    table: FakeDynamoDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_flow, "MAX_EVENTS", 5)
    bodies = arrived(many(1, 2, 3), many(4, 5, 6), receipt(7))
    assert store(bodies, days=90) == ["queue-2"]
    assert store(bodies[2:], days=90) == []
    assert len(kept(table)) == 7


def large(number: int) -> bytes:
    return receipt(number).replace(b"</POSTBACK>", b"<NEW>" + b"x" * 20_000 + b"</NEW></POSTBACK>")


class Clock:
    """A clock on which each body takes some seconds to read."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
        self.now = 0.0
        self.read: list[bytes] = []
        real = read_postback

        def slow(raw: bytes, received_at: datetime) -> list[Event]:
            self.now += seconds
            self.read.append(raw)
            return real(raw, received_at)

        monkeypatch.setattr(store_flow, "time", self)
        monkeypatch.setattr(store_flow, "read_postback", slow)

    def monotonic(self) -> float:
        return self.now


def test_small_bodies_of_a_batch_are_read_first(
    table: FakeDynamoDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch, 5.0)
    bodies = arrived(large(1), large(2), large(3), large(4), receipt(5), receipt(6))
    assert store(bodies, days=90) == ["queue-1", "queue-2", "queue-3"]
    assert clock.read == [receipt(5), receipt(6), large(1)]
    assert len(kept(table)) == 3


def test_the_first_copy_stays_though_a_larger_body_is_read_later(table: FakeDynamoDB) -> None:
    first = receipt(1).replace(b"</POSTBACK>", b"<SPID>1</SPID>" + b" " * 20_000 + b"</POSTBACK>")
    assert store(arrived(first, receipt(1)), days=90) == []
    (stored,) = events.get_by_keys(table.items).values()
    assert stored.event.received_at == START


def test_what_no_time_was_left_for_is_requeued_and_has_not_failed(
    table: FakeDynamoDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    Clock(monkeypatch, 5.0)
    requeued: list[str] = []

    def requeue(queue_ids: list[str]) -> list[str]:
        requeued.extend(queue_ids)
        return ["queue-4"]

    assert store(arrived(*map(receipt, range(6))), days=90, requeue=requeue) == ["queue-4"]
    assert requeued == ["queue-3", "queue-4", "queue-5"]
    assert len(kept(table)) == 3


def test_an_undated_body_fails_only_if_its_own_events_take_all_the_time(
    table: FakeDynamoDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch, 0.0)

    def slow(_: int, operation: str, __: object) -> None:
        clock.now += 1.0 * (operation == "PutItem")

    table.before = slow
    requeued: list[str] = []

    def requeue(queue_ids: list[str]) -> list[str]:
        requeued.extend(queue_ids)
        return []

    bodies = arrived(undated_many(40), undated_many(30), receipt(1))
    assert store(bodies, days=90, requeue=requeue) == ["queue-1"]
    assert requeued == ["queue-0"]


def test_bodies_of_many_events_get_through_in_ten_receives(
    table: FakeDynamoDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A body that waits for others must not count receives: ten would dead-letter it."""
    Clock(monkeypatch, 1.0)
    monkeypatch.setattr(store_flow, "MAX_EVENTS", 20)
    bodies = arrived(*(many(*range(n * 10, n * 10 + 10)) for n in range(60)))
    receives = dict.fromkeys((queue_id for queue_id, _, _ in bodies), 0)
    for _ in range(60):
        again: list[str] = []

        def requeue(queue_ids: list[str], again: list[str] = again) -> list[str]:
            again.extend(queue_ids)
            return []

        for queue_id in store(bodies, days=90, requeue=requeue):
            receives[queue_id] += 1
            again.append(queue_id)
        bodies = [one for one in bodies if one[0] in again]
        if not bodies:
            break
    assert len(kept(table)) == 600
    assert max(receives.values()) == 0


def test_an_undated_kind_is_news_after_thirty_minutes(table: FakeDynamoDB) -> None:
    for minutes in (0, 10, 29, 45, 50):
        assert store(arrived(undated(), minutes=minutes), days=90) == []
    assert len(kept(table)) == 2


def test_an_unparsed_body_is_news_after_thirty_minutes(table: FakeDynamoDB) -> None:
    for minutes in (0, 10, 29, 45, 50, 7 * 1440):
        assert store(arrived(b"unreadable", minutes=minutes), days=90) == []
    assert len(kept(table)) == 3


def inbound(text: str, sender: str = "17743199144") -> bytes:
    return (
        f"<POSTBACK><ORIGIN>SMS_MO</ORIGIN><CODE>N211</CODE><FROM>{sender}</FROM><TO>60856</TO>"
        f"<TEXT>{text}</TEXT><RECEIVED>2026-11-22T10:00:00Z</RECEIVED>"
        "<TRANSACTIONID>0</TRANSACTIONID></POSTBACK>"
    ).encode()


def test_an_id_that_comes_again_does_not_hide_another_message(table: FakeDynamoDB) -> None:
    others = arrived(inbound("hello"), inbound("STOP", "17743199145"), inbound("part two"))
    assert store(others, days=90) == []
    assert store(arrived(inbound("hello"), inbound("part two"), minutes=5), days=90) == []
    assert len(kept(table)) == 3


def first_release(body: bytes, minutes: float = 0) -> str:
    """Store a body's event under the id that the first release gave it."""
    ((_, _, arrival),) = arrived(body, minutes=minutes)
    (event,) = read_postback(body, arrival)
    assert event.legacy_id is not None
    assert events.put_all([(body, [replace(event, id=event.legacy_id)])], 90, set()) == set()
    return event.legacy_id


FORMS = {
    "inbound": (inbound("hello"), inbound("hello").replace(b"<FROM>", b"<FROM>+")),
    "expired": (
        receipt(1, "E202").replace(b"<TO>", b"<STATUS>Expired</STATUS><TO>"),
        receipt(1, "E202").replace(b"<TO>", b"<STATUS>Message Sent/Expired</STATUS><TO>+"),
    ),
    "unparsed": (b"unreadable", b"unreadable"),
}


@pytest.mark.parametrize(("before", "again"), FORMS.values(), ids=FORMS)
def test_a_repeat_over_an_upgrade_is_not_a_second_event(
    table: FakeDynamoDB, before: Any, again: Any
) -> None:
    first_release(before)
    assert store(arrived(again, minutes=10), days=90) == []
    assert len(kept(table)) == 1


@pytest.mark.parametrize(
    ("before", "other"),
    [
        (inbound("hello"), inbound("STOP", "17743199145")),
        (FORMS["expired"][0], receipt(1, "E202").replace(b"<TO>", b"<STATUS>Failed</STATUS><TO>")),
    ],
    ids=["inbound", "expired"],
)
def test_what_the_first_release_merged_is_kept_apart_after_an_upgrade(
    table: FakeDynamoDB, before: Any, other: Any
) -> None:
    first_release(before)
    assert store(arrived(other, minutes=10), days=90) == []
    assert len(kept(table)) == 2


def test_an_unparsed_body_of_the_first_release_hides_none_that_comes_later(
    table: FakeDynamoDB,
) -> None:
    first_release(b"unreadable")
    assert store(arrived(b"unreadable", minutes=31), days=90) == []
    assert len(kept(table)) == 2


@pytest.fixture
def recorded(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return how much a metric counted since the last question."""
    monkeypatch.setenv("STACK_NAME", "stack")

    def ask(name: str) -> int:
        metrics.flush()
        lines = [json.loads(one) for one in capsys.readouterr().out.splitlines() if "_aws" in one]
        return sum(sum(line.get(name, [])) for line in lines)

    ask("what earlier tests left")
    return ask


def test_a_repeat_that_differs_in_a_field_that_is_not_compared_is_counted(
    table: FakeDynamoDB, recorded: Any, caplog: pytest.LogCaptureFixture
) -> None:
    first = receipt(1).replace(b"<TO>", b"<STATUSDETAILS>a secret text</STATUSDETAILS><TO>")
    other = receipt(1).replace(b"<TO>", b"<HANDSET>x</HANDSET><NEW>another</NEW><TO>")
    store(arrived(first, receipt(2)), days=90)
    store(arrived(first, first, receipt(2), minutes=1), days=90)
    assert recorded("DuplicatesThatDiffer") == 0
    with caplog.at_level("WARNING"):
        store(arrived(other, minutes=5), days=90)
    assert recorded("DuplicatesThatDiffer") == 1
    (line,) = [one for one in caplog.records if one.message == "repeated postback differs"]
    assert vars(line)["fields"] == ["handset", "status_details", "extra"]
    assert "secret" not in str(vars(line))
    store(arrived(receipt(3), receipt(3).replace(b"<TO>", b"<OS>x</OS><TO>")), days=90)
    assert recorded("DuplicatesThatDiffer") == 1
    assert len(kept(table)) == 3


def test_a_repeat_in_one_body_is_counted_as_in_two_bodies(
    table: FakeDynamoDB, recorded: Any
) -> None:
    other = receipt(1).replace(b"<TO>", b"<HANDSET>x</HANDSET><TO>")
    inner = (receipt(1) + other + undated() + undated()).replace(b"POSTBACK", b"NOTIFICATION")
    store(arrived(b"<POSTBACK>" + inner + b"</POSTBACK>"), days=90)
    assert recorded("DuplicatesThatDiffer") == 1
    assert len(kept(table)) == 2
    store(arrived(many(2, 2, 2), minutes=1), days=90)
    assert recorded("Duplicates") == 2


def test_a_repeat_that_is_only_written_otherwise_does_not_differ(
    table: FakeDynamoDB, recorded: Any
) -> None:
    time = b"<TIMESTAMP>2026-11-22T10:00:00%s</TIMESTAMP><TO>"
    store(arrived(receipt(1).replace(b"<TO>", time % b"Z")), days=90)
    again = receipt(1).replace(b"<TO>1", b"<TO>+1").replace(b"<TO>", time % b".25+00:00")
    store(arrived(again, minutes=5), days=90)
    assert recorded("Duplicates") == 1
    store(arrived(again, minutes=6), days=90)
    assert recorded("DuplicatesThatDiffer") == 0


def test_an_unknown_status_word_is_counted(table: FakeDynamoDB, recorded: Any) -> None:
    odd = [receipt(n).replace(b"<TO>", b"<STATUS>Parked</STATUS><TO>") for n in range(3)]
    known = receipt(9).replace(b"<TO>", b"<STATUS>Message Sent/Retrieved</STATUS><TO>")
    store(arrived(*odd, known), days=90)
    assert recorded("UnknownStatusWords") == 3


BATCH = arrived(receipt(1), undated(), many(1, 2, 3), b"unreadable", undated(), receipt(4), many(5))
AGAIN = arrived(undated(), many(3, 4, 6), minutes=10)


def outcome(table: FakeDynamoDB) -> dict[tuple[str, str], Any]:
    return {key: item for key, item in table.items.items() if item["kind"]["S"] != "raw"}


def whole_run(monkeypatch: pytest.MonkeyPatch) -> FakeDynamoDB:
    table = new_table()
    monkeypatch.setattr(Connection, "client", table)
    store(BATCH, days=90)
    store(AGAIN, days=90)
    return table


@pytest.mark.parametrize("applied", [False, True], ids=["before the call", "after the call"])
def test_dying_between_any_two_calls_and_coming_again_ends_the_same(
    table: FakeDynamoDB, applied: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = whole_run(monkeypatch)
    steps = sum(expected.calls.values())
    assert steps >= 8
    for step in range(steps):
        table = new_table()
        monkeypatch.setattr(Connection, "client", table)
        real = table._make_api_call

        def dying(
            operation: Any, request: Any, step: Any = step, table: Any = table, real: Any = real
        ) -> Any:
            if sum(table.calls.values()) == step and not table.calls["crash"]:
                table.calls["crash"] += 1
                if applied:
                    real(operation, request)
                raise Crash
            return real(operation, request)

        table._make_api_call = dying  # type: ignore[method-assign]
        for batch in (BATCH, AGAIN):
            try:
                failed = store(batch, days=90)
            except Crash:
                failed = store(batch, days=90)  # SQS brings it again
            assert failed == []
        assert outcome(table).keys() == outcome(expected).keys(), step
        first = {event.id for event in (s.event for s in stored_of(table))}
        assert len([r for r in table.stream if inserted(r)]) == len(first)


def stored_of(table: FakeDynamoDB) -> list[events.StoredEvent]:
    found = events.get_by_keys(k for k, i in table.items.items() if i["kind"]["S"] == "event")
    assert all(stored.raw for stored in found.values())
    return list(found.values())


def inserted(record: dict[str, Any]) -> bool:
    kind = record["dynamodb"].get("NewImage", {}).get("kind", {}).get("S")
    new: bool = record["eventName"] == "INSERT" and kind == "event"
    return new


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.integers(0, 12), max_size=30),
    st.lists(st.integers(0, 30), max_size=4),
    st.integers(0, 3),
)
def test_any_batches_keep_each_notification_once(
    monkeypatch: pytest.MonkeyPatch, numbers: Any, cuts: Any, left: Any
) -> None:
    table = new_table()
    monkeypatch.setattr(Connection, "client", table)
    monkeypatch.setattr("time.sleep", lambda _: None)
    table.unprocessed = lambda _, entries: min(left, len(entries) - 1)
    all_ = arrived(*(many(n, n + 1) if n % 3 == 0 else receipt(n) for n in numbers))
    edges = sorted({0, len(all_), *(min(cut, len(all_)) for cut in cuts)})
    for start, end in itertools.pairwise(edges):
        batch = all_[start:end]
        for _ in range(20):
            failed = store(batch, days=90)
            batch = [one for one in batch if one[0] in failed]
            if not batch:
                break
    expected = {m for n in numbers for m in ([n, n + 1] if n % 3 == 0 else [n])}
    assert len(kept(table)) == len(expected)


BY_HAND = {
    "no base64": {"body": "é"},
    "no time": {"attributes": {}, "messageAttributes": {}},
    "a time that is none": {
        "messageAttributes": {"received_at": {"stringValue": "soon"}},
    },
    "a time beyond time": {
        "attributes": {"SentTimestamp": "9" * 400},
        "messageAttributes": {},
    },
    "attributes that are none": {"messageAttributes": None},
    "no body": {"body": None},
}


@pytest.mark.parametrize("wrong", BY_HAND.values(), ids=BY_HAND)
def test_a_message_put_into_the_queue_by_hand_does_not_fail_its_batch(
    table: FakeDynamoDB,
    app: Callable[[str], ModuleType],
    monkeypatch: pytest.MonkeyPatch,
    wrong: Any,
) -> None:
    monkeypatch.setenv("EVENT_RETENTION_DAYS", "90")

    def record(queue_id: str, body: str, encoding: str) -> dict[str, Any]:
        return {
            "messageId": queue_id,
            "body": body,
            "attributes": {"SentTimestamp": "1763800000000"},
            "messageAttributes": {
                "encoding": {"stringValue": encoding},
                "received_at": {"stringValue": "2026-11-22T10:00:00.000000Z"},
            },
        }

    good = base64.b64encode(receipt(1)).decode()
    bad = record("bad", good, "base64") | wrong
    batch = {"Records": [bad, record("good", good, "base64")]}
    answer = app("store").handler(batch, None)
    assert answer == {"batchItemFailures": [{"itemIdentifier": "bad"}]}
    assert len(kept(table)) == 1


def test_a_requeued_postback_keeps_its_body_arrival_and_token(
    table: FakeDynamoDB,
    app: Callable[[str], ModuleType],
    monkeypatch: pytest.MonkeyPatch,
    outside: Outside,
) -> None:
    monkeypatch.setenv("EVENT_RETENTION_DAYS", "90")
    monkeypatch.setenv("POSTBACK_QUEUE_URL", "https://sqs/postbacks")
    environment._load.cache_clear()
    monkeypatch.setattr(store_flow, "READ_BUDGET_SECONDS", -1.0)
    attributes = {
        "encoding": {"stringValue": "base64", "dataType": "String"},
        "received_at": {"stringValue": "2026-11-22T10:00:00.000000Z", "dataType": "String"},
        "token": {"stringValue": "0123456789ab", "dataType": "String"},
    }
    stamp = {"SentTimestamp": "1763800000000", "ApproximateReceiveCount": "9"}
    body = base64.b64encode(receipt(1)).decode()
    full = {"messageId": "a", "body": body, "attributes": stamp, "messageAttributes": attributes}
    by_hand = {"messageId": "b", "body": "x", "attributes": stamp, "messageAttributes": {}}
    sent: list[dict[str, Any]] = []

    def send_message_batch(
        *,
        QueueUrl: str,  # noqa: N803
        Entries: list[dict[str, Any]],  # noqa: N803
    ) -> dict[str, Any]:
        assert QueueUrl == "https://sqs/postbacks"
        sent.extend(Entries)
        return {"Successful": [{"Id": entry["Id"]} for entry in Entries]}

    monkeypatch.setattr(outside, "send_message_batch", send_message_batch)
    answer = app("store").handler({"Records": [full, by_hand]}, None)
    environment._load.cache_clear()
    assert answer == {"batchItemFailures": []}
    values = [
        {name: value["StringValue"] for name, value in entry["MessageAttributes"].items()}
        for entry in sent
    ]
    assert [entry["MessageBody"] for entry in sent] == ["x", body]
    assert all(entry["DelaySeconds"] > 0 for entry in sent)
    assert values == [
        {"received_at": "2025-11-22T08:26:40.000000Z"},
        {
            "encoding": "base64",
            "received_at": "2026-11-22T10:00:00.000000Z",
            "token": "0123456789ab",
        },
    ]


def test_a_postback_that_cannot_be_requeued_comes_again(
    table: FakeDynamoDB,
    app: Callable[[str], ModuleType],
    monkeypatch: pytest.MonkeyPatch,
    outside: Outside,
) -> None:
    monkeypatch.setenv("EVENT_RETENTION_DAYS", "90")
    monkeypatch.setattr(store_flow, "READ_BUDGET_SECONDS", -1.0)
    monkeypatch.setattr("time.sleep", lambda _: None)
    stamp = {"SentTimestamp": "1763800000000"}
    record = {"messageId": "a", "body": "x", "attributes": stamp, "messageAttributes": {}}
    outside.queue_is_out = True
    for url in ("https://sqs/postbacks", ""):  # without one: the previous release's environment
        monkeypatch.setenv("POSTBACK_QUEUE_URL", url)
        environment._load.cache_clear()
        answer = app("store").handler({"Records": [record]}, None)
        assert answer == {"batchItemFailures": [{"itemIdentifier": "a"}]}
    environment._load.cache_clear()


def test_the_use_of_a_token_is_noted_once_for_many_postbacks(
    table: FakeDynamoDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "_last_written", {})
    for n in range(20):
        used = {"0123456789ab": START + timedelta(seconds=n)}
        assert store(arrived(receipt(n)), days=90, token_last_used=used) == []
    assert audit.token_last_used("0123456789ab") == START
    assert table.calls["PutItem"] == 1


@pytest.mark.parametrize("code", ["InternalServerError", "AccessDeniedException"])
def test_a_use_that_cannot_be_noted_fails_no_postback(
    table: FakeDynamoDB, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    monkeypatch.setattr(audit, "_last_written", {})

    def refuse(_number: int, operation: str, _request: object) -> None:
        if operation == "PutItem":
            raise error(code, operation)

    table.before = refuse
    assert store(arrived(receipt(1)), days=90, token_last_used={"0123456789ab": START}) == []
    assert len(kept(table)) == 1
    assert audit.token_last_used("0123456789ab") is None


def test_a_use_is_not_noted_for_what_was_not_stored(
    table: FakeDynamoDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "_last_written", {})

    def refuse(_number: int, operation: str, _request: object) -> None:
        if operation == "BatchWriteItem":
            raise error("InternalServerError", operation)

    table.before = refuse
    assert store(arrived(receipt(1)), days=90, token_last_used={"0123456789ab": START}) == [
        "queue-0"
    ]
    assert audit.token_last_used("0123456789ab") is None
