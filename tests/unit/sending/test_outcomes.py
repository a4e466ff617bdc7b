"""What is written of a send's end: the message first, then its recipients, all of it mended."""

from __future__ import annotations

import json
import math
import random
import time
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import pytest

from skycore import timestamps
from skycore.client.reply import Reply
from skycore.problems import Problem
from skycore.sending import outcomes
from skycore.sending.idempotency import MAX_REQUEST_BYTES, new_message
from skycore.sending.outcomes import (
    Outcome,
    apply_outcome,
    record_accepted,
    record_outcome,
    record_recipients,
)
from skycore.table import events, messages
from tests.unit.table.fake_dynamodb import FakeDynamoDB, error

if TYPE_CHECKING:
    from tests.unit.sending.conftest import Outside

ACTION = "sendMessageBySubscriberRef"
PAST = 0.0  # a deadline, by time.monotonic()


@pytest.fixture
def notes(outside: Outside) -> list[str]:
    queued: list[str] = outside.queued
    return queued


@pytest.fixture
def row(notes: list[str]) -> Any:
    made = messages.new_row(
        "m1",
        "sending",
        time=timestamps.now(),
        days=90,
        attempt="a1",
        action=ACTION,
        fingerprint="f",
        client_reference="ref",
    )
    assert messages.create(made) is None
    return made


def reply(count: int) -> Reply:
    chance = random.Random(1)
    groups = [
        {"status": "Success", "to": f"1774{n:07}", "tracking_id": chance.randbytes(12).hex()}
        for n in range(count)
    ]
    return Reply(ACTION, {"subscriber_ref": "s", "subscribers": groups})


def finish(row: Any, told: Reply, deadline: float = math.inf) -> dict[str, Any]:
    return record_accepted(row, told, days=90, repair_queue="send", deadline=deadline)


def found(message_id: str) -> messages.MessageRow:
    held = messages.get(message_id)
    assert held is not None
    return held


def mend_all(notes: list[str]) -> None:
    for body in notes:
        apply_outcome(Outcome.from_json(json.loads(body)["mend"]), 90)


OUTCOMES = [
    ({"tracking_id": "T"}, "accepted", None),
    ({"status": "Failure", "error_code": "E114"}, "rejected", "E114"),
    ({"error_code": "E503"}, "unknown", "E503"),
    ({"tracking_id": "T", "error_code": "E114"}, "unknown", "E114"),
    ({"status": "Success"}, "unknown", None),
]


@pytest.mark.parametrize(("told", "status", "code"), OUTCOMES)
def test_a_recipients_row_says_what_came_of_it(
    row: Any, told: dict[str, Any], status: str, code: str | None
) -> None:
    body = finish(row, Reply(ACTION, {"subscribers": [{"to": "1", **told}, {"to": "2"}]}))
    child = found("m1-1")
    assert (child.status, child.outbox, child.code, child.parent) == (status, status, code, "m1")
    assert child.tracking_id == told.get("tracking_id")
    assert [one["status"] for one in body["recipients"]] == [status, "unknown"]
    pointer = messages.messages_by_tracking_id(["T"])
    assert {id_: one.message_id for id_, one in pointer.items()} == (
        {"T": "m1-1"} if "tracking_id" in told else {}
    )


def test_a_tracking_id_of_several_recipients_is_known_to_be_shared(row: Any) -> None:
    groups = [{"to": str(n), "tracking_id": "own" if n == 3 else "T"} for n in range(1, 4)]
    finish(row, Reply(ACTION, {"subscribers": groups}))
    pointers = messages.messages_by_tracking_id(["T", "own"])
    assert {id_: one.shared for id_, one in pointers.items()} == {"T": True, "own": False}
    assert events.shared_among(["T", "own"]) == {"T"}


@pytest.mark.parametrize("queued", [False, True])
def test_a_campaigns_tracking_id_is_known_to_be_shared(
    row: Any, notes: list[str], monkeypatch: pytest.MonkeyPatch, queued: bool
) -> None:
    if queued:
        monkeypatch.setattr(outcomes, "apply_outcome", Mock(side_effect=TimeoutError))
    finish(row, Reply(ACTION, {"scheduled_id": "12418"}))
    mend_all(notes)
    assert events.shared_among(["TU1TXzEyNDE4", "TU1TXzEyNDE5"]) == {"TU1TXzEyNDE4"}


def test_the_message_is_written_before_its_recipients(row: Any, table: FakeDynamoDB) -> None:
    finish(row, reply(250))
    inserted = [one["dynamodb"]["Keys"]["pk"]["S"] for one in table.stream if "INSERT" in str(one)]
    order = [key.removeprefix("message#") for key in inserted if key.startswith("message#")]
    assert order[0] == "m1"
    moved = next(n for n, one in enumerate(table.stream) if one["eventName"] == "MODIFY")
    assert all("m1-" not in str(one["dynamodb"]["Keys"]) for one in table.stream[:moved])
    assert len(order) == 251


@pytest.mark.in_memory("writes 6,000 rows, each in a call of its own")
def test_what_the_deadline_leaves_goes_into_notes_that_fit(
    row: Any, notes: list[str], table: FakeDynamoDB
) -> None:
    body = finish(row, reply(3000), deadline=PAST)
    assert len(body["recipients"]) == 3000
    assert found("m1").status == "accepted"
    assert messages.get("m1-1") is None
    assert len(notes) > 1
    assert all(len(note) <= 256 * 1024 for note in notes)
    mend_all(notes)
    first = dict(table.items)
    mend_all(notes)
    assert table.items == first
    assert found("m1-3000").status == "accepted"
    assert len(table.of_kind("message")) == 3001
    assert len(table.of_kind("pointer")) == 3000


def test_a_deadline_between_parts_writes_the_first_ones(
    row: Any, notes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.monotonic()
    real = outcomes.apply_outcome
    monkeypatch.setattr("skycore.sending.outcomes.time.monotonic", lambda: now)

    def slow(note: Any, days: int) -> None:
        nonlocal now
        real(note, days)
        now += 1

    monkeypatch.setattr(outcomes, "apply_outcome", slow)
    finish(row, reply(500), deadline=now + 2.5)
    assert messages.get("m1-200") is not None
    assert messages.get("m1-201") is None
    (note,) = notes
    assert len(json.loads(note)["mend"]["children"]) == 300


def test_a_receipt_before_the_note_is_not_undone(row: Any, notes: list[str]) -> None:
    finish(row, reply(2), deadline=PAST)
    mend_all(notes)
    messages.transition("m1-1", "delivered", time=timestamps.now(), own=False)
    mend_all(notes)
    assert found("m1-1").status == "delivered"


def test_a_table_that_is_out_loses_nothing(row: Any, notes: list[str], table: FakeDynamoDB) -> None:
    def out(*_: Any) -> None:
        raise error("InternalServerError", "any")

    told = reply(120)
    table.before = out
    body = finish(row, told)
    table.before = lambda *_: None
    mend_all(notes)
    assert (found("m1").status, found("m1-120").status) == ("accepted", "accepted")
    answer = found("m1").answer
    assert answer is not None
    assert messages.unpack(answer) == {"status": 201, "body": body}


@pytest.mark.long
@pytest.mark.in_memory("writes 18,000 rows, each in a call of its own")
def test_the_note_of_a_large_answer_fits_too(
    row: Any, notes: list[str], table: FakeDynamoDB
) -> None:
    def out(*_: Any) -> None:
        raise error("InternalServerError", "any")

    table.before = out
    body = finish(row, reply(9000))
    table.before = lambda *_: None
    assert len(body["recipients"]) == 9000
    assert all(len(note) <= 256 * 1024 for note in notes)
    mend_all(notes)
    answer = found("m1").answer
    assert answer is not None
    kept = messages.unpack(answer)["body"]
    assert (kept["status"], kept["subscriber_ref"]) == ("accepted", "s")


def test_recipients_of_a_refused_message(row: Any, notes: list[str]) -> None:
    told = Reply(ACTION, {"subscribers": [{"to": "1", "error_code": "E114"}]})
    record_outcome(row, Problem("skycore_rejected", "no"), days=90, repair_queue="send")
    record_recipients(row, told, days=90, repair_queue="send")
    assert (found("m1").status, found("m1-1").status) == ("rejected", "rejected")
    assert notes == []


def test_a_recipient_that_no_row_could_hold_does_not_keep_others_out(
    row: Any, notes: list[str]
) -> None:
    odd: list[dict[str, Any]] = [
        {"to": "1" * 3000, "tracking_id": "T1"},
        {"to": {"x": "y"}, "tracking_id": "T2"},
    ]
    finish(row, Reply(ACTION, {"subscribers": odd}))
    assert [found("m1-1").to, found("m1-2").to] == [None, None]
    assert notes == []


def test_a_request_that_fits_into_no_row_is_refused() -> None:
    from skycore.catalogue.actions import find_action
    from skycore.sending.validation import Draft

    action = find_action("sendSMS")
    assert action is not None
    draft = Draft(action, {})
    with pytest.raises(Problem) as caught:
        new_message(
            draft,
            "queued",
            message_id="m",
            body={},
            days=90,
            request=bytes(MAX_REQUEST_BYTES + 1),
        )
    assert (caught.value.code, caught.value.status) == ("too_large", 413)


def test_an_outcome_survives_the_queue_and_is_read_in_the_form_of_the_previous_release(
    row: Any,
) -> None:
    outcome = Outcome.of(row, status="accepted", tracking_id="T", answer=b"\x00\xff", action="a")
    assert Outcome.from_json(json.loads(json.dumps(outcome.to_json()))) == outcome
    earlier = {
        "message_id": "m1",
        "attempt": "a1",
        "client_reference": "ref",
        "at": timestamps.to_key(outcome.at),
        "status": "accepted",
        "tracking_id": "T",
        "answer": "AP8=",
    }
    assert Outcome.from_json(earlier) == Outcome.from_json(outcome.to_json() | {"action": None})
