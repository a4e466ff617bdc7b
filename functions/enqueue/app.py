"""POST /messages/batch: many messages, answered once the send queue has them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from skycore.handler import Answer, lambda_handler
from skycore.http import RestApi, caller_of, json_response, read_json
from skycore.sending.batch import enqueue_batch
from skycore.sending.policy import PolicySettings
from skycore.settings import load

if TYPE_CHECKING:
    from aws_lambda_powertools.event_handler import Response

api = RestApi()


@dataclass(frozen=True, kw_only=True)
class Settings(PolicySettings):
    table_name: str
    send_queue_url: str


@lambda_handler
def handler(event: dict[str, Any], context: object) -> Answer:
    return api.resolve(event, context)


@api.post("/messages/batch")
def post_batch() -> Response[str]:
    settings, event = load(Settings), api.current_event
    sent = enqueue_batch(
        read_json(event),
        caller=caller_of(event),
        key=event.headers.get("idempotency-key"),
        queue_url=settings.send_queue_url,
        policy=settings.policy,
    )
    headers = {"Idempotency-Replayed": "true"} if sent.replayed else {}
    return json_response(sent.body, sent.status, headers)
