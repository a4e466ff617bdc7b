"""One person's data is found by the number, and erased so that nothing is sent again."""

from __future__ import annotations

import json
import zlib
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from skycore import keyed_hash, timestamps
from skycore.aws import bucket, clients
from skycore.postbacks.parser import read_postback
from skycore.problems import Problem
from skycore.queries.person import StillSending, erase_person, find_person, mentions, show_person
from skycore.sending.policy import SendPolicy
from skycore.sending.send import enqueue
from skycore.sending.validation import check_opt_out, parse_message
from skycore.table import events, messages, models, opt_outs, queue_transitions
from skycore.table.messages import MessageRow
from tests.unit.aws.fake_s3 import FakeS3
from tests.unit.sending.conftest import Outside, outside
from tests.unit.table.conftest import table

if TYPE_CHECKING:
    from tests.unit.table.fake_dynamodb import FakeDynamoDB

__all__ = ["outside", "table"]

BUCKET = "bucket"
NUMBER, OTHER, SENDER = "17743199144", "17743199145", "60856"
RULES = SendPolicy(region="US", countries=(), days=90)
OPERATOR = {"caller": "arn:aws:iam::111122223333:user/ada", "session": None}
RECEIPT = """<POSTBACK><NOTIFICATION><ORIGIN>SMS_MT</ORIGIN><CODE>N101</CODE><TO>{to}</TO>
<FROM>60856</FROM><TRACKINGID>{id}</TRACKINGID><TIMESTAMP>{time}</TIMESTAMP></NOTIFICATION>{more}
</POSTBACK>"""

MMS = """<POSTBACK><NOTIFICATION><ORIGIN>MMS_MO</ORIGIN><CODE>N401</CODE><FROM>17743199144</FROM>
<TO>60856</TO><TRACKINGID>MO1</TRACKINGID><CONTENT><FILE>https://x/1.png</FILE></CONTENT>
</NOTIFICATION></POSTBACK>"""


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HASH_SECRET", "hash-secret")
    monkeypatch.setattr(keyed_hash, "_key", lambda _name: b"a secret of this test")


@pytest.fixture(autouse=True)
def s3(monkeypatch: pytest.MonkeyPatch) -> FakeS3:
    fake = FakeS3()
    monkeypatch.setattr(clients, "s3", lambda: fake)
    return fake


def queued(key: str | None = "order-1", to: str = NUMBER) -> str:
    body = {"to": f"+{to}", "from": SENDER, "text": "Hello", "client_reference": "ref-1"}
    known: dict[str, Any] = {"caller": "arn", "queue_url": "send", "policy": RULES}
    return str(enqueue(body, key=key, **known).body["message_id"])


def accepted(tracking_id: str = "T1") -> str:
    id_, now = queued(), timestamps.now()
    row = messages.get(id_)
    assert row is not None
    assert queue_transitions.claim(row, "attempt", now)
    messages.put_tracking_row(tracking_id, id_, "ref-1", time=now, days=90)
    answer = messages.pack({"status": 201, "body": {"to": NUMBER}})
    assert messages.transition(
        id_, "accepted", time=now, own=True, tracking_id=tracking_id, answer=answer, request=None
    )
    return id_


def store(body: str) -> None:
    raw = body.encode()
    found = read_postback(raw, timestamps.now())
    assert not events.put_all([(raw, found)], 90, set())


def receipt(tracking_id: str = "T1", to: str = NUMBER, more: str = "") -> str:
    now = timestamps.to_text(timestamps.now().replace(microsecond=0))
    return RECEIPT.format(to=to, id=tracking_id, time=now, more=more)


def erase() -> None:
    erase_person(find_person(NUMBER, BUCKET), BUCKET, OPERATOR)


def holds_number(table: FakeDynamoDB, number: str = NUMBER) -> list[Any]:
    """Return the keys of rows that hold the national number in any value."""

    def texts(value: Any) -> Any:
        if isinstance(value, dict):
            for inner in value.values():
                yield from texts(inner)
        elif isinstance(value, list):
            for inner in value:
                yield from texts(inner)
        elif isinstance(value, bytes):
            yield zlib.decompress(value).decode("latin-1")
        else:
            yield str(value)

    return [
        key
        for key, item in table.items.items()
        if any(number[1:] in text for text in (*key, *texts(item)))
    ]


def test_erasure_cancels_what_waits_and_leaves_a_tombstone(
    table: FakeDynamoDB, outside: Outside
) -> None:
    id_ = queued()
    assert holds_number(table)
    erase()
    row = messages.get(id_)
    assert row is not None
    assert row.status == "cancelled"
    assert row.caller == "arn"
    assert holds_number(table) == []
    assert not messages.update(id_, [MessageRow.to.set("1")], MessageRow.request.exists())


@pytest.mark.parametrize("make", [queued, accepted])
def test_the_same_key_sends_nothing_after_the_erasure(
    table: FakeDynamoDB, outside: Outside, make: Any
) -> None:
    id_ = make()
    erase()
    before = list(outside.queued)
    assert queued() == id_
    assert outside.queued == before
    assert holds_number(table) == []


def test_another_body_under_the_key_of_a_tombstone_is_refused(
    table: FakeDynamoDB, outside: Outside
) -> None:
    queued()
    erase()
    with pytest.raises(Problem, match="idempotency_key_reused"):
        queued(to=OTHER)


def test_nothing_is_erased_while_a_message_is_sent(table: FakeDynamoDB, outside: Outside) -> None:
    waiting = queued("a")
    row = messages.get(queued("b"))
    assert row is not None
    assert queue_transitions.claim(row, "attempt", timestamps.now())
    with pytest.raises(StillSending):
        erase()
    kept = messages.get(waiting)
    assert kept is not None
    assert kept.status == "queued"


def test_a_message_that_is_claimed_meanwhile_stops_the_erasure(
    table: FakeDynamoDB, outside: Outside
) -> None:
    id_ = queued()
    person = find_person(NUMBER, BUCKET)
    row = messages.get(id_)
    assert row is not None
    assert queue_transitions.claim(row, "attempt", timestamps.now())
    with pytest.raises(StillSending):
        erase_person(person, BUCKET, OPERATOR)
    kept = messages.get(id_)
    assert kept is not None
    assert kept.to == NUMBER


def test_a_late_outcome_does_not_bring_data_back(table: FakeDynamoDB, outside: Outside) -> None:
    id_ = accepted()
    erase()
    attempt = messages.get(id_).attempt  # type: ignore[union-attr]
    now = timestamps.now()
    moved = messages.transition(
        id_, "delivered", time=now, own=True, if_attempt=attempt, detail="x"
    )
    assert not moved
    assert not messages.record_accepted_after_receipt(id_, attempt, now, tracking_id="T1")


def test_receipts_pointers_and_replies_are_erased(table: FakeDynamoDB, outside: Outside) -> None:
    accepted()
    store(receipt())
    store(
        "<POSTBACK><NOTIFICATION><ORIGIN>SMS_MO</ORIGIN><CODE>N401</CODE><FROM>17743199144</FROM>"
        "<TO>60856</TO><TEXT>my secret</TEXT><TRACKINGID>MO1</TRACKINGID></NOTIFICATION></POSTBACK>"
    )
    shown = json.dumps(show_person(find_person(NUMBER, BUCKET), "urn:skycore:test"))
    assert "my secret" in shown
    assert len(table.of_kind("event")) == 2
    erase()
    assert table.of_kind("event") == []
    assert table.of_kind("pointer") == []
    assert holds_number(table) == []


def test_files_of_an_mms_are_shown_and_erased_and_no_others(
    table: FakeDynamoDB, outside: Outside, s3: FakeS3
) -> None:
    store(MMS)
    (item,) = table.of_kind("event")
    kept = [f"{bucket.prefix_of(events.from_item(item).event.id)}{place}.png" for place in range(3)]
    s3.objects = {key: {} for key in [*kept, "other/0.png"]}
    assert show_person(find_person(NUMBER, BUCKET), "urn:skycore:test")["files"] == kept
    s3.kept_back = {kept[1]}
    with pytest.raises(RuntimeError):
        erase()
    assert table.of_kind("event") != []  # it leads to the file that is left
    s3.kept_back = set()
    erase()
    assert list(s3.objects) == ["other/0.png"]
    assert holds_number(table) == []


def test_what_is_fetched_while_its_mms_is_erased_goes_too(
    table: FakeDynamoDB, outside: Outside, s3: FakeS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(MMS)
    (item,) = table.of_kind("event")
    event, real = events.from_item(item).event, bucket.delete_files

    def and_then_fetch_ends(name: str, event_id: str) -> int:
        monkeypatch.setattr(bucket, "delete_files", real)
        deleted = real(name, event_id)
        kept = replace(event, id=event.media_event_id, type="skycore.media_kept")
        events.row_of(kept, b"", 90, key=models.event_key(kept.id), alone=True).save()
        s3.objects[f"{bucket.prefix_of(event_id)}0.png"] = {}
        return deleted

    monkeypatch.setattr(bucket, "delete_files", and_then_fetch_ends)
    erase()
    assert (s3.objects, table.of_kind("event")) == ({}, [])
    assert holds_number(table) == []


def test_a_shared_raw_body_goes_and_the_other_persons_event_stays(
    table: FakeDynamoDB, outside: Outside
) -> None:
    one = receipt("T1").removesuffix("</POSTBACK>").rstrip()
    store(one + receipt("T2", to=OTHER).removeprefix("<POSTBACK>"))
    assert len(table.of_kind("raw")) == 1
    assert len(table.of_kind("event")) == 2
    erase()
    assert table.of_kind("raw") == []
    (left,) = table.of_kind("event")
    assert events.from_item(left).event.data["to"] == OTHER
    assert holds_number(table) == []


@pytest.mark.parametrize(
    "body",
    [
        "<broken>+1 (774) 319-9144",
        "%2B17743199144 <",
        "&#49;7743199144 <",
        "<a>" + "MTc3NDMxOTkxNDQgd3JvdGUgc29tZXRoaW5nIGhlcmU=",
    ],
)
def test_an_unparsed_body_with_the_number_is_erased(
    table: FakeDynamoDB, outside: Outside, body: str
) -> None:
    store(body)
    store("<broken>+1 (774) 319-9145")
    assert len(table.of_kind("event")) == 2
    erase()
    assert len(table.of_kind("event")) == 1


def test_a_body_in_utf_16_mentions_its_number() -> None:
    assert mentions("nr 17743199144".encode("utf-16"), NUMBER)
    assert not mentions("nr 17743199145".encode("utf-16"), NUMBER)


def test_the_opt_out_becomes_a_hash_that_blocks_until_a_start(
    table: FakeDynamoDB, outside: Outside
) -> None:
    stopped = timestamps.now() - timedelta(days=1)
    opt_outs.record_opt_out(NUMBER, SENDER, stopped, "STOP")
    erase()
    assert holds_number(table) == []
    assert [row["pk"]["S"][:7] for row in table.of_kind("opt_out")] == ["hashed#"]
    draft = parse_message({"to": f"+{NUMBER}", "from": SENDER, "text": "x"}, RULES)
    with pytest.raises(Problem, match="recipient_opted_out"):
        check_opt_out(draft)
    opt_outs.record_opt_in(NUMBER, SENDER, timestamps.now())
    assert check_opt_out(draft) is None


@pytest.mark.parametrize("form", ["5521512345678", "525512345678"])
def test_the_hash_blocks_every_equivalent_form(table: FakeDynamoDB, form: str) -> None:
    number, other = "525512345678", "5215512345678"
    opt_outs.record_opt_out(number, None, timestamps.now(), "STOP")
    assert opt_outs.erase_number(number)
    assert opt_outs.opted_out([(number, SENDER), (other, SENDER)]) == {
        (number, SENDER),
        (other, SENDER),
    }
    assert len(table.of_kind("opt_out")) == 2


def test_a_lifted_opt_out_leaves_nothing(table: FakeDynamoDB) -> None:
    opt_outs.record_opt_out(NUMBER, SENDER, timestamps.now() - timedelta(days=1), "STOP")
    opt_outs.record_opt_in(NUMBER, SENDER, timestamps.now())
    assert opt_outs.erase_number(NUMBER) == 0
    assert table.of_kind("opt_out") == []


def test_without_the_secret_a_send_is_refused(
    table: FakeDynamoDB, outside: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreadable(_name: str) -> bytes:
        raise RuntimeError("no value")

    monkeypatch.setattr(keyed_hash, "_key", unreadable)
    with pytest.raises(Problem, match="not_ready") as caught:
        queued()
    assert caught.value.status == 503
    assert table.items == {}


def test_reference_and_ceiling_rows_are_erased(table: FakeDynamoDB, outside: Outside) -> None:
    id_ = queued()
    partition = models.reference_partition("ref-1")
    messages.TrackingRow(partition, id_, message_id=id_).save()
    assert queue_transitions.count_for_recipient(id_, NUMBER, 5, timestamps.now())
    erase()
    assert {item["kind"]["S"] for item in table.items.values()} == {"message"}


def test_an_erasure_can_be_repeated(table: FakeDynamoDB, outside: Outside) -> None:
    accepted()
    store(receipt())
    opt_outs.record_opt_out(NUMBER, SENDER, timestamps.now(), "STOP")
    erase()
    left = json.dumps(sorted(table.items), default=str)
    erase()
    assert json.dumps(sorted(table.items), default=str) == left


def test_an_interrupted_erasure_is_completed_by_the_next(
    table: FakeDynamoDB, outside: Outside
) -> None:
    accepted()
    store(receipt())
    writes = 0

    def fail(_count: int, operation: str, _request: Any) -> None:
        nonlocal writes
        writes += operation in {"BatchWriteItem", "UpdateItem", "DeleteItem"}
        if writes == 2:
            raise ConnectionError

    table.before = fail
    with pytest.raises(ConnectionError):
        erase()
    table.before = lambda *_: None
    erase()
    assert holds_number(table) == []


def test_requests_do_not_grow_with_the_table(table: FakeDynamoDB, outside: Outside) -> None:
    accepted()

    def calls() -> int:
        table.calls.clear()
        find_person(NUMBER, BUCKET)
        assert "Scan" not in table.calls
        return table.calls.total()

    before = calls()
    for number in range(60):
        queued(f"k{number}", to=f"1774320{number:04}")
        store(receipt(f"X{number}", to=f"1774320{number:04}"))
    assert calls() == before


def test_a_stop_under_an_old_form_holds_for_each_number_that_it_may_be(table: FakeDynamoDB) -> None:
    """The first release stored national digits, which may be a Norwegian's number."""
    norwegian = "4743199144"
    us = f"1{norwegian}"
    key = f"number#{norwegian}", f"opt_out#{SENDER}"
    opt_outs.OptOutRow(*key, stopped_at=timestamps.to_key(timestamps.now())).save()
    pairs = {(us, SENDER), (norwegian, SENDER)}
    assert opt_outs.opted_out(pairs) == pairs
    assert opt_outs.erase_number(us)
    assert opt_outs.opted_out(pairs) == pairs
    assert holds_number(table, us) == []


def scheduled() -> str:
    body = {"to": f"+{NUMBER}", "from": SENDER, "text": "Hello", "client_reference": "ref-1"}
    body["send_at"] = timestamps.to_text(timestamps.now() + timedelta(days=3))
    known: dict[str, Any] = {"caller": "arn", "queue_url": "send", "policy": RULES}
    return str(enqueue(body, key="order-2", **known).body["message_id"])


def test_a_scheduled_message_is_shown_and_erased_with_its_person(
    table: FakeDynamoDB, outside: Outside
) -> None:
    id_ = scheduled()
    person = find_person(NUMBER, BUCKET)
    (shown,) = show_person(person, "urn:skycore:test")["messages"]
    assert (shown["message_id"], shown["status"]) == (id_, "scheduled")
    assert (shown["caller"], shown["request"]["fields"]["text"]) == ("arn", "Hello")
    assert any(pk.startswith("reference#") for pk, _ in person.other)
    erase_person(person, BUCKET, OPERATOR)
    row = messages.get(id_)
    assert row is not None
    left = {name for name in ("request", "state", "to") if getattr(row, name) is not None}
    assert (row.status, left) == ("cancelled", set())
    assert NUMBER not in str(table.items)
    assert find_person(NUMBER, BUCKET).counts()["messages"] == 0
