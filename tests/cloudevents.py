"""The sample CloudEvents in events/cloudevents: complete events, to test a subscriber with.

python -m tests.cloudevents writes them. Those of postbacks are what events/postbacks becomes for
an order's message; the others are a message's own steps and a body that cannot be read.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from skycore.catalogue.statuses import OWN_STEPS
from skycore.postbacks.event import build_event, build_step_event
from skycore.postbacks.parser import read_postback

EVENTS = Path(__file__).parents[1] / "events"
FOLDER = EVENTS / "cloudevents"
SOURCE = "urn:skycore:skycore"
ARRIVAL = datetime(2026, 11, 22, 10, 43, 2, 607282, tzinfo=UTC)
MESSAGE_ID = "5d41402abc4b2a76b9719d911017c592"
REFERENCE = "order-4711"
UNREADABLE = b"<POSTBACK><CODE>N202</CODE>"
DETAILS = {"rejected": "Campaign id/reference missing or invalid", "unknown": "no answer came"}


def samples() -> dict[str, dict[str, Any]]:
    """Return the events by the names of their files."""
    bodies = {path.stem: path.read_bytes() for path in sorted(EVENTS.glob("postbacks/*.xml"))}
    told = {name: _of_postback(body) for name, body in {**bodies, "unparsed": UNREADABLE}.items()}
    return told | {f"message_{step}": _of_step(step) for step in OWN_STEPS}


def _of_postback(body: bytes) -> dict[str, Any]:
    (event,) = read_postback(body, ARRIVAL)
    known = event.event.startswith("sms_deliver") or event.event in {"sms_sent", "mms_delivered"}
    return build_event(
        event,
        source=SOURCE,
        raw=body,
        message_id=MESSAGE_ID if known else None,
        message_status=event.status_step if known else None,
        client_reference=REFERENCE if known else None,
    )


def _of_step(step: Any) -> dict[str, Any]:
    outcome, terminal = OWN_STEPS[step]
    return build_step_event(
        step,
        source=SOURCE,
        message_id=MESSAGE_ID,
        message_status=step,
        tracking_id="U01TXzkwNDE3MzM=" if step == "accepted" else None,
        to="17743199144",
        sender="60856",
        client_reference=REFERENCE,
        code="E714" if step == "rejected" else None,
        time=ARRIVAL,
        outcome=outcome,
        terminal=terminal,
        status_details=DETAILS.get(step),
    )


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, event in samples().items():
        text = json.dumps(event, indent=2, ensure_ascii=False) + "\n"
        (FOLDER / f"{name}.json").write_text(text, encoding="utf-8")
