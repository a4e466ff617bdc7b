"""POST /messages and POST /actions/{action}: calls of Skycore, answered at once."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from skycore.handler import invocation
from skycore.http import Answer, answer, serve
from skycore.sending.call_action import act
from skycore.sending.delivery import LineSettings as Settings
from skycore.sending.delivery import line
from skycore.sending.delivery import line_settings as settings
from skycore.sending.enqueue import enqueue
from skycore.sending.send import send

if TYPE_CHECKING:
    from skycore.http import Request
    from skycore.sending.idempotency import Sent

__all__ = ["Settings", "handler"]

DEADLINE_SECONDS = 25.0  # of a send, its retries and its key refresh; the function has 28


@invocation
def handler(event: dict[str, Any], _context: object) -> Answer:
    return serve(event, _action if "action" in (event.get("pathParameters") or {}) else _message)


def _message(request: Request) -> Answer:
    deadline = time.monotonic() + DEADLINE_SECONDS
    body, key, rules = request.json(), request.headers.get("idempotency-key"), settings().rules()
    if request.prefers_async():
        queue_url = settings().send_queue_url
        sent = enqueue(body, caller=request.caller, key=key, queue_url=queue_url, rules=rules)
    else:
        sent = send(
            body, caller=request.caller, key=key, rules=rules, line=line(), deadline=deadline
        )
    return _answer(request, sent)


def _action(request: Request) -> Answer:
    deadline = time.monotonic() + DEADLINE_SECONDS
    name, body, rules = request.path["action"], request.json(), settings().rules()
    return answer(200, act(name, body, line=line(), rules=rules, deadline=deadline))


def _answer(request: Request, sent: Sent) -> Answer:
    headers = {}
    if "message_id" in sent.body:
        headers["Location"] = request.path_below(sent.body["message_id"])
    if sent.replayed:
        headers["Idempotency-Replayed"] = "true"
    return answer(sent.status, sent.body, headers)
