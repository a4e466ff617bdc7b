"""`ops resolve` records what a person found out, tells subscribers, and never frees the key."""

from __future__ import annotations

from argparse import Namespace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from ops import resolve
from ops.output import Refused, UsageError
from skycore import serializers
from skycore.problems import Problem
from skycore.receiving.publish import publish
from skycore.sending import outcomes
from skycore.sending.idempotency import SendResult, replay_result
from skycore.table import messages, queue_transitions
from tests.unit.sending.conftest import outside, table

if TYPE_CHECKING:
    from skycore.table.messages import MessageRow
    from tests.unit.sending.conftest import Outside
    from tests.unit.table.fake_dynamodb import FakeDynamoDB

__all__ = ["outside", "table"]
ROLE = "arn:aws:sts::111122223333:assumed-role/Ops"
ANN = f"{ROLE}/ann"
REASON = "in the report of 3 May"
NOW = datetime.now(UTC) - timedelta(hours=1)


class Stack:
    ask = False
    operator = ANN


def unknown(status: str = "unknown", **values: Any) -> MessageRow:
    known: dict[str, Any] = {
        "action": "sendSMS",
        "to": "17743199144",
        "sender": "60856",
        "fingerprint": "f",
    }
    answer = messages.pack({"status": 504, "body": {"code": "outcome_unknown"}})
    known = {"attempt": "a", "answer": answer, "request": b"x", **known, **values}
    row = messages.new_row("m1", status, time=NOW, days=90, **known)
    assert messages.create(row) is None
    return row


def run(*, sent: bool, reason: str = REASON) -> Any:
    args = Namespace(id="m1", sent=sent, not_sent=not sent, reason=reason, yes=True)
    return resolve.run(Stack(), args).data  # type: ignore[arg-type]


def stored() -> MessageRow:
    row = messages.get("m1")
    assert row is not None
    return row


@pytest.mark.parametrize(("sent", "status"), [(True, "accepted"), (False, "rejected")])
def test_it_moves_the_message_and_publishes_who_and_why(
    table: FakeDynamoDB, outside: Outside, sent: bool, status: str
) -> None:
    unknown()
    start = len(table.stream)
    assert run(sent=sent)["status"] == stored().status == status
    where: Any = {"source": "urn:skycore:s", "topic_arn": "t", "retry_queue_url": "r"}
    assert publish(table.stream[start:], **where) == []
    (event,) = outside.published
    data = event["data"]
    assert event["type"] == f"skycore.message_{status}"
    assert (data["resolved_by"], data["reason"], data["message_status"]) == (ROLE, REASON, status)
    view = serializers.message(stored(), datetime.now(UTC))
    assert (view["resolved_by"], view["reason"]) == (ROLE, REASON)
    assert stored().resolved_by == ANN


def test_the_key_replays_that_it_was_sent(table: FakeDynamoDB) -> None:
    unknown()
    run(sent=True)
    result = replay_result(stored(), stored())
    assert (result.status, result.replayed) == (201, True)
    assert (result.body["status"], result.body["resolved_by"]) == ("accepted", ROLE)


def test_the_key_replays_that_it_was_not_sent(table: FakeDynamoDB) -> None:
    unknown()
    run(sent=False)
    result: SendResult = replay_result(stored(), stored())
    assert (result.status, result.body["code"]) == (422, "skycore_rejected")
    assert REASON in result.body["detail"]
    another = stored()
    another.fingerprint = "another"
    with pytest.raises(Problem, match="idempotency_key_reused"):
        replay_result(stored(), another)


@pytest.mark.parametrize("sent", [True, False])
def test_a_late_outcome_of_the_call_changes_nothing_more(table: FakeDynamoDB, sent: bool) -> None:
    """Not even one that proves the opposite: the key must never be freed, or sent again."""
    row = unknown()
    late = outcomes.Outcome.of(row, status="accepted", tracking_id="T1", answer=b"")
    requeue = {"tries": 1, "not_before": "2026-01-01T00:00:00Z", "code": None, "detail": None}
    run(sent=sent)
    before = stored().attribute_values
    outcomes.apply_outcome(late, 90)
    queue_transitions.requeue_recorded("m1", "a", requeue)
    queue_transitions.release("m1", "a")
    assert stored().attribute_values == before


def test_a_receipt_still_moves_a_message_that_was_sent(table: FakeDynamoDB) -> None:
    unknown()
    run(sent=True)
    assert messages.transition("m1", "delivered", time=NOW, own=False)


@pytest.mark.parametrize("status", ["accepted", "queued", "rejected", "cancelled"])
def test_only_an_unknown_message_can_be_resolved(table: FakeDynamoDB, status: str) -> None:
    unknown(status)
    with pytest.raises(Refused, match=f"is {status}"):
        run(sent=True)
    assert stored().status == status


def test_a_call_that_may_still_go_on_is_not_resolved(table: FakeDynamoDB) -> None:
    unknown("sending")
    with pytest.raises(Refused, match="again"):
        run(sent=False)
    assert stored().status == "sending"


def test_a_message_that_moves_meanwhile_is_not_resolved(
    table: FakeDynamoDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = unknown()
    messages.transition("m1", "delivered", time=NOW, own=False)
    monkeypatch.setattr(messages, "get", lambda _: row)
    with pytest.raises(Refused, match="changed"):
        run(sent=False)


@pytest.mark.parametrize("reason", ["", "  ", "a\nb", "x" * 501], ids=repr)
def test_it_needs_a_reason_that_can_be_shown(table: FakeDynamoDB, reason: str) -> None:
    unknown()
    with pytest.raises(UsageError):
        run(sent=True, reason=reason)
