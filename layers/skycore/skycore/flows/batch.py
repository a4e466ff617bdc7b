"""POST /messages/batch: up to a thousand messages, one result for each, in order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from skycore import times
from skycore.api import FieldError
from skycore.aws import queue
from skycore.flows import opt_out, views
from skycore.flows.compose import compose, invalid
from skycore.flows.enqueue import is_still_queued, queue_body, queued_row
from skycore.flows.send import check_key, dry_run, replay
from skycore.messages import idempotency
from skycore.problems import Problem
from skycore.storage import messages

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from skycore.flows.compose import Rules
    from skycore.storage.messages import MessageRow

MOST = 1000  # messages in one call
_KNOWN = {"messages", "template", "recipients", "all_or_nothing"}


@dataclass(slots=True)
class _Entry:
    """One message of the batch: what was asked, and its row or its answer."""

    body: Mapping[str, Any]
    row: MessageRow | None = None
    result: dict[str, Any] | None = None


def enqueue_batch(
    body: Mapping[str, Any], *, caller: str, key: str | None, queue_url: str, rules: Rules
) -> dict[str, Any]:
    """Queues each message; one result per entry, in order: the queued message or its problem.

    With `all_or_nothing`, one bad entry refuses the whole call. Under the same key nothing is
    queued twice, and what an earlier call did not finish is. Raises Problem for the call itself.
    """
    check_key(key)
    together = body.get("all_or_nothing", False)
    entries = [_Entry(entry) for entry in _bodies(body, together)]
    for number, entry in enumerate(entries):
        message_id = idempotency.message_id(caller, None if key is None else f"{key}\n{number}")
        _prepare(entry, message_id, rules)
    bad = [
        number for number, entry in enumerate(entries) if entry.result and "code" in entry.result
    ]
    if together and bad:
        raise _refused(entries, bad)
    _write(entries, with_key=key is not None)
    _queue(entries, queue_url)
    return {"messages": [entry.result for entry in entries]}


def _bodies(body: Mapping[str, Any], together: object) -> list[Any]:
    """The messages as if each had been written out. Raises Problem invalid_request."""
    errors = [FieldError(name, "is no field of a batch") for name in sorted(set(body) - _KNOWN)]
    if not isinstance(together, bool):
        errors.append(FieldError("all_or_nothing", "true or false"))
    name = "recipients" if "template" in body else "messages"
    listed, template = body.get(name), body.get("template", {})
    if not isinstance(listed, list) or not 1 <= len(listed) <= MOST:
        errors.append(FieldError(name, f"a list of 1 to {MOST}"))
    if not isinstance(template, dict):
        errors.append(FieldError("template", "a message without what differs by recipient"))
    shared, alone = "template" in body, "recipients" in body and "template" not in body
    if ("messages" in body) == shared or alone:
        errors.append(FieldError("messages", "give either messages, or template and recipients"))
    if errors or not isinstance(listed, list):
        raise invalid(errors)
    return [{**template, **entry} if isinstance(entry, dict) else entry for entry in listed]


def _prepare(entry: _Entry, message_id: str, rules: Rules) -> None:
    """Gives the entry its row, or its answer if it is not to be queued."""
    if not isinstance(entry.body, dict):
        entry.result = Problem("invalid_request", "a message is a JSON object").body()
        return
    try:
        draft = compose(entry.body, rules)
        if draft.dry_run:
            entry.result = dry_run(draft).body
            return
        opt_out.check(draft.to, draft.sender, confirmation=draft.opt_out_confirmation)
    except Problem as problem:
        entry.result = problem.body()
        return
    entry.row = queued_row(draft, entry.body, message_id, rules.days)


def _refused(entries: Sequence[_Entry], bad: Sequence[int]) -> Problem:
    errors = []
    for number in bad:
        result = entries[number].result or {}
        for error in result.get("errors") or [{"field": "", "detail": result["detail"]}]:
            field = f"messages[{number}].{error['field']}".rstrip(".")
            errors.append(FieldError(field, error["detail"]))
    return invalid(errors)


def _write(entries: Sequence[_Entry], *, with_key: bool) -> None:
    """Writes the rows; an entry that another call has written or finished gets its answer."""
    rows = [entry.row for entry in entries if entry.row is not None]
    existing = messages.create_many(rows, may_exist=with_key)
    for entry in entries:
        if entry.row is None:
            continue
        before = existing.get(entry.row.message_id)
        if before is not None and not is_still_queued(before, entry.row):
            try:
                entry.result = replay(before, entry.row.fingerprint).body
            except Problem as problem:
                entry.result = problem.body()
            entry.row = None


def _queue(entries: Sequence[_Entry], queue_url: str) -> None:
    waiting = [entry for entry in entries if entry.row is not None]
    rows = [entry.row for entry in waiting if entry.row is not None]
    lost = queue.send_many(queue_url, [queue_body(row) for row in rows])
    now = times.now()
    for number, (entry, row) in enumerate(zip(waiting, rows, strict=True)):
        if number in lost:
            messages.release(row)
            detail = "the queue did not take the message; nothing will be sent"
            entry.result = Problem("not_queued", detail, message_id=row.message_id).body()
        else:
            entry.result = views.message(row, now)
