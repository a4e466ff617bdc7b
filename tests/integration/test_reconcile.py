"""What no postback told is learnt from Skycore's report, and only that."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tests.integration.test_subscribers import in_stack
from tests.patience import until


def reconcile(stack, *arguments: str) -> str:
    since = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    return in_stack(stack, "reconcile", "--local", "--since", since, "--yes", *arguments)


def test_a_delivery_that_no_postback_told_is_learnt_once(stack, sms):
    told = stack.post("/messages", sms).json()
    assert until(lambda: _status(stack, told) == "delivered")
    stack.control("settings", {"postback_url": ""}, "PATCH")  # an outage: Skycore gives up
    try:
        missed = stack.post("/messages", {**sms, "text": "missed"}).json()
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


def _status(stack, sent: dict) -> str:
    return stack.get(f"/messages/{sent['message_id']}").json()["status"]


def _settled(stack, sent: dict) -> bool:
    """Whether Skycore gave up on both postbacks of the message."""
    rows = stack.control(f"postbacks?tracking_id={sent['tracking_id']}")["postbacks"]
    return len(rows) == 2 and all(row["gave_up"] for row in rows)
