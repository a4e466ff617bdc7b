"""POST /messages: one message to Skycore, at most once, and the truth about it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from skycore import times
from skycore.api import FieldError
from skycore.flows import ledger, opt_out, views
from skycore.flows.call import KEPT, call
from skycore.flows.compose import check_new, compose, invalid
from skycore.flows.refusals import counted_refusals
from skycore.logs import about
from skycore.messages import idempotency
from skycore.problems import Problem
from skycore.storage import messages

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from skycore.api import Reply, SkycoreClient
    from skycore.flows.compose import Draft, Rules
    from skycore.flows.gate import Gate, Slot
    from skycore.storage.messages import MessageRow

CALL_SECONDS = 10.0  # that a call of Skycore must have left


@dataclass(frozen=True, slots=True)
class Sent:
    """The answer to a send: a message as it stands, new or given again."""

    status: int
    body: dict[str, Any]
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """The way to Skycore: its client, the account's limits, and where late notes are queued."""

    skycore: SkycoreClient
    gate: Gate
    mend_queue: str
    days: int


@counted_refusals()
def send(
    body: Mapping[str, Any],
    *,
    caller: str,
    key: str | None,
    rules: Rules,
    line: Line,
    deadline: float,
) -> Sent:
    """Sends one message before `deadline` (monotonic seconds); the row comes before the call.

    Raises Problem for every answer that is not 201 (200 for a dry run); those that stand are kept
    under `key`, any other proves that nothing was sent and frees it.
    """
    check_key(key)
    draft = compose(body, rules)
    if draft.dry_run:
        return dry_run(draft, rules)
    message_id = idempotency.message_id(caller, key)
    about(message_id=message_id)
    row = ledger.new_message(draft, "sending", message_id=message_id, body=body, days=rules.days)
    try:
        existing = messages.create(row)
    except BaseException:
        _free(row, draft, None)  # the table may have it all the same, and no call was made
        raise
    if existing is not None:
        return replay(existing, row.fingerprint)
    taken = None
    try:
        check_new(draft, rules)
        taken = opt_out.check(draft)
        slot = line.gate.enter()
        check_time(deadline)
    except BaseException:
        _free(row, draft, taken)  # whatever happened, no call was made
        raise
    try:
        return Sent(201, deliver(row, draft, line=line, slot=slot, deadline=deadline))
    except Problem as problem:
        if problem.code not in KEPT:
            problem.members.pop("message_id", None)  # its row is gone, its key is free
            _free(row, draft, taken)
        raise


def check_time(deadline: float) -> None:
    """Raises Problem skycore_unreachable where a call would have too little time before `deadline`.

    The table can be so slow that Skycore's answer would come too late to be heard: then nothing
    is sent, which is better than an outcome that nobody knows.
    """
    if time.monotonic() > deadline - CALL_SECONDS:
        raise Problem("skycore_unreachable", "no time was left for the call; nothing was sent")


def dry_run(draft: Draft, rules: Rules) -> Sent:
    """Everything but the call: what would be sent. Raises Problem as a send does."""
    check_new(draft, rules)
    opt_out.foresee(draft)
    return Sent(
        200,
        {
            "dry_run": True,
            "action": draft.action.name,
            "to": draft.to,
            "from": draft.sender,
            "client_reference": draft.client_reference,
            "fields": draft.fields,
        },
    )


def deliver(
    row: MessageRow, draft: Draft, *, line: Line, slot: Slot, deadline: float
) -> dict[str, Any]:
    """Calls Skycore for a row in `sending` and writes down what came of it; the 201 body.

    No call starts once `slot` has grown too old for the limits: that is rate_limited.

    Raises Problem. One that stands (KEPT) is in the row; for any other the row is as it was, for
    the caller to free or to put back.
    """
    try:
        reply = call(
            line.skycore,
            draft.action,
            draft.fields,
            slot=slot,
            deadline=deadline,
            message_id=row.message_id,
        )
    except Problem as problem:
        line.gate.learn(problem)
        if problem.members.get("skycore_code") == opt_out.BLACKLISTED and draft.to:
            opt_out.blacklisted(draft.to)
        if problem.code in KEPT:
            ledger.settle(row, problem, days=line.days, mend_queue=line.mend_queue)
        raise
    line.gate.learn(None)
    for one in reply.recipients:
        if one.get("error_code") == opt_out.BLACKLISTED and one.get("to"):
            opt_out.blacklisted(str(one["to"]))
    known: dict[str, Any] = {"days": line.days, "mend_queue": line.mend_queue}
    none_taken = _none_taken(reply, row.message_id)
    if none_taken is not None:
        ledger.settle(row, none_taken, **known)
        ledger.note_recipients(row, reply, **known, deadline=deadline)
        raise none_taken
    return ledger.accept(row, reply, **known, deadline=deadline)


def replay(existing: MessageRow, fingerprint: str) -> Sent:
    """The answer that was given before under the same key.

    Raises Problem: idempotency_key_reused or in_progress.
    """
    if existing.fingerprint != fingerprint:
        raise Problem(
            "idempotency_key_reused",
            "this Idempotency-Key was used with another body; use a new key for a new message",
            message_id=existing.message_id,
        )
    now = times.now()
    status = views.status_of(existing, now)
    if status == "sending" and not views.was_queued(existing):
        detail = "this message is being sent right now"
        known = existing.message_id
        raise Problem("in_progress", detail, retry_after=1, message_id=known)
    if views.was_queued(existing):
        body = {**views.message(existing, now), "status": "queued", "tracking_id": None}
        body.pop("skycore_code", None)
        body.pop("detail", None)
        return Sent(202, body, replayed=True)
    if existing.answer is not None:
        kept = messages.unpack(existing.answer)
        return Sent(kept["status"], kept["body"], replayed=True)
    if status == "unknown":
        detail = "the call died on its way; Skycore may have taken the message"
        unknown = Problem("outcome_unknown", detail, message_id=existing.message_id)
        return Sent(unknown.status, unknown.body(), replayed=True)
    return Sent(201, {**views.message(existing, now), "status": "accepted"}, replayed=True)


def check_key(key: str | None) -> None:
    """Raises Problem invalid_request for an Idempotency-Key that cannot be one."""
    if key is not None and not idempotency.valid_key(key):
        raise invalid([FieldError("Idempotency-Key", "1 to 255 printable ASCII characters")])


def _free(row: MessageRow, draft: Draft, taken: datetime | None) -> None:
    messages.release(row)
    opt_out.give_back(draft, taken)


def _none_taken(reply: Reply, message_id: str) -> Problem | None:
    """The problem of a reply that tells several recipients and accepted none for certain."""
    recipients = reply.recipients
    outcomes = {one["outcome"] for one in recipients}
    if not recipients or "accepted" in outcomes:
        return None
    if "unknown" in outcomes:
        detail = "Skycore's answer does not say of every recipient that it was refused"
        return Problem("outcome_unknown", detail, message_id=message_id)
    code = next((one["error_code"] for one in recipients if one.get("error_code")), None)
    detail = "Skycore refused every recipient"
    return Problem("skycore_rejected", detail, skycore_code=code, message_id=message_id)
