"""Events in rows: nothing is lost, nothing is too big, and a small postback costs one unit."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from skycore import timestamps
from skycore.postbacks.event import build_event
from skycore.postbacks.parser import read_postback
from skycore.table import events, messages, models
from tests.unit.table.fake_dynamodb import FakeDynamoDB, size_of

CORPUS = Path(__file__).parents[2] / "contract" / "postbacks"
BODIES = {
    path.stem: path.read_bytes()
    for path in sorted(CORPUS.iterdir())
    if not path.name.endswith(".expected.json")
}
ARRIVED = datetime(2026, 11, 22, 10, 41, 15, 123456, tzinfo=UTC)
WRITE_UNIT = 1024  # bytes


def store(*bodies: bytes) -> list[Any]:
    """Stores each body's events; the events."""
    told = [(body, read_postback(body, ARRIVED)) for body in bodies]
    shared = events.shared_tracking_ids(event for _, one in told for event in one)
    assert events.put_all(told, 90, shared) == set()
    return [event for _, one in told for event in one]


@pytest.mark.parametrize("name", BODIES)
def test_an_event_is_read_as_it_was_stored(table: FakeDynamoDB, name: Any) -> None:
    for event in store(BODIES[name]):
        stored = events.get(event.id)
        assert stored is not None
        assert stored.raw == BODIES[name]
        assert build_event(stored.event, source="urn:x", raw=BODIES[name]) == build_event(
            event, source="urn:x", raw=BODIES[name]
        )
        assert (stored.event.received_at, stored.event.tracking_id) == (ARRIVED, event.tracking_id)


@pytest.mark.parametrize("name", [name for name, body in BODIES.items() if len(body) < WRITE_UNIT])
def test_a_postback_under_1_kb_costs_one_write_unit(table: FakeDynamoDB, name: Any) -> None:
    store(BODIES[name])
    sizes = [size_of(item) for item in table.of_kind("event")]
    assert all(size <= WRITE_UNIT for size in sizes), sizes


@pytest.mark.parametrize(
    ("days", "age", "expected"),
    [(90, 0, 90), (2, 0, 16), (90, 80, 16), (2, 14, 16)],
    ids=["its days", "a short retention", "read again late", "out of a dead-letter queue"],
)
def test_every_row_leaves_after_its_days_but_not_while_a_queue_may_name_it(
    table: FakeDynamoDB, days: int, age: int, expected: int
) -> None:
    now = timestamps.now()
    arrived = now - timedelta(days=age)
    told = [(body, read_postback(body, arrived)) for body in BODIES.values()]
    assert events.put_all(told, days, set()) == set()
    left = {int(item["expires"]["N"]) - int(now.timestamp()) for item in table.items.values()}
    assert all(0 <= seconds - expected * 86_400 < 60 for seconds in left)


def test_one_body_of_many_notifications_is_kept_once(table: FakeDynamoDB) -> None:
    one = "<NOTIFICATION><CODE>N211</CODE><TRANSACTIONID>{}</TRANSACTIONID></NOTIFICATION>"
    body = f"<POSTBACK>{''.join(one.format(n) for n in range(300))}</POSTBACK>".encode()
    assert len(store(body)) == 300
    assert len(table.of_kind("raw")) == 1
    rows = [key for key, item in table.items.items() if item["kind"]["S"] == "event"]
    assert {stored.raw for stored in events.get_by_keys(rows).values()} == {body}


def noise(count: int, alphabet: str) -> str:
    return "".join(random.Random(7).choices(alphabet, k=count))


HIGH = "".join(bytes((byte,)).decode("latin-1") for byte in range(0xA1, 0x100))
MOST = 256 * 1024
HUGE = {
    "noise": random.Random(7).randbytes(MOST),
    "text": f"<POSTBACK><CODE>N211</CODE><TEXT>{noise(180_000, HIGH)}</TEXT></POSTBACK>".encode(
        "latin-1"
    ),
    "tracking id": (
        "<POSTBACK><CODE>N202</CODE><ORIGIN>SMS_MT</ORIGIN><TRACKINGID>"
        + noise(250_000, HIGH)
        + "</TRACKINGID></POSTBACK>"
    ).encode("latin-1"),
    "utf-16 text": (
        "<POSTBACK><CODE>N211</CODE><TEXT>"
        + noise(130_000, "".join(map(chr, range(0x4E00, 0x9FFF))))
        + "</TEXT></POSTBACK>"
    ).encode("utf-16"),
    "number": f"<POSTBACK><CODE>N202</CODE><TO>{'7' * 200_000}</TO></POSTBACK>".encode(),
    "unknown elements": (
        "<POSTBACK><CODE>N211</CODE>"
        + "".join(
            f"<X{noise(6, HIGH[:20])}{n}>{n}</X{noise(6, HIGH[:20])}{n}>" for n in range(8000)
        )
        + "</POSTBACK>"
    ).encode(),
    "quotes": (
        "<POSTBACK><CODE>N211</CODE><TEXT>" + noise(250_000, '"' + chr(92)) + "</TEXT></POSTBACK>"
    ).encode(),
}


@pytest.mark.parametrize("name", HUGE)
def test_nothing_that_fits_the_intake_is_too_big_for_the_table(
    table: FakeDynamoDB, name: str
) -> None:
    body = HUGE[name][:MOST]
    (event,) = store(body)
    stored = events.get(event.id)
    assert stored is not None
    assert stored.raw == body
    assert stored.event.data == event.data
    assert max(map(size_of, table.items.values())) < 400 * 1024


@pytest.mark.parametrize("text", ["", "x" * 5000, "ä" * 600, "😀" * 300], ids=len)
def test_what_cannot_be_an_id_is_not_found(table: FakeDynamoDB, text: str) -> None:
    assert events.get(text) is None
    assert not table.calls


def test_an_event_id_finds_its_row_whatever_the_tracking_id_is(table: FakeDynamoDB) -> None:
    for tracking_id in ("SMS_1", "ä/#?%", "x" * 256, "x" * 257, "ü" * 300):
        body = f"<POSTBACK><CODE>N202</CODE><TRACKINGID>{tracking_id}</TRACKINGID></POSTBACK>"
        (event,) = store(body.encode())
        assert len(models.event_key(event.id)[1].encode()) <= 1024
        stored = events.get(event.id)
        assert stored is not None
        assert stored.event.tracking_id == tracking_id
        assert [one.id for one in events.by_tracking_id(tracking_id)] == [event.id]


def receipts(*numbers: str, tracking_id: str = "T") -> list[bytes]:
    of = "<ORIGIN>MMS_MT</ORIGIN><CODE>N102</CODE><TRACKINGID>{}</TRACKINGID><TO>{}</TO>"
    body = f"<POSTBACK>{of}</POSTBACK>"
    return [body.format(tracking_id, number).encode() for number in numbers]


NUMBERS = [f"1774319{n:04}" for n in range(40)]


def share(tracking_id: str) -> None:
    events.mark_shared([tracking_id], time=ARRIVED, days=90)


def test_the_events_of_a_campaign_are_spread_over_partitions_and_found_by_their_ids(
    table: FakeDynamoDB,
) -> None:
    share("T")
    stored = store(*receipts(*NUMBERS))
    assert len({item["pk"]["S"] for item in table.of_kind("event")}) == 8
    assert set(events.first_copies(stored, {"T"})) == {event.id for event in stored}
    assert events.get_many(event.id for event in stored).keys() == {e.id for e in stored}
    assert {event.id for event in events.by_tracking_id("T")} == {e.id for e in stored}


def test_the_events_of_a_campaign_that_an_earlier_release_stored_are_found_beside_new_ones(
    table: FakeDynamoDB,
) -> None:
    old = store(*receipts(*NUMBERS[:20]))  # before its tracking id was known to be shared
    share("T")
    assert set(events.first_copies(old, {"T"})) == {event.id for event in old}
    new = store(*receipts(*NUMBERS[20:]))
    both = {event.id for event in old + new}
    assert {event.id for event in events.by_tracking_id("T")} == both
    assert events.get_many(both).keys() == both


def test_shared_tracking_ids_are_found_among_others(table: FakeDynamoDB) -> None:
    bodies = [*receipts(NUMBERS[0]), *receipts(NUMBERS[1], tracking_id="own")]
    found = [event for body in bodies for event in read_postback(body, ARRIVED)]
    assert events.shared_tracking_ids(found) == set()
    share("T")
    assert events.shared_tracking_ids(found) == {"T"}


def test_without_shared_tracking_ids_a_batch_of_receipts_reads_one_row_to_know_it(
    table: FakeDynamoDB,
) -> None:
    bodies = [body for n in range(10) for body in receipts(NUMBERS[0], tracking_id=f"T{n}")]
    found = [event for body in bodies for event in read_postback(body, ARRIVED)]
    keys: list[int] = []
    table.before = lambda _n, _operation, request: keys.extend(
        len(asked["Keys"]) for asked in request["RequestItems"].values()
    )
    assert events.shared_tracking_ids(found) == set()
    assert keys == [1]


def test_the_row_of_all_shared_tracking_ids_lasts_as_long_as_any_of_them(
    table: FakeDynamoDB,
) -> None:
    events.mark_shared(["new"], time=timestamps.now(), days=90)
    events.mark_shared(["old"], time=timestamps.now() - timedelta(days=60), days=90)
    expires = {item["pk"]["S"]: int(item["expires"]["N"]) for item in table.of_kind("shared")}
    assert expires[f"tracking#{events.ANY_ID}"] >= expires["tracking#new"] > expires["tracking#old"]


def with_scheduled_id(body: bytes) -> bytes:
    return body.replace(b"</POSTBACK>", b"<SCHEDULEDID>7</SCHEDULEDID></POSTBACK>")


@pytest.mark.parametrize("first", [True, False], ids=["in the first copy", "in the second copy"])
def test_a_scheduled_id_in_one_copy_only_makes_no_second_event(
    table: FakeDynamoDB, first: bool
) -> None:
    (plain,) = receipts(NUMBERS[0])
    bodies = [with_scheduled_id(plain), plain]
    one, two = bodies if first else reversed(bodies)
    (stored,) = store(one)
    (copy,) = read_postback(two, ARRIVED)
    assert set(events.first_copies([copy], events.shared_tracking_ids([copy]))) == {stored.id}


def test_a_receipt_with_a_scheduled_id_that_an_earlier_release_stored_is_no_second_event(
    table: FakeDynamoDB,
) -> None:
    (body,) = map(with_scheduled_id, receipts(NUMBERS[0]))
    old = read_postback(body, ARRIVED)
    events.put_all([(body, old)], 90, {"T"})  # as of a campaign's, which the body seemed to say
    assert set(events.first_copies(old, events.shared_tracking_ids(old))) == {old[0].id}


def test_a_receipt_with_a_scheduled_id_is_found_by_its_single_message(table: FakeDynamoDB) -> None:
    (stored,) = store(*map(with_scheduled_id, receipts(NUMBERS[0])))
    row = messages.new_row(
        "m1", "sending", time=ARRIVED, days=90, attempt="a", fingerprint="f", to=NUMBERS[0]
    )
    row.tracking_id = "T"
    assert [event.id for event in events.of_message(row)] == [stored.id]


@pytest.mark.parametrize(
    "written",
    [
        "5215562000000",
        "+52 55 6200 0000",
        "tel:+5215562000000",
        "005215562000000",
        "525562000000.0",
    ],
)
def test_no_way_of_writing_a_number_puts_a_copy_of_its_event_elsewhere(
    table: FakeDynamoDB, written: str
) -> None:
    share("T")
    (stored,) = store(*receipts("525562000000"))
    (copy,) = read_postback(receipts(written)[0], ARRIVED)
    assert copy.id == stored.id
    assert models.shared_event_key(copy.id, str(copy.subscriber_number)) == (
        models.shared_event_key(stored.id, str(stored.subscriber_number))
    )
    assert set(events.first_copies([copy], {"T"})) == {stored.id}


def test_a_tracking_id_that_ends_as_a_shard_does_keeps_its_events_apart(
    table: FakeDynamoDB,
) -> None:
    share("T")
    (mine,) = store(*receipts(NUMBERS[0]))
    shard = models.shared_event_key(mine.id, NUMBERS[0])[0].removeprefix("tracking#")
    (other,) = store(*receipts(NUMBERS[1], tracking_id=shard))
    assert [event.id for event in events.by_tracking_id(shard)] == [other.id]
    assert [event.id for event in events.by_tracking_id("T")] == [mine.id]
