"""A message's row through one send: made before the call, settled after it."""

from __future__ import annotations

import base64
import json
import math
import secrets
import time
from datetime import timedelta
from itertools import batched
from typing import TYPE_CHECKING, Any

from skycore import metrics, timestamps
from skycore.aws import queues
from skycore.chunks import parts
from skycore.logs import log, log_exception, masked
from skycore.problems import Problem
from skycore.sending import idempotency
from skycore.table import batches, keys, messages
from skycore.table.models import expiry

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

    from skycore.client.reply import Reply
    from skycore.sending.validation import Draft
    from skycore.table.messages import MessageRow

LARGEST_REQUEST = 350_000  # bytes of a request in a row; a row of DynamoDB holds 400 KiB in all
LARGEST_ANSWER = 180_000  # bytes of an answer, which also fits, in base64, into a note
TOGETHER = 100  # rows of recipients that are written together


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
    """The row of a message that is about to be sent, or queued until `deadline`.

    Raises Problem too_large if its `request` does not fit into a row.
    """
    if request is not None and len(request) > LARGEST_REQUEST:
        raise Problem("too_large", f"a message is at most {LARGEST_REQUEST} bytes, compressed")
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
        request=request,
    )


def new_attempt() -> str:
    """A name for one try to write a row, by which a repeated write knows its own."""
    return secrets.token_hex(8)


def accept(
    row: MessageRow, reply: Reply, *, days: int, mend_queue: str, deadline: float = math.inf
) -> dict[str, Any]:
    """Writes down that Skycore accepted; the body of the 201.

    Never raises: whatever fails now, Skycore has the message and the caller is told so. What
    could not be written goes to the send queue, and `mend` writes it later. So do the rows of
    recipients that are not written at `deadline` (monotonic seconds).
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
        "created_at": timestamps.to_text(timestamps.from_text(row.created_at)),
    }
    if reply.recipients:
        body["recipients"] = told(row.message_id, reply)
    note = _note(row) | {"status": "accepted", "tracking_id": tracking_id}
    _write(note | {"answer": _kept(201, body)}, mend_queue, days)
    note_recipients(row, reply, days=days, mend_queue=mend_queue, deadline=deadline)
    metrics.count("Accepted")
    if row.to and tracking_id:  # what has neither, such as a campaign's start, has no receipt
        metrics.record("Silence", 1)
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
    metrics.count("Unknown", status == "unknown")
    note = _note(row) | {"status": status, "answer": _kept(problem.status, problem.body())}
    note |= {"code": problem.members.get("skycore_code"), "detail": problem.detail}
    _write(note, mend_queue, days)


def note_recipients(
    parent: MessageRow, reply: Reply, *, days: int, mend_queue: str, deadline: float = math.inf
) -> None:
    """Writes a row of its own for each recipient that Skycore returned, if there are several.

    Call it after the parent's own end is written. Never raises, and ends, as `accept`.
    """
    note = _note(parent) | {"action": parent.action, "fingerprint": parent.fingerprint}
    left: list[dict[str, Any]] = []
    for part in batched(told(parent.message_id, reply), TOGETHER, strict=False):
        if not left and time.monotonic() < deadline:
            try:
                mend(note | {"children": part}, days)
                continue
            except Exception as error:  # noqa: BLE001 - the caller must hear what Skycore said
                log_exception("recipients not written", error, message_id=parent.message_id)
        left += part
    for children in notes(left):
        _queue(note | {"children": children}, mend_queue)


def mend(note: Mapping[str, Any], days: int) -> None:
    """Writes what a note says of a message's end, or of its recipients; safe to repeat.

    Raises PynamoDB's errors, and TimeoutError if DynamoDB leaves rows unprocessed.
    """
    moment: datetime = timestamps.from_text(note["at"])
    if "status" in note:
        _mend_message(note, moment, days)
    if "children" in note:
        write(note, moment, days)


def _mend_message(note: Mapping[str, Any], moment: datetime, days: int) -> None:
    message_id, tracking_id = note["message_id"], note.get("tracking_id")
    extra = {name: note[name] for name in ("code", "detail") if note.get(name)}
    if tracking_id:
        reference = note["client_reference"]
        # Before the row, so that a receipt finds its message even if the row's update is lost.
        messages.put_pointer(tracking_id, message_id, reference, moment=moment, days=days)
        extra["tracking_id"] = tracking_id
    answer = base64.b64decode(note["answer"])
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


def _note(row: MessageRow) -> dict[str, Any]:
    """What every note says of its message."""
    return {
        "message_id": row.message_id,
        "attempt": row.attempt,
        "client_reference": row.client_reference,
        "at": timestamps.to_key(timestamps.now()),
    }


def _kept(status: int, body: Mapping[str, Any]) -> str:
    """An answer as its row keeps it, in base64 for a note.

    One that is too long for either is kept without its recipients: they have rows of their own.
    """
    packed = messages.pack({"status": status, "body": body})
    if len(packed) > LARGEST_ANSWER:
        short = {name: value for name, value in body.items() if not isinstance(value, list)}
        packed = messages.pack({"status": status, "body": short})
    return base64.b64encode(packed).decode()


def _write(note: dict[str, Any], mend_queue: str, days: int) -> None:
    try:
        mend(note, days)
    except Exception as error:  # noqa: BLE001 - the caller must hear what Skycore said
        log_exception("outcome not written", error, message_id=note["message_id"])
        _queue(note, mend_queue)


def _queue(note: dict[str, Any], mend_queue: str) -> None:
    try:
        lost = queues.send_many(mend_queue, [json.dumps({"mend": note})], delay=5)
    except Exception as error:  # noqa: BLE001 - a receipt or a person must mend it
        log_exception("outcome lost", error, message_id=note["message_id"])
    else:
        if lost:
            log.error("outcome lost", extra={"message_id": note["message_id"]})


NOTE_BYTES = 200_000  # of recipients in a note; with the rest under 256 KiB
LONGEST_WORD = 512  # characters


def told(parent_id: str, reply: Reply) -> list[dict[str, Any]]:
    """What the caller is told of each recipient that Skycore returned."""
    children = []
    for number, recipient in enumerate(reply.recipients, start=1):
        child = {
            "message_id": f"{parent_id}-{number}",
            "status": recipient["outcome"],
            "to": _word(recipient.get("to")),
            "from": _word(recipient.get("from")),
            "tracking_id": _word(recipient.get("tracking_id")),
        }
        if code := _word(recipient.get("error_code")):
            child["skycore_code"] = code
        children.append(child)
    return children


def notes(children: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Recipients in parts that fit into a message of the queue."""

    def size(child: dict[str, Any]) -> int:
        return len(json.dumps(child)) + 2

    return parts(children, size, most_bytes=NOTE_BYTES)


def write(note: Mapping[str, Any], moment: datetime, days: int) -> None:
    """Writes the rows of a note's recipients, of a call that ended at `moment`.

    Pointers before rows, as for a single message; a row that is there stays as it is. Raises
    PynamoDB's errors, and TimeoutError if DynamoDB leaves rows unprocessed.
    """
    children, reference = note["children"], note["client_reference"]
    pointers = {
        child["tracking_id"]: messages.PointerRow(
            keys.tracking_partition(child["tracking_id"]),
            keys.MESSAGE,
            kind="pointer",
            message_id=child["message_id"],
            client_reference=reference,
            expires=expiry(moment, days),
        )
        for child in children
        if child["tracking_id"]
    }
    if batches.put_all(list(pointers.values())):
        raise TimeoutError("DynamoDB left pointers unprocessed")
    rows = [
        messages.new_row(
            child["message_id"],
            child["status"],
            moment=moment,
            days=days,
            attempt=note["attempt"],
            action=note["action"],
            to=child["to"],
            sender=child["from"],
            tracking_id=child["tracking_id"],
            code=child.get("skycore_code"),
            client_reference=reference,
            parent=note["message_id"],
            fingerprint=note["fingerprint"],
            news=child["status"],
        )
        for child in children
    ]
    messages.create_many(rows)


def _word(value: Any) -> str | None:
    """A text that may be in a key; None for what no number, id or code is."""
    return value if isinstance(value, str) and 0 < len(value) <= LONGEST_WORD else None


LONGEST_WAIT = timedelta(days=14)  # without expires_at; for so long SQS keeps what nobody takes
MOST_DAYS = 3650  # that a row outlives its queue's retention for an `expires_at` far ahead

WHY = {
    "unknown": "the call died on its way; Skycore may have taken the message",
    "expired": "its time to be sent passed before its turn came; it was not sent",
}


def queued_row(draft: Draft, body: Mapping[str, Any], message_id: str, days: int) -> MessageRow:
    """The row of a message that waits, with all that dispatch needs to send it."""
    request = messages.pack(
        {
            "action": draft.action.name,
            "fields": draft.fields,
            "confirmation": draft.opt_out_confirmation,
        }
    )
    now = timestamps.now()
    deadline = draft.expires_at or now + LONGEST_WAIT
    return new_message(
        draft,
        "queued",
        message_id=message_id,
        body=body,
        # The row must not be gone when the message's turn comes.
        days=days + min(MOST_DAYS, max(0, (deadline - now).days) + 1),
        deadline=deadline,
        request=request,
    )


def not_queued() -> Problem:
    """The problem of a queue that did not take a message."""
    return Problem("not_queued", "the queue did not take the message; nothing will be sent")


def expire_or_lose(row: MessageRow, status: str) -> bool:
    """Moves a row to expired or unknown, unless it moved since it was read."""
    moved = messages.move(
        row.message_id,
        status,
        moment=timestamps.now(),
        own=True,
        if_attempt=row.attempt,
        if_status=row.status,
        request=None,
        detail=WHY[status],
    )
    metrics.count(status.capitalize(), moved)  # Unknown, or Expired
    return moved
