"""Every minute: end interrupted and overdue messages, and queue lost ones again."""

from __future__ import annotations

import time
from dataclasses import dataclass

from skycore.handler import lambda_handler
from skycore.sending.sweep import sweep
from skycore.settings import load

DEADLINE_SECONDS = 45.0  # of one run; the function has 55


@dataclass(frozen=True)
class Settings:
    table_name: str
    send_queue_url: str


@lambda_handler
def handler(_event: object, _context: object) -> dict[str, int]:
    return sweep(time.monotonic() + DEADLINE_SECONDS, queue_url=load(Settings).send_queue_url)
