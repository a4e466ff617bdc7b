"""Messages that are answered before they are sent: rows first, then the send queue."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from skycore import times
from skycore.aws import queue
from skycore.flows.compose import compose
from skycore.flows.send import Sent, new_message, replay
from skycore.flows.views import message
from skycore.problems import Problem
from skycore.storage import messages

if TYPE_CHECKING:
    from collections.abc import Mapping


def enqueue(
    body: Mapping[str, Any],
    *,
    caller: str,
    key: str | None,
    queue_url: str,
    region: str,
    days: int,
) -> Sent:
    """Queues one message; 202 once its row and the queue hold it. Raises Problem."""
    draft = compose(body, default_region=region)
    request = messages.pack({"action": draft.action.name, "fields": draft.fields})
    row = new_message(
        draft, "queued", caller=caller, key=key, body=body, days=days, request=request
    )
    existing = messages.create(row)
    if existing is not None and existing.status != "queued":
        return replay(existing, row.fingerprint)
    if existing is not None and existing.fingerprint != row.fingerprint:
        return replay(existing, row.fingerprint)
    # A row that was written, perhaps by a call that died before the queue had it, goes again:
    # dispatch sends a message once, however often the queue names it.
    queue.send(queue_url, json.dumps({"message_id": row.message_id}))
    return Sent(202, message(existing or row, times.now()), replayed=existing is not None)


def enqueue_batch(
    body: Mapping[str, Any],
    *,
    caller: str,
    key: str | None,
    queue_url: str,
    region: str,
    days: int,
) -> dict[str, Any]:
    """Queues each of `messages`; one result per entry, in order. Raises Problem."""
    entries = body.get("messages")
    if not isinstance(entries, list) or not entries:
        raise Problem(
            "invalid_request",
            "the body has no list of messages",
            errors=[{"field": "messages", "detail": "a list of 1 to 1000 messages"}],
        )
    return {
        "messages": [
            _entry(
                entry,
                caller=caller,
                key=None if key is None else f"{key}#{index}",
                queue_url=queue_url,
                region=region,
                days=days,
            )
            for index, entry in enumerate(entries)
        ]
    }


def _entry(entry: object, **known: Any) -> dict[str, Any]:
    """The result of one entry: the queued message, or why it was refused."""
    if not isinstance(entry, dict):
        return Problem("invalid_request", "a message is a JSON object").body()
    try:
        return enqueue(entry, **known).body
    except Problem as problem:
        return problem.body()
