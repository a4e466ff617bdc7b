"""Record the outcomes of calls in messages' rows, or queue them until that is possible."""

from __future__ import annotations

import base64
import json
import math
import time
from collections import Counter
from dataclasses import dataclass, fields, replace
from itertools import batched
from typing import TYPE_CHECKING, Any, Self

from skycore import metrics, timestamps
from skycore.aws import queues
from skycore.chunks import chunked
from skycore.client.report import campaign_tracking_id
from skycore.logs import log, log_exception, mask_number
from skycore.table import batches, events, messages, models
from skycore.table.models import expiry

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

    from skycore.client.reply import Reply
    from skycore.problems import Problem
    from skycore.table.messages import MessageRow

MAX_ANSWER_BYTES = 180_000  # of a compressed answer, which also fits into a queue message as base64
MAX_RECIPIENTS_BYTES = 200_000  # of recipients in a queue message; with the rest under 256 KiB
MAX_VALUE_LENGTH = 512  # characters of a recipient's number, id or code
RECIPIENTS_BATCH_SIZE = 100  # recipients' rows that are written together

REASONS = {
    "unknown": "the call was interrupted; Skycore may have taken the message",
    "expired": "the message expired while it was queued; it was not sent",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one attempt to send a message.

    `status` and `answer` (packed) are recorded in the message's row, `recipients` in rows of
    their own; an outcome has either or both. `action` and `fingerprint` are the parent's, for
    those rows. `shared`: a tracking id that has many recipients, as a campaign's.
    """

    message_id: str
    attempt: str
    client_reference: str | None
    at: datetime
    status: str | None = None
    tracking_id: str | None = None
    code: str | None = None
    detail: str | None = None
    answer: bytes | None = None
    recipients: tuple[dict[str, Any], ...] = ()
    action: str | None = None
    fingerprint: str | None = None
    shared: str | None = None

    @classmethod
    def of(cls, row: MessageRow, **values: Any) -> Self:
        """Return an outcome of the row's current attempt, as of now."""
        now = timestamps.now()
        return cls(row.message_id, row.attempt, row.client_reference, now, **values)

    def to_json(self) -> dict[str, Any]:
        """Return the outcome as the repair queue carries it."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        answer, recipients = values.pop("answer"), values.pop("recipients")
        values["at"] = timestamps.to_key(self.at)
        if answer is not None:
            values["answer"] = base64.b64encode(answer).decode()
        if recipients:
            values["children"] = recipients
        return {name: value for name, value in values.items() if value is not None}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Return the outcome that `to_json` wrote, in this release or an earlier one."""
        answer = values.get("answer")
        return cls(
            message_id=values["message_id"],
            attempt=values["attempt"],
            client_reference=values.get("client_reference"),
            at=timestamps.from_text(values["at"]),
            status=values.get("status"),
            tracking_id=values.get("tracking_id"),
            code=values.get("code"),
            detail=values.get("detail"),
            answer=None if answer is None else base64.b64decode(answer),
            recipients=tuple(values.get("children", ())),
            action=values.get("action"),
            fingerprint=values.get("fingerprint"),
            shared=values.get("shared"),
        )


def record_accepted(
    row: MessageRow, reply: Reply, *, days: int, repair_queue: str, deadline: float = math.inf
) -> dict[str, Any]:
    """Record that Skycore accepted the message; return the body of the 201.

    Never raises: Skycore has the message, so the caller must get the 201. An outcome that cannot be
    written goes to the repair queue, and dispatch applies it later. So do the rows of recipients
    that are not written by `deadline` (monotonic seconds).
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
        body["recipients"] = describe_recipients(row.message_id, reply)
    scheduled_id = _word(reply.fields.get("scheduled_id"))
    outcome = Outcome.of(
        row,
        status="accepted",
        tracking_id=tracking_id,
        answer=_pack_answer(201, body),
        shared=campaign_tracking_id(scheduled_id) if scheduled_id else None,
    )
    _apply_or_queue(outcome, repair_queue, days)
    record_recipients(row, reply, days=days, repair_queue=repair_queue, deadline=deadline)
    metrics.count("Accepted")
    if row.to and tracking_id:  # what has neither, such as a campaign's start, has no receipt
        metrics.record("Silence", 1)
    log.info(
        "message accepted",
        extra={
            "message_id": row.message_id,
            "tracking_id": tracking_id,
            "action": row.action,
            "to": mask_number(row.to),
        },
    )
    return body


def record_outcome(row: MessageRow, problem: Problem, *, days: int, repair_queue: str) -> None:
    """Record a final problem: rejected or unknown. Never raises, as `record_accepted`."""
    status = "unknown" if problem.code == "outcome_unknown" else "rejected"
    metrics.count("Unknown", status == "unknown")
    outcome = Outcome.of(
        row,
        status=status,
        code=problem.members.get("skycore_code"),
        detail=problem.detail,
        answer=_pack_answer(problem.status, problem.body()),
    )
    _apply_or_queue(outcome, repair_queue, days)


def record_recipients(
    parent: MessageRow, reply: Reply, *, days: int, repair_queue: str, deadline: float = math.inf
) -> None:
    """Write a row for each recipient that Skycore returned, if there are several.

    Call it once the parent's own outcome is written. Never raises, as `record_accepted`.
    """
    if not reply.recipients:
        return
    outcome = Outcome.of(parent, action=parent.action, fingerprint=parent.fingerprint)
    unwritten: list[dict[str, Any]] = []
    recipients = describe_recipients(parent.message_id, reply)
    for batch in batched(recipients, RECIPIENTS_BATCH_SIZE, strict=False):
        if not unwritten and time.monotonic() < deadline:
            try:
                apply_outcome(replace(outcome, recipients=batch), days)
                continue
            except Exception as error:  # noqa: BLE001 - the caller must get Skycore's answer
                log_exception("recipients not written", error, message_id=parent.message_id)
        unwritten += batch
    for part in split_recipients(unwritten):
        _queue(replace(outcome, recipients=tuple(part)), repair_queue)


def apply_outcome(outcome: Outcome, days: int) -> None:
    """Write an outcome to the message's row and its recipients' rows. Safe to repeat.

    Raises PynamoDB's errors, and TimeoutError if DynamoDB leaves rows unprocessed.
    """
    if outcome.shared is not None:
        events.mark_shared([outcome.shared], time=outcome.at, days=days)
    if outcome.status is not None:
        _apply_to_message(outcome, outcome.status, days)
    if outcome.recipients:
        _write_recipients(outcome, days)


def _apply_to_message(outcome: Outcome, status: str, days: int) -> None:
    message_id = outcome.message_id
    values = {"code": outcome.code, "detail": outcome.detail, "tracking_id": outcome.tracking_id}
    attributes: dict[str, Any] = {name: value for name, value in values.items() if value}
    attributes |= {"answer": outcome.answer, "request": None}
    if outcome.tracking_id:
        # Before the row, so that a receipt finds its message even if the row's update is lost.
        messages.put_tracking_row(
            outcome.tracking_id, message_id, outcome.client_reference, time=outcome.at, days=days
        )
    moved = messages.transition(
        message_id, status, time=outcome.at, own=True, if_attempt=outcome.attempt, **attributes
    )
    if not moved and status == "accepted":
        messages.record_accepted_after_receipt(
            message_id, outcome.attempt, outcome.at, **attributes
        )


def _pack_answer(status: int, body: Mapping[str, Any]) -> bytes:
    """Return an answer as its row keeps it.

    One that is too long is kept without its recipients: they have rows of their own.
    """
    packed = messages.pack({"status": status, "body": body})
    if len(packed) > MAX_ANSWER_BYTES:
        short = {name: value for name, value in body.items() if not isinstance(value, list)}
        packed = messages.pack({"status": status, "body": short})
    return packed


def _apply_or_queue(outcome: Outcome, repair_queue: str, days: int) -> None:
    try:
        apply_outcome(outcome, days)
    except Exception as error:  # noqa: BLE001 - the caller must get Skycore's answer
        log_exception("outcome not written", error, message_id=outcome.message_id)
        _queue(outcome, repair_queue)


def _queue(outcome: Outcome, repair_queue: str) -> None:
    message_id = outcome.message_id
    try:
        # The key "mend" is older than the name: messages of the previous release have it.
        body = json.dumps({"mend": outcome.to_json()})
        unqueued = queues.send_many(repair_queue, [body], delay=5)
    except Exception as error:  # noqa: BLE001 - only a receipt or a person can repair it now
        log_exception("outcome lost", error, message_id=message_id)
    else:
        if unqueued:
            log.error("outcome lost", extra={"message_id": message_id})


def describe_recipients(parent_id: str, reply: Reply) -> list[dict[str, Any]]:
    """Return what the caller reads about each recipient that Skycore returned."""
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


def split_recipients(children: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Yield the recipients in parts that fit into a queue message."""

    def size(child: dict[str, Any]) -> int:
        return len(json.dumps(child)) + 2

    return chunked(children, size, most_bytes=MAX_RECIPIENTS_BYTES)


def _write_recipients(outcome: Outcome, days: int) -> None:
    """Write the rows of an outcome's recipients; rows that exist stay as they are.

    Tracking rows come first, as for a single message. Raises PynamoDB's errors, and TimeoutError
    if DynamoDB leaves rows unprocessed.
    """
    reference = outcome.client_reference
    counts = Counter(child["tracking_id"] for child in outcome.recipients)
    shared = {tracking_id for tracking_id, count in counts.items() if tracking_id and count > 1}
    events.mark_shared(shared, time=outcome.at, days=days)
    tracking_rows = {
        child["tracking_id"]: messages.TrackingRow(
            models.tracking_partition(child["tracking_id"]),
            models.MESSAGE,
            message_id=child["message_id"],
            client_reference=reference,
            shared=child["tracking_id"] in shared,
            expires=expiry(outcome.at, days),
        )
        for child in outcome.recipients
        if child["tracking_id"]
    }
    if batches.put_all(list(tracking_rows.values())):
        raise TimeoutError("DynamoDB left tracking rows unprocessed")
    rows = [
        messages.new_row(
            child["message_id"],
            child["status"],
            time=outcome.at,
            days=days,
            attempt=outcome.attempt,
            action=outcome.action,
            to=child["to"],
            sender=child["from"],
            tracking_id=child["tracking_id"],
            code=child.get("skycore_code"),
            client_reference=reference,
            parent=outcome.message_id,
            fingerprint=outcome.fingerprint,
            outbox=child["status"],
        )
        for child in outcome.recipients
    ]
    messages.create_many(rows)


def _word(value: Any) -> str | None:
    """Return a text that fits into a key; None for any other value."""
    return value if isinstance(value, str) and 0 < len(value) <= MAX_VALUE_LENGTH else None


def mark_expired_or_unknown(row: MessageRow, status: str) -> bool:
    """Move a row to expired or unknown, unless it has moved since it was read."""
    moved = messages.transition(
        row.message_id,
        status,
        time=timestamps.now(),
        own=True,
        if_attempt=row.attempt,
        if_status=row.status,
        request=None,
        detail=REASONS[status],
    )
    metrics.count(status.capitalize(), moved)  # Unknown, or Expired
    return moved
