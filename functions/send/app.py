"""POST /messages and POST /actions/{action}: calls to Skycore, answered at once."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from skycore.handler import Answer, lambda_handler
from skycore.http import (
    RestApi,
    caller_of,
    identity_of,
    json_response,
    path_below,
    prefers_async,
    read_json,
)
from skycore.sending.delivery import SendSettings as Settings
from skycore.sending.delivery import send_context
from skycore.sending.send import call_action, enqueue, send
from skycore.settings import load

if TYPE_CHECKING:
    from aws_lambda_powertools.event_handler import Response

__all__ = ["Settings", "handler"]

DEADLINE_SECONDS = 25.0  # of a send, its retries and its key refresh; the function has 28

api = RestApi()


@lambda_handler
def handler(event: dict[str, Any], context: object) -> Answer:
    return api.resolve(event, context)


@api.post("/messages")
def post_message() -> Response[str]:
    deadline = time.monotonic() + DEADLINE_SECONDS
    settings, event = load(Settings), api.current_event
    body, caller, key = read_json(event), caller_of(event), event.headers.get("idempotency-key")
    policy = settings.policy
    if prefers_async(event.headers) or body.get("send_at") is not None:
        queue_url = settings.send_queue_url
        sent = enqueue(body, caller=caller, key=key, queue_url=queue_url, policy=policy)
    else:
        context = send_context()
        sent = send(body, caller=caller, key=key, policy=policy, context=context, deadline=deadline)
    headers = {}
    if "message_id" in sent.body:
        headers["Location"] = path_below(event, sent.body["message_id"])
    if sent.replayed:
        headers["Idempotency-Replayed"] = "true"
    return json_response(sent.body, sent.status, headers)


@api.post("/actions/<action>")
def post_action(action: str) -> Response[str]:
    deadline = time.monotonic() + DEADLINE_SECONDS
    event, policy = api.current_event, load(Settings).policy
    reply = call_action(
        action,
        read_json(event),
        identity=identity_of(event),
        context=send_context(),
        policy=policy,
        deadline=deadline,
    )
    return json_response(reply)
