"""A message's row through one send: made before the call, settled after it."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Any

from skycore import times
from skycore.aws import queue
from skycore.logs import log, log_exception, masked
from skycore.messages import idempotency
from skycore.storage import messages

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from skycore.api import Reply
    from skycore.flows.compose import Draft
    from skycore.problems import Problem
    from skycore.storage.messages import MessageRow


def new_message(
    draft: Draft,
    status: str,
    *,
    message_id: str,
    body: Mapping[str, Any],
    days: int,
    request: bytes | None = None,
) -> MessageRow:
    """The row of a message that is about to be sent or queued."""
    return messages.new_row(
        message_id,
        status,
        moment=times.now(),
        days=days,
        deadline=times.to_key(draft.expires_at) if draft.expires_at else None,
        attempt=new_attempt(),
        action=draft.action.name,
        to=draft.to,
        sender=draft.sender,
        client_reference=draft.client_reference,
        fingerprint=idempotency.fingerprint(body),
        request=request,
    )


def new_attempt() -> str:
    """A name for one try to write a row, by which a repeated write knows its own."""
    return secrets.token_hex(8)


def accept(row: MessageRow, reply: Reply, *, days: int, mend_queue: str) -> dict[str, Any]:
    """Writes down that Skycore accepted; the body of the 201.

    Never raises: whatever fails now, Skycore has the message and the caller is told so. What
    could not be written goes to the send queue, and `mend` writes it later.
    """
    tracking_id = reply.fields.get("tracking_id")
    body = {name: value for name, value in reply.fields.items() if name != "status"} | {
        "message_id": row.message_id,
        "status": "accepted",
        "action": row.action,
        "tracking_id": tracking_id,
        "to": row.to,
        "from": row.sender,
        "client_reference": row.client_reference,
        "created_at": times.to_text(times.from_text(row.created_at)),
    }
    if reply.recipients:
        body["recipients"] = note_recipients(row, reply, days=days)
    note = {"message_id": row.message_id, "attempt": row.attempt, "http": 201, "body": body}
    note |= {"status": "accepted", "at": times.to_key(times.now()), "tracking_id": tracking_id}
    _write(note, mend_queue, days)
    log.info(
        "message accepted",
        extra={
            "message_id": row.message_id,
            "tracking_id": tracking_id,
            "action": row.action,
            "to": masked(row.to),
        },
    )
    return body


def settle(row: MessageRow, problem: Problem, *, days: int, mend_queue: str) -> None:
    """Writes down an answer that stands: rejected, or unknown. Never raises, as `accept`."""
    status = "unknown" if problem.code == "outcome_unknown" else "rejected"
    note: dict[str, Any] = {"message_id": row.message_id, "attempt": row.attempt}
    note["status"] = status
    note |= {"at": times.to_key(times.now()), "http": problem.status, "body": problem.body()}
    note |= {"code": problem.members.get("skycore_code"), "detail": problem.detail}
    _write(note, mend_queue, days)


def mend(note: Mapping[str, Any], days: int) -> None:
    """Writes what a note says of a message's end; safe to repeat. Raises PynamoDB's errors."""
    moment: datetime = times.from_text(note["at"])
    message_id, tracking_id = note["message_id"], note.get("tracking_id")
    extra = {name: note[name] for name in ("code", "detail") if note.get(name)}
    if tracking_id:
        reference = note["body"].get("client_reference")
        # Before the row, so that a receipt finds its message even if the row's update is lost.
        messages.put_pointer(tracking_id, message_id, reference, moment=moment, days=days)
        extra["tracking_id"] = tracking_id
    answer = messages.pack({"status": note["http"], "body": note["body"]})
    moved = messages.move(
        message_id,
        note["status"],
        moment=moment,
        own=True,
        if_attempt=note["attempt"],
        answer=answer,
        request=None,
        **extra,
    )
    if not moved and note["status"] == "accepted":
        messages.accept_late(
            message_id, note["attempt"], moment, answer=answer, request=None, **extra
        )


def _write(note: dict[str, Any], mend_queue: str, days: int) -> None:
    try:
        mend(note, days)
    except Exception as error:  # noqa: BLE001 - the caller must hear what Skycore said
        log_exception("outcome not written", error, message_id=note["message_id"])
        try:
            queue.send(mend_queue, json.dumps({"mend": note}), delay=5)
        except Exception as again:  # noqa: BLE001 - a receipt or a person must mend it
            log_exception("outcome lost", again, message_id=note["message_id"])


def note_recipients(parent: MessageRow, reply: Reply, *, days: int) -> list[dict[str, Any]]:
    """A row of its own for each recipient that Skycore returned; what the caller is told of them.

    Never raises, as `accept`.
    """
    told: list[dict[str, Any]] = []
    for number, recipient in enumerate(reply.recipients, start=1):
        accepted = str(recipient.get("status", "")).lower() == "success"
        status = "accepted" if accepted else "rejected"
        child = {
            "message_id": f"{parent.message_id}-{number}",
            "status": status,
            "to": recipient.get("to"),
            "from": recipient.get("from"),
            "tracking_id": recipient.get("tracking_id") if accepted else None,
        }
        if recipient.get("error_code"):
            child["skycore_code"] = recipient["error_code"]
        try:
            _write_child(parent, child, days)
        except Exception as error:  # noqa: BLE001 - the caller must hear what Skycore said
            log_exception("recipient not written", error, message_id=child["message_id"])
        told.append(child)
    return told


def _write_child(parent: MessageRow, child: Mapping[str, Any], days: int) -> None:
    moment = times.now()
    if child["tracking_id"]:
        messages.put_pointer(
            child["tracking_id"],
            child["message_id"],
            parent.client_reference,
            moment=moment,
            days=days,
        )
    row = messages.new_row(
        child["message_id"],
        child["status"],
        moment=moment,
        days=days,
        attempt=parent.attempt,
        action=parent.action,
        to=child["to"],
        sender=child["from"],
        tracking_id=child["tracking_id"],
        code=child.get("skycore_code"),
        client_reference=parent.client_reference,
        parent=parent.message_id,
        fingerprint=parent.fingerprint,
        news=child["status"],
    )
    messages.create(row)
