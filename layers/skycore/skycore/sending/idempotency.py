"""A message's row as the record of its request: its id, the new row, and what a repeat gets."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from skycore import serializers, timestamps
from skycore.client.errors import FieldError
from skycore.client.report import text_digest
from skycore.keyed_hash import keyed_fingerprint
from skycore.logs import log_exception
from skycore.problems import Problem, validation_problem
from skycore.sending.outcomes import REASONS, Outcome, queue_outcomes, release_key
from skycore.table import messages, models, parking, queue_transitions

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from skycore.sending.validation import Draft
    from skycore.table.messages import MessageRow

MAX_REQUEST_BYTES = 350_000  # of a compressed request; a row of DynamoDB holds 400 KiB in all
MAX_QUEUED = timedelta(days=14)  # without expires_at; SQS keeps a message no longer
MAX_EXTRA_DAYS = 3650  # that a row outlives its queue's retention for an `expires_at` far ahead
NOT_READY = "a service that this stack needs failed before the call; this request sent nothing"
KEY = re.compile(r"[\x20-\x7e]{1,255}")  # an Idempotency-Key: printable ASCII


def is_valid_key(key: str) -> bool:
    """Return whether `key` is 1 to 255 printable ASCII characters."""
    return KEY.fullmatch(key) is not None


def message_id(caller: str, key: str | None) -> str:
    """Return 32 hex digits: a hash of the caller's ARN and its key, or random without a key."""
    if key is None:
        return secrets.token_hex(16)
    return hashlib.sha256(f"{caller}\n{key}".encode()).hexdigest()[:32]


def fingerprint(request: Mapping[str, Any]) -> str:
    """Return a keyed hash of a request's body, whatever the order and spacing of its JSON.

    Raises Problem not_ready if the secret cannot be read.
    """
    text = json.dumps(request, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    with before_the_call():
        return keyed_fingerprint(digest)


def is_same_request(existing: MessageRow, row: MessageRow) -> bool:
    """Return whether both rows are of the same request."""
    with before_the_call():
        return keyed_fingerprint(existing.fingerprint) == row.fingerprint


def new_message(
    draft: Draft,
    status: str,
    *,
    message_id: str,
    body: Mapping[str, Any],
    days: int,
    caller: str | None = None,
    deadline: datetime | None = None,
    send_at: datetime | None = None,
    request: bytes | None = None,
) -> MessageRow:
    """Return the row of a message that is about to be sent, or queued until `deadline`.

    Raises Problem too_large if its `request` does not fit into a row.
    """
    if request is not None and len(request) > MAX_REQUEST_BYTES:
        raise Problem(
            "too_large", f"a message must be at most {MAX_REQUEST_BYTES} bytes compressed"
        )
    text = draft.fields.get("text")
    return messages.new_row(
        message_id,
        status,
        time=timestamps.now(),
        days=days,
        deadline=timestamps.to_key(deadline) if deadline else None,
        send_at=timestamps.to_key(send_at) if send_at else None,
        not_before=timestamps.to_key(send_at) if send_at else None,
        attempt=new_attempt(),
        action=draft.action.name,
        to=draft.to,
        sender=draft.sender,
        client_reference=draft.client_reference,
        caller=caller,
        fingerprint=fingerprint(body),
        content=text_digest(text) if isinstance(text, str) else None,
        request=request,
    )


def new_attempt() -> str:
    """Return an id for one attempt, by which a repeated write recognises its own row."""
    return secrets.token_hex(8)


def queued_row(
    draft: Draft, body: Mapping[str, Any], message_id: str, days: int, *, caller: str | None = None
) -> MessageRow:
    """Return the row of a queued message, with all that dispatch needs to send it.

    Raises Problem too_large, and PynamoDB's errors if the row is one that `sweep` has to find.
    """
    request = messages.pack(
        {
            "action": draft.action.name,
            "fields": draft.fields,
            "confirmation": draft.opt_out_confirmation,
            "ignores_quiet_hours": draft.ignores_quiet_hours,
        }
    )
    now = timestamps.now()
    deadline = draft.expires_at or (draft.send_at or now) + MAX_QUEUED
    row = new_message(
        draft,
        "queued",
        message_id=message_id,
        body=body,
        caller=caller,
        # The row must not be gone when the message's turn comes.
        days=days + min(MAX_EXTRA_DAYS, max(0, (deadline - now).days) + 1),
        deadline=deadline,
        send_at=draft.send_at,
        request=request,
    )
    if models.is_parked(row.state):
        parking.begin_progress()
    return row


def reused_problem(existing: MessageRow) -> Problem:
    """Return the problem of another request under the key of the `existing` message."""
    detail = "this Idempotency-Key was used with another body; use a new key for a new message"
    return Problem("idempotency_key_reused", detail, message_id=existing.message_id)


@dataclass(frozen=True, slots=True)
class SendResult:
    """An answer: its HTTP status and body, and whether an earlier call got it already."""

    status: int
    body: dict[str, Any]
    replayed: bool = False


def check_idempotency_key(key: str | None, *, required: bool = False) -> None:
    """Raise Problem invalid_request if `key` is not a valid Idempotency-Key, or is missing."""
    if key is None and required:
        detail = "must be given: this stack has RequireIdempotencyKey=on"
        raise validation_problem([FieldError("Idempotency-Key", detail)])
    if key is not None and not is_valid_key(key):
        raise validation_problem(
            [FieldError("Idempotency-Key", "must be 1 to 255 printable ASCII characters")]
        )


def replay_result(existing: MessageRow, row: MessageRow) -> SendResult:
    """Return the answer that an earlier call, which wrote `existing`, got for the request of `row`.

    Raises Problem idempotency_key_reused if the requests differ (their fingerprints do), and
    in_progress while the earlier call sends the message.
    """
    if not is_same_request(existing, row):
        raise reused_problem(existing)
    now = timestamps.now()
    status = serializers.status_of(existing, now)
    if status == "sending" and not serializers.was_queued(existing):
        detail = "this message is being sent right now"
        raise Problem("in_progress", detail, retry_after=1, message_id=existing.message_id)
    if serializers.was_queued(existing):
        first = "scheduled" if existing.send_at else "queued"
        body = {**serializers.message(existing, now), "status": first, "tracking_id": None}
        body.pop("skycore_code", None)
        body.pop("detail", None)
        return SendResult(202, body, replayed=True)
    if existing.answer is not None:
        answer = messages.unpack(existing.answer)
        body = answer["body"]
        if "retryable" in body:
            body["retryable"] = False  # under this key, it would only be replayed again
        return SendResult(answer["status"], body, replayed=True)
    if status == "rejected" and existing.erased_at:
        detail = "the message was not sent; the reason was erased with the recipient's data"
        problem = Problem("skycore_rejected", detail, message_id=existing.message_id)
        return SendResult(problem.status, problem.body(), replayed=True)
    if status == "unknown":
        detail = REASONS["unknown"]
        problem = Problem("outcome_unknown", detail, message_id=existing.message_id)
        return SendResult(problem.status, problem.body(), replayed=True)
    return SendResult(
        201, {**serializers.message(existing, now), "status": "accepted"}, replayed=True
    )


def is_still_queued(existing: MessageRow, row: MessageRow) -> bool:
    """Return whether `existing` is the same request as `row` and still waits to be sent."""
    same = is_same_request(existing, row)
    return same and serializers.status_of(existing, timestamps.now()) in {"queued", "scheduled"}


@contextmanager
def before_the_call() -> Iterator[None]:
    """Raise Problem not_ready for any failure of our own table, limiter or secret in the block."""
    try:
        yield
    except Problem:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, no call was made
        log_exception("not ready to send", error)
        raise Problem("not_ready", NOT_READY) from None


def take_over_or_replay(existing: MessageRow, row: MessageRow) -> tuple[SendResult, bool]:
    """Return the answer to a request whose id belongs to the `existing` message.

    The second value says whether to queue the message again. It is true while the message is still
    queued: the call that wrote it may have ended before the queue had it, and dispatch sends a
    message once, however often the queue names it. A parked message is not queued again, because
    sweep finds it. That call can no longer release the message, because `row`'s attempt has taken
    it over. Raises Problem, as `replay_result`, and in_progress if that call released it first.
    """
    if is_still_queued(existing, row):
        if queue_transitions.take_over(existing.message_id, row.attempt):
            return replay_result(existing, row), not models.is_parked(existing.state)
        current = messages.get(existing.message_id)
        if current is None or is_still_queued(current, row):
            raise Problem("in_progress", "this message is being queued right now", retry_after=1)
        existing = current
    return replay_result(existing, row), False


type Release = Literal["released", "taken", "recorded", "lost"]


def release(
    rows: Sequence[MessageRow],
    *,
    repair_queue: str,
    confirmed: Mapping[str, datetime | None] | None = None,
) -> dict[str, Release]:
    """Free the keys of messages that were not sent, and their opt-out confirmations.

    `confirmed` has the times, by message id, at which messages claimed a confirmation. Return by
    message id what became of each: released, taken by another attempt, recorded in the repair queue
    for dispatch to release, or lost because neither the table nor the queue answered. Never raises.
    """
    outcomes = [
        Outcome.of(row, status=messages.RELEASED, confirmation=_confirmation(row, confirmed or {}))
        for row in rows
    ]
    results: dict[str, Release] = {}
    for number, outcome in enumerate(outcomes):
        try:
            results[outcome.message_id] = "released" if release_key(outcome) else "taken"
        except Exception as error:  # noqa: BLE001 - that nothing was sent must not be lost
            log_exception("messages not released", error, rows=len(outcomes) - number)
            lost = queue_outcomes(outcomes[number:], repair_queue)
            for later in outcomes[number:]:
                id_ = later.message_id
                results[id_] = "lost" if id_ in lost else "recorded"
            break
    return results


def unsent_problem(row: MessageRow, released: Mapping[str, Release], problem: Problem) -> Problem:
    """Return the problem of a message that got no further than its row.

    It is `problem`, unless the row may be there after all: then sweep queues the message.
    """
    match released.get(row.message_id):
        case "lost":
            return _maybe_sent_problem(row)
        case "taken":
            return Problem(
                "in_progress", "another request with this key is queueing it", retry_after=1
            )
    return problem


def unqueued_problem(row: MessageRow, released: Mapping[str, Release]) -> Problem | None:
    """Return the problem of a message that the queue did not accept; None if it is queued.

    A queue that did not answer may have the message. Dispatch may have claimed it by now, or may
    claim it before its release is applied.
    """
    match released.get(row.message_id):
        case "released":
            detail = "the queue did not take the message; nothing will be sent"
            return Problem("not_queued", detail)
        case "recorded" | "lost":
            return _maybe_sent_problem(row)
    return None


def _maybe_sent_problem(row: MessageRow) -> Problem:
    detail = "the table gave no answer; the message may be sent all the same"
    return Problem("gateway_failure", detail, message_id=row.message_id)


def _confirmation(
    row: MessageRow, confirmed: Mapping[str, datetime | None]
) -> tuple[str, str | None, str] | None:
    confirmed_at = confirmed.get(row.message_id)
    if row.to is None or confirmed_at is None:
        return None
    return row.to, row.sender, timestamps.to_key(confirmed_at)
