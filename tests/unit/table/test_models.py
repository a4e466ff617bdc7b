"""Every stored row names its model in `kind`; rows that an index returns have no kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from skycore import timestamps
from skycore.table import (
    audit,
    events,
    messages,
    models,
    opt_outs,
    parking,
    pauses,
    queue_transitions,
)

if TYPE_CHECKING:
    from tests.unit.table.fake_dynamodb import FakeDynamoDB

KINDS = {
    messages.MessageRow: "message",
    messages.TrackingRow: "pointer",
    events.EventRow: "event",
    events.RawRow: "raw",
    events.WindowRow: "window",
    events.SharedRow: "shared",
    opt_outs.OptOutRow: "opt_out",
    opt_outs.SenderRow: "sender",
    audit.TokenRow: "token",
    pauses.PausesRow: "pauses",
    parking.ProgressRow: "progress",
    queue_transitions.CeilingRow: "ceiling",
    audit.ChangeRow: "change",
    messages.ReferenceRow: "reference",
}


@pytest.mark.parametrize(("model", "kind"), KINDS.items())
def test_stored_kinds_stay(model: Any, kind: Any) -> None:
    """Rows outlive releases, and the stack's event source mapping filters by kind."""
    assert (model.kind.attr_name, model.kind.serialize(model)) == ("kind", kind)


def test_every_model_of_a_stored_row_has_a_kind() -> None:
    assert set(models.StoredRow.__subclasses__()) == KINDS.keys()


def test_a_model_does_not_read_a_row_of_another_kind() -> None:
    item = messages.TrackingRow("pk", "sk", message_id="id").serialize()
    with pytest.raises(ValueError, match="MessageRow"):
        messages.MessageRow.from_raw_data(item)


def test_an_index_that_projects_no_kind_returns_rows(table: FakeDynamoDB) -> None:
    now = timestamps.now()
    row = messages.new_row(
        "id", "sending", time=now, days=1, action="sendSMS", attempt="1", fingerprint=""
    )
    messages.create(row)
    (partition,) = {item["state"]["S"] for item in table.items.values()}
    assert [row.sk for row in models.Row.by_state.query(partition)] == ["message"]
