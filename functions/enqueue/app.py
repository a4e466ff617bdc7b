"""POST /messages/batch: many messages, answered once the send queue has them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from skycore.handler import lambda_handler
from skycore.http import Answer, answer, serve
from skycore.sending.batch import enqueue_batch
from skycore.sending.validation import SendPolicy
from skycore.settings import load

if TYPE_CHECKING:
    from skycore.http import Request


@dataclass(frozen=True)
class Settings:
    table_name: str
    send_queue_url: str
    default_region: str
    allowed_country_codes: str
    event_retention_days: int
    allowed_countries: str = ""  # not in the environment of the previous release
    allow_campaign_sends: str = "on"


@cache
def settings() -> Settings:
    return load(Settings)


@lambda_handler
def handler(event: dict[str, Any], _context: object) -> Answer:
    return serve(event, _batch)


def _batch(request: Request) -> Answer:
    known = settings()
    sent = enqueue_batch(
        request.json(),
        caller=request.caller,
        key=request.headers.get("idempotency-key"),
        queue_url=known.send_queue_url,
        policy=SendPolicy.of(
            known.default_region,
            known.allowed_country_codes,
            known.event_retention_days,
            known.allowed_countries,
            known.allow_campaign_sends,
        ),
    )
    headers = {"Idempotency-Replayed": "true"} if sent.replayed else {}
    return answer(sent.status, sent.body, headers)
