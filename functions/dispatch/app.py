"""The send queue's consumer: queued messages go to Skycore."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cache
from typing import Any

from skycore.handler import invocation
from skycore.sending.delivery import LineSettings, line
from skycore.sending.dispatch import Queues, dispatch
from skycore.settings import load

DEADLINE_SECONDS = 25.0  # of a batch; the function has 28


@dataclass(frozen=True)
class Settings(LineSettings):
    send_dead_letter_queue_url: str


@cache
def settings() -> Settings:
    return load(Settings)


@invocation
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    deadline = time.monotonic() + DEADLINE_SECONDS
    known = settings()
    failed = dispatch(
        {record["messageId"]: record["body"] for record in event["Records"]},
        line=line(),
        queues=Queues(known.send_queue_url, known.send_dead_letter_queue_url),
        deadline=deadline,
    )
    return {"batchItemFailures": [{"itemIdentifier": queue_id} for queue_id in failed]}
