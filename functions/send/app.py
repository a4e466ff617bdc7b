"""POST /messages and POST /actions/{action}: calls of Skycore, answered at once."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from skycore.flows.act import act
from skycore.flows.enqueue import enqueue
from skycore.flows.send import Sent, send
from skycore.flows.skycore_client import client
from skycore.settings import load
from skycore.web.answers import Answer, answer, serve

if TYPE_CHECKING:
    from skycore.web.request import Request

DEADLINE_SECONDS = 25.0  # of a send, its retries and its key refresh; the function has 28


@dataclass(frozen=True)
class Settings:
    table_name: str
    skycore_url: str
    api_key_secret: str
    send_queue_url: str
    default_region: str
    event_retention_days: int


@cache
def settings() -> Settings:
    return load(Settings)


def handler(event: dict[str, Any], _context: object) -> Answer:
    return serve(event, _action if "action" in (event.get("pathParameters") or {}) else _message)


def _message(request: Request) -> Answer:
    known = settings()
    body, key = request.json(), request.headers.get("idempotency-key")
    if request.prefers_async():
        return _answer(
            enqueue(
                body,
                caller=request.caller,
                key=key,
                queue_url=known.send_queue_url,
                region=known.default_region,
                days=known.event_retention_days,
            )
        )
    return _answer(
        send(
            body,
            caller=request.caller,
            key=key,
            skycore=client(known.skycore_url, known.api_key_secret),
            region=known.default_region,
            days=known.event_retention_days,
            deadline=time.monotonic() + DEADLINE_SECONDS,
        )
    )


def _action(request: Request) -> Answer:
    known = settings()
    reply = act(
        request.path["action"],
        request.json(),
        skycore=client(known.skycore_url, known.api_key_secret),
        region=known.default_region,
        deadline=time.monotonic() + DEADLINE_SECONDS,
    )
    return answer(200, reply)


def _answer(sent: Sent) -> Answer:
    headers = {"Location": f"/messages/{sent.body['message_id']}"}
    if sent.replayed:
        headers["Idempotency-Replayed"] = "true"
    return answer(sent.status, sent.body, headers)
