"""What no postback told is learnt from Skycore's report, and only that."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tests.integration.test_subscribers import in_stack
from tests.patience import until

if TYPE_CHECKING:
    from tests.integration.conftest import Stack


def reconcile(stack: Stack, *arguments: str) -> str:
    since = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    # Messages of other tests have the same text and time: rows that fit several are left alone.
    given = ("--local", "--since", since, "--yes", *arguments)
    return in_stack(stack, "reconcile", *given, codes=(0, 1))


def test_a_delivery_that_no_postback_reported_is_found_once_in_the_documented_report(
    stack: Stack, sms: dict[str, Any]
) -> None:
    stack.control("settings", {"postback_url": ""}, "PATCH")  # an outage: Skycore gives up
    try:
        # The report has no tracking ids: the message is found by its number, text and time.
        text = f"missed {uuid.uuid4()}"
        missed = stack.post("/messages", {**sms, "text": text}).json()
        assert until(lambda: _settled(stack, missed))
    finally:
        url = stack.description["postback_url"]
        stack.control("settings", {"postback_url": url}, "PATCH")
    assert _status(stack, missed) == "accepted"
    reconcile(stack, "--dry-run")
    assert _status(stack, missed) == "accepted"
    assert "became events" in reconcile(stack)
    event = stack.event(
        lambda event: (
            event["type"] == "skycore.sms_delivered"
            and event["data"]["message_id"] == missed["message_id"]
        )
    )
    assert event["data"]["from_report"] is True
    assert until(lambda: _status(stack, missed) == "delivered")
    assert "\n0 became events" in reconcile(stack)


def _status(stack: Stack, sent: dict[str, Any]) -> str:
    found: str = stack.get(f"/messages/{sent['message_id']}").json()["status"]
    return found


def _settled(stack: Stack, sent: dict[str, Any]) -> bool:
    """Whether Skycore gave up on both postbacks of the message."""
    rows = stack.control(f"postbacks?tracking_id={sent['tracking_id']}")["postbacks"]
    return len(rows) == 2 and all(row["gave_up"] for row in rows)
