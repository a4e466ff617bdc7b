"""One message with its timeline, one event with its raw body; and cancelling a queued message."""

from __future__ import annotations

import base64
from typing import Any

from skycore import times
from skycore.flows import views
from skycore.flows.possible_match import possible_matches
from skycore.flows.tell import event_envelope, owners_of
from skycore.problems import Problem
from skycore.storage import events, messages, queued

MOST_ID = 256  # characters of a message's id; a longer one may not fit into a key


def get_message(message_id: str) -> dict[str, Any]:
    """The message, its status and its timeline. Raises Problem message_not_found."""
    row = messages.get(message_id) if len(message_id) <= MOST_ID else None
    if row is None:
        raise Problem("message_not_found", "there is no message with this id")
    told = events.of_tracking_id(row.tracking_id) if row.tracking_id else []
    view = {**views.message(row, times.now()), "timeline": views.timeline(row, told)}
    if view["status"] == "unknown":
        view["possible_match"] = possible_matches(row)
    return view


def cancel(message_id: str) -> dict[str, Any]:
    """Cancels a message that is still queued.

    Raises Problem: message_not_found, or not_cancellable once it has left the queue.
    """
    get_message(message_id)
    if not queued.cancel(message_id, times.now()):
        raise Problem("not_cancellable", "the message has left the queue", message_id=message_id)
    return get_message(message_id)


def get_event(event_id: str, *, source: str) -> dict[str, Any]:
    """One event as subscribers got it, with the postback's whole raw body as base64.

    Raises Problem event_not_found.
    """
    stored = events.get(event_id)
    if stored is None:
        raise Problem("event_not_found", "there is no event with this id")
    envelope = event_envelope(stored, owners_of([stored.event]), source)
    return {**envelope, "raw": base64.b64encode(stored.raw).decode()}
