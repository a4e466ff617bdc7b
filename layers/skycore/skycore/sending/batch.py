"""POST /messages/batch: queue up to a thousand messages; return one result each, in order."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import batched
from typing import TYPE_CHECKING, Any

from skycore import metrics, serializers, timestamps
from skycore.aws import queues
from skycore.client.errors import FieldError
from skycore.logs import log_exception
from skycore.metrics import count_rejection
from skycore.problems import Problem, validation_problem
from skycore.sending import idempotency
from skycore.sending.idempotency import (
    SendResult,
    check_idempotency_key,
    is_still_queued,
    not_queued_problem,
    queued_row,
    replay_result,
)
from skycore.sending.validation import (
    check_opt_out,
    check_sendable,
    check_template,
    dry_run,
    opted_out_problem,
    parse_message,
    release_confirmation,
)
from skycore.table import batches, messages, queue_transitions
from skycore.table.opt_outs import opted_out

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from skycore.sending.validation import Draft, SendPolicy
    from skycore.table.messages import MessageRow

MAX_MESSAGES = 1000  # in one call
FIELDS = {"messages", "template", "recipients", "all_or_nothing"}


@dataclass(slots=True)
class _Entry:
    """One message of the batch: its request, then its row or its result.

    `existing` is the row that an earlier call wrote, `confirmed_at` the time at which the message
    claimed the confirmation of an opt-out.
    """

    body: Mapping[str, Any]
    draft: Draft | None = None
    row: MessageRow | None = None
    existing: MessageRow | None = None
    confirmed_at: datetime | None = None
    result: dict[str, Any] | None = None

    def is_new(self, existing: Mapping[str, MessageRow]) -> bool:
        """Return whether it is to be queued for the first time."""
        return self.row is not None and self.row.message_id not in existing

    def refuse(self, problem: Problem) -> None:
        """Set the problem as the result; the message is not queued."""
        count_rejection(problem)
        self.row, self.result = None, problem.body()


def enqueue_batch(
    body: Mapping[str, Any], *, caller: str, key: str | None, queue_url: str, policy: SendPolicy
) -> SendResult:
    """Queue each message; return one result each, in order: the queued message or its problem.

    With `all_or_nothing`, one invalid message refuses the whole call. Under the same key no
    message is queued twice, and those that an earlier call did not queue are; the result is
    `replayed` if there was none. Raises Problem for the call itself.
    """
    check_idempotency_key(key)
    all_or_nothing = body.get("all_or_nothing", False)
    entries = [_Entry(message) for message in _bodies(body, all_or_nothing)]
    for number, entry in enumerate(entries):
        message_id = idempotency.message_id(caller, None if key is None else f"{key}\n{number}")
        _prepare(entry, message_id, policy)
    existing = messages.get_existing(_rows(entries)) if key is not None else {}
    _check_new([entry for entry in entries if entry.is_new(existing)], policy)
    _refuse_opted_out([entry for entry in entries if entry.is_new(existing)])
    refused = [number for number, entry in enumerate(entries) if "code" in (entry.result or {})]
    if all_or_nothing and refused:
        raise _refusal(entries, refused)
    _write(entries, existing, may_exist=key is not None)
    _queue(entries, queue_url)
    repeated = [entry.existing is not None for entry in entries if entry.row or entry.existing]
    replayed = bool(repeated) and all(repeated)
    return SendResult(202, {"messages": [entry.result for entry in entries]}, replayed)


def _bodies(body: Mapping[str, Any], all_or_nothing: object) -> list[Any]:
    """Return the messages, each with the template's fields. Raises Problem invalid_request."""
    errors = [FieldError(name, "is not a field of a batch") for name in sorted(set(body) - FIELDS)]
    if not isinstance(all_or_nothing, bool):
        errors.append(FieldError("all_or_nothing", "must be true or false"))
    name = "recipients" if "template" in body else "messages"
    entries, template = body.get(name), body.get("template", {})
    if not isinstance(entries, list) or not 1 <= len(entries) <= MAX_MESSAGES:
        errors.append(FieldError(name, f"must be a list of 1 to {MAX_MESSAGES}"))
    if not isinstance(template, dict):
        detail = "must be an object: a message without what differs by recipient"
        errors.append(FieldError("template", detail))
    elif isinstance(entries, list):
        own_actions = any(isinstance(entry, dict) and "action" in entry for entry in entries)
        errors += check_template(template, own_actions=own_actions)
    has_template = "template" in body
    if has_template == ("messages" in body) or ("recipients" in body and not has_template):
        errors.append(
            FieldError("messages", "must be given alone, or template and recipients instead")
        )
    if errors or not isinstance(entries, list):
        raise validation_problem(errors)
    return [{**template, **entry} if isinstance(entry, dict) else entry for entry in entries]


def _prepare(entry: _Entry, message_id: str, policy: SendPolicy) -> None:
    """Set the entry's row, or its result if it is not to be queued."""
    if not isinstance(entry.body, dict):
        entry.refuse(Problem("invalid_request", "a message is a JSON object"))
        return
    try:
        entry.draft = parse_message(entry.body, policy)
        if entry.draft.dry_run:
            entry.result = dry_run(entry.draft, policy).body
            return
        entry.row = queued_row(entry.draft, entry.body, message_id, policy.days)
    except Problem as problem:
        entry.refuse(problem)


def _check_new(entries: Sequence[_Entry], policy: SendPolicy) -> None:
    """Refuse new entries that have expired or whose country is not allowed."""
    for entry in entries:
        try:
            if entry.draft is not None:
                check_sendable(entry.draft, policy)
        except Problem as problem:
            entry.refuse(problem)


def _refuse_opted_out(entries: Sequence[_Entry]) -> None:
    """Refuse entries whose recipients opted out; a confirmation is claimed when it is queued."""
    drafts = [entry.draft for entry in entries if entry.draft is not None]
    opted_out_pairs = opted_out((draft.to, draft.sender) for draft in drafts if draft.to)
    for entry in entries:
        draft = entry.draft
        if draft is None or draft.to is None or (draft.to, draft.sender) not in opted_out_pairs:
            continue
        if not draft.opt_out_confirmation:
            entry.refuse(opted_out_problem())


def _refusal(entries: Sequence[_Entry], refused: Sequence[int]) -> Problem:
    """Return the problem of the whole call, with every field of each refused entry."""
    errors = []
    for number in refused:
        result = entries[number].result or {}
        for error in result.get("errors") or [{"field": "", "detail": result["detail"]}]:
            field = f"messages[{number}].{error['field']}".rstrip(".")
            errors.append(FieldError(field, error["detail"]))
    return validation_problem(errors)


def _write(
    entries: Sequence[_Entry], existing: Mapping[str, MessageRow], *, may_exist: bool
) -> None:
    """Write the new rows; set the result of an entry that an earlier call finished."""
    new = [entry for entry in entries if entry.is_new(existing)]
    stored = dict(existing)
    if may_exist:
        stored |= messages.create_many(_rows(new))
    else:
        unwritten, uncertain = _put(_rows(new))
        for entry in new:
            row_key = None if entry.row is None else (entry.row.pk, entry.row.sk)
            if entry.row is not None and row_key in uncertain:
                entry.refuse(_uncertain_problem(entry.row))
            elif row_key in unwritten:
                entry.refuse(not_queued_problem())
    for entry in entries:
        if entry.row is None:
            continue
        entry.existing = stored.get(entry.row.message_id)
        try:
            if entry.existing is None:
                _claim_confirmation(entry)
            elif not is_still_queued(entry.existing, entry.row):
                entry.result = replay_result(entry.existing, entry.row.fingerprint).body
                entry.row = None
        except Problem as problem:
            entry.refuse(problem)


def _rows(entries: Sequence[_Entry]) -> list[MessageRow]:
    return [entry.row for entry in entries if entry.row is not None]


def _uncertain_problem(row: MessageRow) -> Problem:
    """Return the problem of a message whose row may be stored: sweep queues it if it is."""
    detail = "the table gave no answer; the message may be sent within two hours"
    return Problem("gateway_failure", detail, message_id=row.message_id)


def _put(rows: Sequence[MessageRow]) -> tuple[set[batches.Key], set[batches.Key]]:
    """Write rows with random ids, which cannot exist yet.

    Return the keys of rows that were not written, and of those that may have been. Never raises,
    so that messages whose rows were written before DynamoDB failed are queued.
    """
    unwritten: set[batches.Key] = set()
    uncertain: set[batches.Key] = set()
    table_failed = False
    for part in batched(rows, batches.WRITE_ROWS, strict=False):
        if not table_failed:
            try:
                unwritten |= batches.put_all(part)
                continue
            except Exception as error:  # noqa: BLE001 - see above
                log_exception("rows of a batch not written", error, rows=len(part))
                table_failed = True
                uncertain |= _delete(part)
        unwritten |= {(row.pk, row.sk) for row in part}
    return unwritten, uncertain


def _delete(rows: Sequence[MessageRow]) -> set[batches.Key]:
    """Delete the rows of a write without an answer, because sweep would queue those it wrote.

    Return the keys of rows that may still be stored. Stops at the first failure.
    """
    for deleted, row in enumerate(rows):
        try:
            messages.delete_unsent(row)
        except Exception as error:  # noqa: BLE001 - the others of the batch go on
            log_exception("rows of a batch not taken back", error, rows=len(rows) - deleted)
            return {(remaining.pk, remaining.sk) for remaining in rows[deleted:]}
    return set()


def _claim_confirmation(entry: _Entry) -> None:
    """Claim the confirmation of an opt-out if the entry asks for it. Raises Problem."""
    if entry.draft is None or entry.row is None or not entry.draft.opt_out_confirmation:
        return
    try:
        entry.confirmed_at = check_opt_out(entry.draft)
        if entry.confirmed_at is not None:
            queue_transitions.mark_confirmation(entry.row.message_id)
    except Problem:
        messages.delete_unsent(entry.row)
        raise


def _queue(entries: Sequence[_Entry], queue_url: str) -> None:
    """Queue the entries that have a row, and set their results."""
    waiting = [(entry, entry.row) for entry in entries if entry.row is not None]
    unqueued = queues.send_many(
        queue_url, [queue_transitions.queue_body(row) for _, row in waiting]
    )
    now = timestamps.now()
    for number, (entry, row) in enumerate(waiting):
        if entry.existing is not None:  # if the queue refuses it, sweep queues it later
            entry.result = serializers.message(entry.existing, now)
        # A queue that did not answer may have the message, and dispatch may have claimed it by now.
        elif number not in unqueued or not messages.delete_unsent(row):
            entry.result = serializers.message(row, now)
            metrics.count("Queued")
        else:
            if entry.draft is not None:
                release_confirmation(entry.draft, entry.confirmed_at)
            entry.refuse(not_queued_problem())
