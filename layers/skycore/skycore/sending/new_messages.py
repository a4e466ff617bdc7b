"""Rows of new messages: about to be sent, or queued with all that dispatch needs."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from skycore import timestamps
from skycore.client.report import text_digest
from skycore.problems import Problem
from skycore.sending import idempotency
from skycore.table import messages

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from skycore.sending.validation import Draft
    from skycore.table.messages import MessageRow

MAX_REQUEST_BYTES = 350_000  # of a compressed request; a row of DynamoDB holds 400 KiB in all
MAX_QUEUED = timedelta(days=14)  # without expires_at; for so long SQS keeps what nobody takes
MAX_EXTRA_DAYS = 3650  # that a row outlives its queue's retention for an `expires_at` far ahead


def new_message(
    draft: Draft,
    status: str,
    *,
    message_id: str,
    body: Mapping[str, Any],
    days: int,
    deadline: datetime | None = None,
    request: bytes | None = None,
) -> MessageRow:
    """Return the row of a message that is about to be sent, or queued until `deadline`.

    Raises Problem too_large if its `request` does not fit into a row.
    """
    if request is not None and len(request) > MAX_REQUEST_BYTES:
        raise Problem("too_large", f"a message is at most {MAX_REQUEST_BYTES} bytes, compressed")
    text = draft.fields.get("text")
    return messages.new_row(
        message_id,
        status,
        moment=timestamps.now(),
        days=days,
        deadline=timestamps.to_key(deadline) if deadline else None,
        attempt=new_attempt(),
        action=draft.action.name,
        to=draft.to,
        sender=draft.sender,
        client_reference=draft.client_reference,
        fingerprint=idempotency.fingerprint(body),
        content=text_digest(text) if isinstance(text, str) else None,
        request=request,
    )


def new_attempt() -> str:
    """Return an id for one attempt, by which a repeated write recognises its own row."""
    return secrets.token_hex(8)


def queued_row(draft: Draft, body: Mapping[str, Any], message_id: str, days: int) -> MessageRow:
    """Return the row of a queued message, with all that dispatch needs to send it."""
    request = messages.pack(
        {
            "action": draft.action.name,
            "fields": draft.fields,
            "confirmation": draft.opt_out_confirmation,
        }
    )
    now = timestamps.now()
    deadline = draft.expires_at or now + MAX_QUEUED
    return new_message(
        draft,
        "queued",
        message_id=message_id,
        body=body,
        # The row must not be gone when the message's turn comes.
        days=days + min(MAX_EXTRA_DAYS, max(0, (deadline - now).days) + 1),
        deadline=deadline,
        request=request,
    )


def not_queued_problem() -> Problem:
    """Return the problem of a message that the queue did not accept."""
    return Problem("not_queued", "the queue did not take the message; nothing will be sent")
