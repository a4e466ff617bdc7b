"""The send queue's consumer: queued messages go to Skycore."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cache
from typing import Any

from skycore.flows.dispatch import dispatch
from skycore.flows.skycore_client import client
from skycore.logs import log_exception
from skycore.settings import load

DEADLINE_SECONDS = 25.0  # of a batch; the function has 28


@dataclass(frozen=True)
class Settings:
    table_name: str
    skycore_url: str
    api_key_secret: str
    event_retention_days: int


@cache
def settings() -> Settings:
    return load(Settings)


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    deadline = time.monotonic() + DEADLINE_SECONDS
    failed = [
        record["messageId"] for record in event["Records"] if not _sent(record["body"], deadline)
    ]
    return {"batchItemFailures": [{"itemIdentifier": queue_id} for queue_id in failed]}


def _sent(body: str, deadline: float) -> bool:
    known = settings()
    try:
        return dispatch(
            body,
            skycore=client(known.skycore_url, known.api_key_secret),
            days=known.event_retention_days,
            deadline=deadline,
        )
    except Exception as error:  # noqa: BLE001 - a raised one is logged with its text
        log_exception("queued message not sent", error)
        return False
