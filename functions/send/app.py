"""POST /messages and POST /actions/{action}: calls of Skycore, answered at once."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from skycore.handler import lambda_handler
from skycore.http import Answer, answer, serve
from skycore.sending.delivery import SendSettings as Settings
from skycore.sending.delivery import send_context
from skycore.sending.delivery import send_settings as settings
from skycore.sending.send import call_action, enqueue, send

if TYPE_CHECKING:
    from skycore.http import Request
    from skycore.sending.idempotency import SendResult

__all__ = ["Settings", "handler"]

DEADLINE_SECONDS = 25.0  # of a send, its retries and its key refresh; the function has 28


@lambda_handler
def handler(event: dict[str, Any], _context: object) -> Answer:
    return serve(event, _action if "action" in (event.get("pathParameters") or {}) else _message)


def _message(request: Request) -> Answer:
    deadline = time.monotonic() + DEADLINE_SECONDS
    body, key, policy = request.json(), request.headers.get("idempotency-key"), settings().policy()
    if request.prefers_async():
        queue_url = settings().send_queue_url
        sent = enqueue(body, caller=request.caller, key=key, queue_url=queue_url, policy=policy)
    else:
        sent = send(
            body,
            caller=request.caller,
            key=key,
            policy=policy,
            context=send_context(),
            deadline=deadline,
        )
    return _answer(request, sent)


def _action(request: Request) -> Answer:
    deadline = time.monotonic() + DEADLINE_SECONDS
    name, body, policy = request.path["action"], request.json(), settings().policy()
    return answer(
        200, call_action(name, body, context=send_context(), policy=policy, deadline=deadline)
    )


def _answer(request: Request, sent: SendResult) -> Answer:
    headers = {}
    if "message_id" in sent.body:
        headers["Location"] = request.path_below(sent.body["message_id"])
    if sent.replayed:
        headers["Idempotency-Replayed"] = "true"
    return answer(sent.status, sent.body, headers)
