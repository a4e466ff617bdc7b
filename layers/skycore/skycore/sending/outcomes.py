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

from skycore import metrics, serializers, timestamps
from skycore.aws import queues
from skycore.chunks import chunked
from skycore.client.report import campaign_tracking_id
from skycore.logs import log, log_exception, mask_number
from skycore.table import batches, events, messages, models, opt_outs, queue_transitions
from skycore.table.models import expiry

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from skycore.client.reply import Reply
    from skycore.problems import Problem
    from skycore.table.messages import MessageRow

MAX_ANSWER_BYTES = 180_000  # of a compressed answer, which also fits into a queue message as base64
MAX_RECIPIENTS_BYTES = 200_000  # of recipients in a queue message; with the rest under 256 KiB
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
    those rows. `shared`: a tracking id that has many recipients, as a campaign's. The last three
    are of attempts that sent nothing: the values of `requeue`, whether the message is
    dead-lettered, and the opt-out confirmation to release (number, sender, time).
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
    requeue: dict[str, Any] | None = None
    dead_letter: bool = False
    confirmation: tuple[str, str | None, str] | None = None

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
        return {name: value for name, value in values.items() if value}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Return the outcome that `to_json` wrote, in this release or an earlier one."""
        known = {field.name: values.get(field.name, field.default) for field in fields(cls)}
        known["client_reference"] = values.get("client_reference")
        known["at"] = timestamps.from_text(values["at"])
        known["recipients"] = tuple(values.get("children", ()))
        if "answer" in values:
            known["answer"] = base64.b64decode(values["answer"])
        if "confirmation" in values:
            known["confirmation"] = tuple(values["confirmation"])
        return cls(**known)


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
        body["recipients"] = serializers.recipients(row.message_id, reply.recipients)
    named = reply.fields.get("scheduled_id")
    scheduled_id = serializers.short_text(named) if named else None
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
    known = {"message_id": row.message_id, "tracking_id": tracking_id, "action": row.action}
    log.info("message accepted", extra={**known, "to": mask_number(row.to)})
    return body


def record_outcome(row: MessageRow, problem: Problem, *, days: int, repair_queue: str) -> None:
    """Record a final problem: rejected or unknown. Never raises, like `record_accepted`."""
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


def record_requeued(row: MessageRow, *, repair_queue: str, **values: Any) -> bool:
    """Requeue a message that was not sent, with the `values` of `queue_transitions.requeue`.

    Return False if only the repair queue has the outcome. Never raises, like `record_accepted`.
    """
    try:
        queue_transitions.requeue(row, **values)
    except Exception as error:  # noqa: BLE001 - that nothing was sent must not be lost
        log_exception("outcome not written", error, message_id=row.message_id)
        values["not_before"] = timestamps.to_key(values["not_before"])
        queue_outcomes([Outcome.of(row, status="queued", requeue=values)], repair_queue)
        return False
    return True


def record_dead_letter(
    row: MessageRow, *, repair_queue: str, days: int, code: str | None, detail: str | None
) -> bool:
    """Mark a message `rejected` after its last call; return and fail as `record_requeued` does."""
    outcome = Outcome.of(row, status="rejected", dead_letter=True, code=code, detail=detail)
    return _apply_or_queue(outcome, repair_queue, days)


def record_recipients(
    parent: MessageRow, reply: Reply, *, days: int, repair_queue: str, deadline: float = math.inf
) -> None:
    """Write rows of several recipients, after their parent's outcome. Never raises."""
    if not reply.recipients:
        return
    outcome = Outcome.of(parent, action=parent.action, fingerprint=parent.fingerprint)
    unwritten: list[dict[str, Any]] = []
    recipients = serializers.recipients(parent.message_id, reply.recipients)
    for batch in batched(recipients, RECIPIENTS_BATCH_SIZE, strict=False):
        if not unwritten and time.monotonic() < deadline:
            try:
                apply_outcome(replace(outcome, recipients=batch), days)
                continue
            except Exception as error:  # noqa: BLE001 - the caller must get Skycore's answer
                log_exception("recipients not written", error, message_id=parent.message_id)
        unwritten += batch
    parts = chunked(
        unwritten, lambda one: len(json.dumps(one)) + 2, most_bytes=MAX_RECIPIENTS_BYTES
    )
    queue_outcomes([replace(outcome, recipients=tuple(part)) for part in parts], repair_queue)


def apply_outcome(outcome: Outcome, days: int) -> None:
    """Write an outcome to the message's row and its recipients' rows. Safe to repeat.

    It applies to its own attempt only. Raises PynamoDB's errors, and TimeoutError if DynamoDB
    leaves rows unprocessed.
    """
    if outcome.shared is not None:
        events.mark_shared([outcome.shared], time=outcome.at, days=days)
    if outcome.requeue is not None:
        queue_transitions.requeue_recorded(outcome.message_id, outcome.attempt, outcome.requeue)
    elif outcome.dead_letter:
        code, detail = outcome.code, outcome.detail
        queue_transitions.dead_letter(outcome.message_id, outcome.attempt, code=code, detail=detail)
    elif outcome.status == messages.RELEASED:
        release_key(outcome)
    elif outcome.status is not None:
        _apply_to_message(outcome, outcome.status, days)
    if outcome.recipients:
        _write_recipients(outcome, days)


def release_key(outcome: Outcome) -> bool:
    """Free the key of a message that was not sent, and its confirmation of an opt-out.

    Return False if another attempt has the message. Raises PynamoDB's errors.
    """
    released = queue_transitions.release(outcome.message_id, outcome.attempt)
    if released and outcome.confirmation is not None:
        number, sender, confirmed_at = outcome.confirmation
        opt_outs.release_confirmation(number, sender, timestamps.from_text(confirmed_at))
    return released


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


def _apply_or_queue(outcome: Outcome, repair_queue: str, days: int) -> bool:
    try:
        apply_outcome(outcome, days)
    except Exception as error:  # noqa: BLE001 - the caller must get Skycore's answer
        log_exception("outcome not written", error, message_id=outcome.message_id)
        queue_outcomes([outcome], repair_queue)
        return False
    return True


def queue_outcomes(outcomes: Sequence[Outcome], repair_queue: str) -> set[str]:
    """Queue outcomes to be applied later; return the ids of messages whose outcome is lost."""
    # The key "mend" is older than the name: messages of the previous release have it.
    bodies = [json.dumps({"mend": outcome.to_json()}) for outcome in outcomes]
    unqueued = set(range(len(outcomes)))
    try:
        unqueued = queues.send_many(repair_queue, bodies, delay=5)
    except Exception as error:  # noqa: BLE001 - the caller must get Skycore's answer
        log_exception("outcomes not queued", error)
    lost = {outcomes[number].message_id for number in unqueued}
    for message_id in lost:  # only a receipt or a person can repair it now
        log.error("outcome lost", extra={"message_id": message_id})
    return lost


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


def mark_expired_or_unknown(row: MessageRow, status: str) -> bool:
    """Move a row to expired or unknown, unless it has moved since it was read."""
    moved = messages.transition(
        row.message_id,
        status,
        time=timestamps.now(),
        own=True,
        if_attempt=row.attempt,
        if_status=row.status,
        # A recorded outcome may still prove that an unknown message was not sent.
        **({} if status == "unknown" else {"request": None}),
        detail=REASONS[status],
    )
    metrics.count(status.capitalize(), moved)  # Unknown, or Expired
    return moved
