"""`ops messages` and `ops message` show what is scheduled, and until when a message waits."""

from __future__ import annotations

from argparse import Namespace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from ops import messages as shown
from skycore import timestamps
from skycore.sending.policy import SendPolicy
from skycore.sending.send import enqueue
from skycore.table import messages, parking
from tests.unit.sending.conftest import outside, table

if TYPE_CHECKING:
    from tests.unit.sending.conftest import Outside
    from tests.unit.table.fake_dynamodb import FakeDynamoDB

__all__ = ["outside", "table"]
STACK: Any = SimpleNamespace(source="urn:skycore:test", parameters={"DefaultRegion": "US"})
SMS = {"to": "+17743199144", "from": "60856", "text": "Hello"}
POLICY = SendPolicy.of("US", "", 90)


def queued(**fields: str) -> str:
    result = enqueue({**SMS, **fields}, caller="arn", key=None, queue_url="send", policy=POLICY)
    return str(result.body["message_id"])


def test_a_scheduled_message_is_listed_with_its_time(table: FakeDynamoDB, outside: Outside) -> None:
    queued()
    due = (datetime.now(UTC) + timedelta(days=3)).replace(microsecond=0)
    scheduled = queued(send_at=due.isoformat())
    known = {"since": None, "until": None, "to": None, "reference": None, "limit": 50}
    args = Namespace(status=["scheduled"], show=False, **known)
    result = shown.many(STACK, args)
    (found,) = result.data["messages"]
    assert (found["message_id"], found["status"]) == (scheduled, "scheduled")
    assert found["send_at"] == timestamps.to_text(due)
    listing: Any = result.shown[0]
    assert [column.header for column in listing.columns][3] == "send_at"
    one = shown.one(STACK, Namespace(id=scheduled, show=False)).data
    assert one["waits_until"] == timestamps.to_text(due.replace(second=0))


def test_a_parked_message_shows_until_when_it_waits(table: FakeDynamoDB, outside: Outside) -> None:
    """For quiet hours, a limit or a pause: its status is only `queued`."""
    id_ = queued()
    args = Namespace(id=id_, show=False)
    assert "waits_until" not in shown.one(STACK, args).data
    row = messages.get(id_)
    assert row is not None
    until = (datetime.now(UTC) + timedelta(hours=9)).replace(second=0, microsecond=0)
    assert parking.park(row, until)
    assert shown.one(STACK, args).data["waits_until"] == timestamps.to_text(until)
