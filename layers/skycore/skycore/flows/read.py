"""The read API: messages with their timelines, and events with their raw bodies."""

from __future__ import annotations

import base64
from typing import Any

from skycore import times
from skycore.flows import views
from skycore.postbacks import cloudevent
from skycore.problems import Problem
from skycore.storage import events, messages


def get_message(message_id: str) -> dict[str, Any]:
    """The message, its status and its timeline. Raises Problem message_not_found."""
    row = messages.get(message_id)
    if row is None:
        raise Problem("message_not_found", "there is no message with this id")
    told = events.of_tracking_id(row.tracking_id) if row.tracking_id else []
    return {**views.message(row, times.now()), "timeline": views.timeline(row, told)}


def cancel(message_id: str) -> dict[str, Any]:
    """Cancels a message that is still queued. Raises Problem."""
    if messages.get(message_id) is None:
        raise Problem("message_not_found", "there is no message with this id")
    if not messages.cancel(message_id, times.now()):
        raise Problem("not_cancellable", "the message has left the queue", message_id=message_id)
    return get_message(message_id)


def get_event(event_id: str, *, source: str) -> dict[str, Any]:
    """One event as subscribers get it, with the postback's raw body. Raises Problem."""
    stored = events.get(event_id)
    if stored is None:
        raise Problem("event_not_found", "there is no event with this id")
    return {**_shown(stored.event, source), "raw": base64.b64encode(stored.raw).decode()}


def unparsed(*, source: str, limit: int, cursor: Any) -> dict[str, Any]:
    """A page of postbacks that could not be read, newest first."""
    page, following = events.unparsed_page(limit, cursor)
    return {"events": [_shown(event, source) for event in page], "cursor": following}


def _shown(event: Any, source: str) -> dict[str, Any]:
    return cloudevent(event, source=source)
