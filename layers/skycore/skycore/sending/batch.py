"""POST /messages/batch: up to a thousand messages, one result for each, in order."""

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

MAX_MESSAGES = 1000  # messages in one call
FIELDS = {"messages", "template", "recipients", "all_or_nothing"}


@dataclass(slots=True)
class _Entry:
    """One message of the batch: what was asked, and its row or its answer."""

    body: Mapping[str, Any]
    draft: Draft | None = None
    row: MessageRow | None = None
    before: MessageRow | None = None  # the same message of an earlier call
    taken: datetime | None = None  # when it took the one confirmation of an opt-out
    result: dict[str, Any] | None = None

    def new(self, existing: Mapping[str, MessageRow]) -> bool:
        """Whether it is to be queued for the first time."""
        return self.row is not None and self.row.message_id not in existing

    def refuse(self, problem: Problem) -> None:
        """Answers with a problem; nothing is queued."""
        count_rejection(problem)
        self.row, self.result = None, problem.body()


def enqueue_batch(
    body: Mapping[str, Any], *, caller: str, key: str | None, queue_url: str, policy: SendPolicy
) -> SendResult:
    """Queues each message; one result per entry, in order: the queued message or its problem.

    With `all_or_nothing`, one bad entry refuses the whole call. Under the same key nothing is
    queued twice, and what an earlier call did not finish is; `replayed` says that nothing was
    left to do. Raises Problem for the call itself.
    """
    check_idempotency_key(key)
    together = body.get("all_or_nothing", False)
    entries = [_Entry(entry) for entry in _bodies(body, together)]
    for number, entry in enumerate(entries):
        message_id = idempotency.message_id(caller, None if key is None else f"{key}\n{number}")
        _prepare(entry, message_id, policy)
    existing = messages.get_existing(_rows(entries)) if key is not None else {}
    _check_new([entry for entry in entries if entry.new(existing)], policy)
    _refuse_opted_out([entry for entry in entries if entry.new(existing)])
    bad = [number for number, entry in enumerate(entries) if "code" in (entry.result or {})]
    if together and bad:
        raise _refused(entries, bad)
    _write(entries, existing, may_exist=key is not None)
    _queue(entries, queue_url)
    before = [entry.before is not None for entry in entries if entry.row or entry.before]
    replayed = bool(before) and all(before)
    return SendResult(202, {"messages": [entry.result for entry in entries]}, replayed)


def _bodies(body: Mapping[str, Any], together: object) -> list[Any]:
    """The messages as if each had been written out. Raises Problem invalid_request."""
    errors = [FieldError(name, "is no field of a batch") for name in sorted(set(body) - FIELDS)]
    if not isinstance(together, bool):
        errors.append(FieldError("all_or_nothing", "true or false"))
    name = "recipients" if "template" in body else "messages"
    listed, template = body.get(name), body.get("template", {})
    if not isinstance(listed, list) or not 1 <= len(listed) <= MAX_MESSAGES:
        errors.append(FieldError(name, f"a list of 1 to {MAX_MESSAGES}"))
    if not isinstance(template, dict):
        errors.append(FieldError("template", "a message without what differs by recipient"))
    shared, alone = "template" in body, "recipients" in body and "template" not in body
    if ("messages" in body) == shared or alone:
        errors.append(FieldError("messages", "give either messages, or template and recipients"))
    if errors or not isinstance(listed, list):
        raise validation_problem(errors)
    return [{**template, **entry} if isinstance(entry, dict) else entry for entry in listed]


def _prepare(entry: _Entry, message_id: str, policy: SendPolicy) -> None:
    """Gives the entry its row, or its answer if it is not to be queued."""
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
    """Answers those that cannot be sent any more, or not there."""
    for entry in entries:
        try:
            if entry.draft is not None:
                check_sendable(entry.draft, policy)
        except Problem as problem:
            entry.refuse(problem)


def _refuse_opted_out(entries: Sequence[_Entry]) -> None:
    """Answers those whose recipients opted out; a confirmation is taken when it is queued."""
    drafts = [entry.draft for entry in entries if entry.draft is not None]
    stopped = opted_out((draft.to, draft.sender) for draft in drafts if draft.to)
    for entry in entries:
        draft = entry.draft
        if draft is None or draft.to is None or (draft.to, draft.sender) not in stopped:
            continue
        if not draft.opt_out_confirmation:
            entry.refuse(opted_out_problem())


def _refused(entries: Sequence[_Entry], bad: Sequence[int]) -> Problem:
    errors = []
    for number in bad:
        result = entries[number].result or {}
        for error in result.get("errors") or [{"field": "", "detail": result["detail"]}]:
            field = f"messages[{number}].{error['field']}".rstrip(".")
            errors.append(FieldError(field, error["detail"]))
    return validation_problem(errors)


def _write(
    entries: Sequence[_Entry], existing: Mapping[str, MessageRow], *, may_exist: bool
) -> None:
    """Writes the new rows; an entry that another call has finished gets its answer."""
    new = [entry for entry in entries if entry.new(existing)]
    before = dict(existing)
    if may_exist:
        before |= messages.create_many(_rows(new))
    else:
        lost, unsure = _put(_rows(new))
        for entry in new:
            key_of = None if entry.row is None else (entry.row.pk, entry.row.sk)
            if entry.row is not None and key_of in unsure:
                entry.refuse(_nobody_knows(entry.row))
            elif key_of in lost:
                entry.refuse(not_queued_problem())
    for entry in entries:
        if entry.row is None:
            continue
        entry.before = before.get(entry.row.message_id)
        try:
            if entry.before is None:
                _confirm(entry)
            elif not is_still_queued(entry.before, entry.row):
                entry.result = replay_result(entry.before, entry.row.fingerprint).body
                entry.row = None
        except Problem as problem:
            entry.refuse(problem)


def _rows(entries: Sequence[_Entry]) -> list[MessageRow]:
    return [entry.row for entry in entries if entry.row is not None]


def _nobody_knows(row: MessageRow) -> Problem:
    """The problem of a message whose row may have been written: then sweep queues it."""
    detail = "the table gave no answer; the message may be sent within two hours"
    return Problem("gateway_failure", detail, message_id=row.message_id)


def _put(rows: Sequence[MessageRow]) -> tuple[set[batches.Key], set[batches.Key]]:
    """Writes rows with random ids, which cannot exist; the keys of those that are not written.

    And of those of which nobody knows. Never raises, so that what was written before DynamoDB
    failed goes on to the queue.
    """
    lost: set[batches.Key] = set()
    unsure: set[batches.Key] = set()
    out = False
    for part in batched(rows, batches.WRITE_ROWS, strict=False):
        if not out:
            try:
                lost |= batches.put_all(part)
                continue
            except Exception as error:  # noqa: BLE001 - see above
                log_exception("rows of a batch not written", error, rows=len(part))
                out = True
                unsure |= _not_taken_back(part)
        lost |= {(row.pk, row.sk) for row in part}
    return lost, unsure


def _not_taken_back(rows: Sequence[MessageRow]) -> set[batches.Key]:
    """Deletes rows of a write without an answer: sweep would queue what it did write after all.

    The keys of those that may still be there. Ends at the first failure: the table is out.
    """
    for done, row in enumerate(rows):
        try:
            messages.delete_unsent(row)
        except Exception as error:  # noqa: BLE001 - the others of the batch go on
            log_exception("rows of a batch not taken back", error, rows=len(rows) - done)
            return {(left.pk, left.sk) for left in rows[done:]}
    return set()


def _confirm(entry: _Entry) -> None:
    """Takes the one confirmation of an opt-out, if the entry is one. Raises Problem."""
    if entry.draft is None or entry.row is None or not entry.draft.opt_out_confirmation:
        return
    try:
        entry.taken = check_opt_out(entry.draft)
        if entry.taken is not None:
            queue_transitions.mark_confirmation(entry.row.message_id)
    except Problem:
        messages.delete_unsent(entry.row)
        raise


def _queue(entries: Sequence[_Entry], queue_url: str) -> None:
    waiting = [(entry, entry.row) for entry in entries if entry.row is not None]
    lost = queues.send_many(queue_url, [queue_transitions.queue_body(row) for _, row in waiting])
    now = timestamps.now()
    for number, (entry, row) in enumerate(waiting):
        if entry.before is not None:  # if the queue does not take it again, sweep sees to it
            entry.result = serializers.message(entry.before, now)
        # A queue that gave no answer may have it: then dispatch may have taken the message by now.
        elif number not in lost or not messages.delete_unsent(row):
            entry.result = serializers.message(row, now)
            metrics.count("Queued")
        else:
            if entry.draft is not None:
                release_confirmation(entry.draft, entry.taken)
            entry.refuse(not_queued_problem())
