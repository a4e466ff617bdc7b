"""The sample Lambda events, by `verb/name`, and what each handler answers: a status or a result."""

from __future__ import annotations

from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
NOT_OF_FUNCTIONS = {"schema", "cloudevents"}
SAMPLES = sorted(
    path for path in (ROOT / "events").glob("*/*.json") if path.parent.name not in NOT_OF_FUNCTIONS
)
NO_FAILURES: dict[str, list[str]] = {"batchItemFailures": []}
EXPECTED: dict[str, Any] = {
    "ack/postback_xml": 200,
    "ack/postback_form": 200,
    "ack/postback_binary": 200,
    "store/postbacks": NO_FAILURES,
    "publish/event_inserted": NO_FAILURES,
    "publish/message_accepted": NO_FAILURES,
    "publish/retry": NO_FAILURES,
    "fetch/media": NO_FAILURES,
    "send/sms": 201,
    "send/sms_async": 202,
    "send/mms": 201,
    "send/action": 200,
    "enqueue/batch": 202,
    "dispatch/queued_message": NO_FAILURES,
    "messages/get_message": 404,
    "messages/list_by_number": 200,
    "messages/cancel": 404,
    "messages/unparsed": 200,
    "messages/get_event": 404,
    "sweep/every_minute": dict.fromkeys(
        ("probes", "unknown", "expired", "queued_again", "released"), 0
    ),
}


def name_of(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"
