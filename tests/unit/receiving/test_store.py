"""Postbacks from the queue: kept once, in few calls, and nothing is lost when the process dies."""

from __future__ import annotations

import base64
import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pynamodb.connection.base import Connection

from skycore.receiving import store as store_flow
from skycore.receiving.store import store
from skycore.table import events, tokens
from tests.unit.table.fake_dynamodb import Crash, FakeDynamoDB, error
from tests.unit.table.tables import new_table

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


def test_a_hundred_postbacks_take_about_six_requests(table):
    assert store(arrived(*(receipt(n) for n in range(100))), days=90) == []
    assert len(kept(table)) == 100
    assert table.calls == {"BatchGetItem": 1, "BatchWriteItem": 4}


def test_a_repeat_in_the_batch_and_a_later_one_are_one_event(table, caplog):
    first = arrived(receipt(1), receipt(2), receipt(1))
    assert store(first, days=90) == []
    before = dict(table.items)
    assert store(arrived(receipt(1), receipt(2), minutes=5), days=90) == []
    assert table.items == before
    assert len(kept(table)) == 2
    stored = events.get_by_keys(key for key in table.items)
    assert min(one.event.received_at for one in stored.values()) == START


def test_the_first_copy_stays_whatever_the_order_in_the_batch(table):
    batch = [("late", receipt(1), START + timedelta(minutes=5)), ("early", receipt(1), START)]
    store(batch, days=90)
    (stored,) = events.get_by_keys(table.items).values()
    assert stored.event.received_at == START


def test_a_body_of_many_is_kept_once_and_told_apart(table):
    assert store(arrived(many(1, 2, 3), receipt(2)), days=90) == []
    assert len(kept(table)) == 3
    (raw,) = table.of_kind("raw")
    assert len(raw["blob"]["B"]) < 300
    assert events.get(kept(table)[0].removeprefix("event#")).raw == many(1, 2, 3)


def test_what_the_table_leaves_comes_again(table):
    table.unprocessed = lambda operation, _: 1 if operation == "BatchWriteItem" else 0
    assert store(arrived(receipt(1), receipt(2), receipt(1)), days=90) == ["queue-1"]
    table.unprocessed = lambda *_: 0
    assert store(arrived(receipt(2)), days=90) == []
    assert len(kept(table)) == 2


def test_one_that_fails_does_not_fail_the_others(table, monkeypatch):
    def fail(calls: int, operation: str, request: object) -> None:
        if operation == "PutItem":
            raise error("ProvisionedThroughputExceededException", operation)

    table.before = fail
    assert store(arrived(receipt(1), undated(), receipt(2)), days=90) == ["queue-1"]
    assert len(kept(table)) == 2


def test_what_is_not_read_in_time_comes_again(table, monkeypatch):
    seconds = iter(range(0, 1000, 5))
    monkeypatch.setattr(store_flow.time, "monotonic", lambda: float(next(seconds)))
    assert store(arrived(*map(receipt, range(5))), days=90) == ["queue-2", "queue-3", "queue-4"]
    assert len(kept(table)) == 2


def undated_many(count: int) -> bytes:
    bodies = (undated(f"{n}@example.com") for n in range(count))
    inner = b"".join(body.replace(b"POSTBACK", b"NOTIFICATION") for body in bodies)
    return b"<POSTBACK>" + inner + b"</POSTBACK>"


def test_a_body_of_many_undated_events_takes_no_time_from_the_others(table, monkeypatch):
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


def test_a_batch_of_more_events_than_one_run_can_put_is_shared_out(table, monkeypatch):
    monkeypatch.setattr(store_flow, "MAX_EVENTS", 5)
    bodies = arrived(many(1, 2, 3), many(4, 5, 6), receipt(7))
    assert store(bodies, days=90) == ["queue-2"]
    assert store(bodies[2:], days=90) == []
    assert len(kept(table)) == 7


def test_an_undated_kind_is_news_after_thirty_minutes(table):
    for minutes in (0, 10, 29, 45, 50):
        assert store(arrived(undated(), minutes=minutes), days=90) == []
    assert len(kept(table)) == 2


BATCH = arrived(receipt(1), undated(), many(1, 2, 3), b"unreadable", undated(), receipt(4), many(5))
AGAIN = arrived(undated(), many(3, 4, 6), minutes=10)


def outcome(table: FakeDynamoDB) -> dict:
    return {key: item for key, item in table.items.items() if item["kind"]["S"] != "raw"}


def whole_run(monkeypatch: pytest.MonkeyPatch) -> FakeDynamoDB:
    table = new_table()
    monkeypatch.setattr(Connection, "client", table)
    store(BATCH, days=90)
    store(AGAIN, days=90)
    return table


@pytest.mark.parametrize("applied", [False, True], ids=["before the call", "after the call"])
def test_dying_between_any_two_calls_and_coming_again_ends_the_same(table, applied, monkeypatch):
    expected = whole_run(monkeypatch)
    steps = sum(expected.calls.values())
    assert steps >= 8
    for step in range(steps):
        table = new_table()
        monkeypatch.setattr(Connection, "client", table)
        real = table._make_api_call

        def dying(operation, request, step=step, table=table, real=real):
            if sum(table.calls.values()) == step and not table.calls["crash"]:
                table.calls["crash"] += 1
                if applied:
                    real(operation, request)
                raise Crash
            return real(operation, request)

        table._make_api_call = dying
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


def inserted(record: dict) -> bool:
    kind = record["dynamodb"].get("NewImage", {}).get("kind", {}).get("S")
    return record["eventName"] == "INSERT" and kind == "event"


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.integers(0, 12), max_size=30),
    st.lists(st.integers(0, 30), max_size=4),
    st.integers(0, 3),
)
def test_any_batches_keep_each_notification_once(monkeypatch, numbers, cuts, left):
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
    table, app, monkeypatch, wrong
):
    monkeypatch.setenv("EVENT_RETENTION_DAYS", "90")

    def record(queue_id: str, body: str, encoding: str) -> dict:
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


def test_the_use_of_a_token_is_noted_once_for_many_postbacks(table, monkeypatch):
    monkeypatch.setattr(tokens, "_last_written", {})
    for n in range(20):
        used = {"0123456789ab": START + timedelta(seconds=n)}
        assert store(arrived(receipt(n)), days=90, used=used) == []
    assert tokens.last_used("0123456789ab") == START
    assert table.calls["PutItem"] == 1


@pytest.mark.parametrize("code", ["InternalServerError", "AccessDeniedException"])
def test_a_use_that_cannot_be_noted_fails_no_postback(table, monkeypatch, code):
    monkeypatch.setattr(tokens, "_last_written", {})

    def refuse(_number: int, operation: str, _request: object) -> None:
        if operation == "PutItem":
            raise error(code, operation)

    table.before = refuse
    assert store(arrived(receipt(1)), days=90, used={"0123456789ab": START}) == []
    assert len(kept(table)) == 1
    assert tokens.last_used("0123456789ab") is None


def test_a_use_is_not_noted_for_what_was_not_stored(table, monkeypatch):
    monkeypatch.setattr(tokens, "_last_written", {})

    def refuse(_number: int, operation: str, _request: object) -> None:
        if operation == "BatchWriteItem":
            raise error("InternalServerError", operation)

    table.before = refuse
    assert store(arrived(receipt(1)), days=90, used={"0123456789ab": START}) == ["queue-0"]
    assert tokens.last_used("0123456789ab") is None
