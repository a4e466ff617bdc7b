"""A scheduled message goes at its time through the deployed stack, and a cancelled one never."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tests.contract.test_bad_input import problem
from tests.integration.test_rare_calls import sweep
from tests.integration.test_sending import number, sent_texts, status
from tests.patience import until

if TYPE_CHECKING:
    from tests.integration.conftest import Stack


def scheduled_soon(stack: Stack, body: dict[str, Any]) -> tuple[datetime, Any]:
    """Schedule a message for seconds from now; later, if a slow machine took longer than that."""
    made: list[tuple[datetime, Any]] = []

    def accepted() -> bool:
        due = datetime.now(UTC) + timedelta(seconds=10 * (len(made) + 1))
        answer = stack.post("/messages", {**body, "send_at": due.isoformat()})
        made.append((due, answer))
        return bool(answer.status_code == 202)

    assert until(accepted), made[-1][1].text
    return made[-1]


def test_a_scheduled_message_goes_at_its_time_and_a_cancelled_one_never(
    stack: Stack, sms: dict[str, Any], ops: Any
) -> None:
    to = number()
    body = {**sms, "to": to}
    hour = datetime.now(UTC) + timedelta(hours=1)
    batch = {"messages": [{**body, "text": "cancelled", "send_at": hour.isoformat()}]}
    answer = stack.post("/messages/batch", batch).json()
    assert answer["summary"] == {"queued": 0, "scheduled": 1, "refused": 0}
    cancelled = answer["messages"][0]["message_id"]
    due, soon = scheduled_soon(stack, body)
    id_ = soon.json()["message_id"]
    assert soon.json()["status"] == "scheduled"
    assert datetime.fromisoformat(soon.json()["send_at"]) == due
    listed = ops.json("messages", "--status", "scheduled", "--limit", "1000")["messages"]
    assert cancelled in {one["message_id"] for one in listed}
    gone = stack.client.request("DELETE", f"/messages/{cancelled}")
    assert (gone.status_code, gone.json()["status"]) == (200, "cancelled")
    problem(stack.client.request("DELETE", f"/messages/{cancelled}"), 409, "not_cancellable")
    stack.event(
        lambda event: (
            event["type"] == "skycore.message_cancelled"
            and event["data"]["message_id"] == cancelled
        )
    )
    assert until(lambda: status(stack, id_) == "delivered")
    sweep(stack)  # finds nothing of the cancelled one
    timeline = stack.get(f"/messages/{id_}").json()["timeline"]
    begun = {step["status"]: datetime.fromisoformat(step["time"]) for step in timeline}
    assert begun["sending"] >= due
    assert list(begun)[:4] == ["scheduled", "queued", "sending", "accepted"]
    assert sent_texts(stack, to) == [sms["text"]]
    assert status(stack, cancelled) == "cancelled"
