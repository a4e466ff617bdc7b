"""POST /messages: one message to Skycore, at most once, and the truth about it."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from skycore import times
from skycore.flows import views
from skycore.flows.call import KEPT, call
from skycore.flows.compose import compose, invalid
from skycore.logs import log, log_exception, masked
from skycore.messages import idempotency
from skycore.problems import Problem
from skycore.storage import messages
from skycore.storage.messages import MessageRow

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from skycore.api import Reply, SkycoreClient
    from skycore.flows.compose import Draft


@dataclass(frozen=True, slots=True)
class Sent:
    """The answer to a send: a message as it stands, new or given again."""

    status: int
    body: dict[str, Any]
    replayed: bool = False


def send(
    body: Mapping[str, Any],
    *,
    caller: str,
    key: str | None,
    skycore: SkycoreClient,
    region: str,
    days: int,
    deadline: float,
) -> Sent:
    """Sends one message before `deadline` (monotonic seconds); the row comes before the call.

    Raises Problem for every answer that is not 201; those that stand are kept under `key`.
    """
    _check_key(key)
    draft = compose(body, default_region=region)
    row = new_message(draft, "sending", caller=caller, key=key, body=body, days=days)
    existing = messages.create(row)
    if existing is not None:
        return replay(existing, row.fingerprint)
    return Sent(201, deliver(row, draft, skycore=skycore, days=days, deadline=deadline))


def new_message(
    draft: Draft,
    status: str,
    *,
    caller: str,
    key: str | None,
    body: Mapping[str, Any],
    days: int,
    **attributes: Any,
) -> MessageRow:
    """The row of a message that is about to be sent or queued."""
    return messages.new_row(
        idempotency.message_id(caller, key),
        status,
        moment=times.now(),
        days=days,
        attempt=secrets.token_hex(8),
        action=draft.action.name,
        to=draft.to,
        sender=draft.sender,
        client_reference=draft.client_reference,
        fingerprint=idempotency.fingerprint(body),
        **attributes,
    )


def deliver(
    row: MessageRow, draft: Draft, *, skycore: SkycoreClient, days: int, deadline: float
) -> dict[str, Any]:
    """Calls Skycore for a row in `sending` and writes down what came of it; the 201 body.

    Raises Problem. One that stands is in the row; any other has deleted it, or, for a message
    from the queue, left it for the caller to put back.
    """
    try:
        reply = call(
            skycore, draft.action, draft.fields, deadline=deadline, message_id=row.message_id
        )
    except Problem as problem:
        if problem.code in KEPT:
            _settle(row, problem)
        elif row.request is None:
            messages.release(row)
        raise
    return _accept(row, reply, days)


def replay(existing: MessageRow, fingerprint: str) -> Sent:
    """The answer that was given before under the same key.

    Raises Problem: idempotency_key_reused, in_progress, or the kept problem itself.
    """
    if existing.fingerprint != fingerprint:
        raise Problem(
            "idempotency_key_reused",
            "this Idempotency-Key was used with another body; use a new key for a new message",
            message_id=existing.message_id,
        )
    now = times.now()
    status = views.status_of(existing, now)
    if status == "sending":
        raise Problem(
            "in_progress",
            "this message is being sent right now",
            retry_after=1,
            message_id=existing.message_id,
        )
    if existing.answer is not None:
        kept = messages.unpack(existing.answer)
        return Sent(kept["status"], kept["body"], replayed=True)
    if status == "unknown":
        unknown = _unknown(existing.message_id)
        return Sent(unknown.status, unknown.body(), replayed=True)
    return Sent(201, views.message(existing, now), replayed=True)


def _accept(row: MessageRow, reply: Reply, days: int) -> dict[str, Any]:
    """The 201 body; what fails after Skycore accepted is logged and mended by a receipt."""
    now = times.now()
    tracking_id = reply.fields.get("tracking_id")
    body = {
        **_echoed(reply),
        "message_id": row.message_id,
        "status": "accepted",
        "action": row.action,
        "tracking_id": tracking_id,
        "to": row.to,
        "from": row.sender,
        "client_reference": row.client_reference,
        "created_at": times.to_text(times.from_text(row.created_at)),
    }
    try:
        if tracking_id:
            messages.put_pointer(
                tracking_id, row.message_id, row.client_reference, moment=now, days=days
            )
        _finish(row, "accepted", now, body, 201, tracking_id=tracking_id)
    except Exception as error:  # noqa: BLE001 - the caller must hear that it was accepted
        log_exception("accepted, but not written", error, message_id=row.message_id)
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


def _settle(row: MessageRow, problem: Problem) -> None:
    status = "rejected" if problem.code == "skycore_rejected" else "unknown"
    code = problem.members.get("skycore_code")
    try:
        _finish(
            row,
            status,
            times.now(),
            problem.body(),
            problem.status,
            code=code,
            detail=problem.detail,
        )
    except Exception as error:  # noqa: BLE001 - the row stays in sending and reads as unknown
        log_exception("outcome not written", error, message_id=row.message_id)


def _finish(
    row: MessageRow, status: str, moment: datetime, body: Any, http: int, **attributes: Any
) -> None:
    answer = messages.pack({"status": http, "body": body})
    moved = messages.move(
        row.message_id,
        status,
        moment=moment,
        own=True,
        only_if=MessageRow.attempt == row.attempt,
        answer=answer,
        request=None,
        **attributes,
    )
    if not moved and status == "accepted":
        # A receipt was quicker: the status stands, the answer is still to be kept.
        messages.note(row.message_id, answer=answer, **attributes)


def _echoed(reply: Reply) -> dict[str, Any]:
    return {name: value for name, value in reply.fields.items() if name != "status"}


def _unknown(message_id: str) -> Problem:
    detail = "the call died on its way; Skycore may have taken the message"
    return Problem("outcome_unknown", detail, message_id=message_id)


def _check_key(key: str | None) -> None:
    if key is not None and not idempotency.valid_key(key):
        from skycore.api import FieldError  # noqa: PLC0415 - the rare path pays for it

        raise invalid([FieldError("Idempotency-Key", "1 to 255 printable ASCII characters")])
