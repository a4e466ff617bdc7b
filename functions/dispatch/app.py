"""The send queue's consumer: queued messages go to Skycore."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from skycore.handler import lambda_handler
from skycore.sending.delivery import Queues, SendSettings, send_context
from skycore.sending.dispatch import dispatch
from skycore.settings import load

DEADLINE_SECONDS = 25.0  # of a batch; the function has 28


@dataclass(frozen=True, kw_only=True)
class Settings(SendSettings):
    send_dead_letter_queue_url: str


@lambda_handler
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    deadline = time.monotonic() + DEADLINE_SECONDS
    settings = load(Settings)
    failed = dispatch(
        {record["messageId"]: record["body"] for record in event["Records"]},
        context=send_context(),
        queues=Queues(settings.send_queue_url, settings.send_dead_letter_queue_url),
        deadline=deadline,
    )
    return {"batchItemFailures": [{"itemIdentifier": queue_id} for queue_id in failed]}
