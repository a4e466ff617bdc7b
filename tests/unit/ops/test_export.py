"""What `export` writes of each kind of row; tests/integration/test_export.py runs the command."""

from __future__ import annotations

from typing import Any

from ops.export import _messages
from skycore import timestamps
from skycore.table import messages


def stored(status: str) -> dict[str, Any]:
    row = messages.new_row(
        status,
        "sending",
        time=timestamps.now(),
        days=90,
        attempt="attempt",
        action="sendSMS",
        fingerprint="f",
    )
    row.status = status
    item: dict[str, Any] = row.to_dynamodb_dict()
    return item


def test_a_released_message_is_not_exported() -> None:
    page = [stored("accepted"), stored("released"), stored("unknown")]
    exported = [message["message_id"] for message in _messages(page, timestamps.now())]
    assert exported == ["accepted", "unknown"]
