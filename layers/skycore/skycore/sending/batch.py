"""POST /messages/batch: queue up to a thousand messages; return one result each, in order."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from skycore import metrics, serializers, timestamps
from skycore.aws import queues
from skycore.client.errors import FieldError
from skycore.logs import log, log_exception
from skycore.metrics import count_rejection
from skycore.problems import Problem, validation_problem
from skycore.sending import idempotency
from skycore.sending.idempotency import (
    SendResult,
    before_the_call,
    check_idempotency_key,
    queued_row,
    take_over_or_replay,
    unqueued_problem,
    unsent_problem,
)
from skycore.sending.validation import (
    check_opt_out,
    check_queueable,
    check_template,
    dry_run,
    opted_out_problem,
    parse_message,
)
from skycore.table import batches, messages, models, opt_outs, queue_transitions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from skycore.sending.policy import SendPolicy
    from skycore.sending.validation import Draft
    from skycore.table.messages import MessageRow

MAX_MESSAGES = 1000  # in one call
QUEUE_CALLS_AT_ONCE = 4  # a thousand messages are a hundred calls, which the caller waits for
MAX_ECHO_BYTES = 800_000  # of errors and dry runs; the rest of an answer is under 5 MB of 6
FIELDS = {"messages", "template", "recipients", "all_or_nothing"}


@dataclass(slots=True)
class _Entry:
    """One message of the batch. It has a row while it is to be queued, and then a result.

    `existing` is the row that an earlier call wrote, `confirmed_at` the time at which the message
    claimed the confirmation of an opt-out.
    """

    body: Mapping[str, Any]
    draft: Draft | None = None
    row: MessageRow | None = None
    existing: MessageRow | None = None
    confirmed_at: datetime | None = None
    result: dict[str, Any] | None = None
    problem: Problem | None = None

    def refuse(self, problem: Problem) -> None:
        """Set the problem as the result; the message is not queued."""
        count_rejection(problem)
        self.row, self.problem = None, problem
        self.result = problem.body() | {"status": "refused", "http_status": problem.status}


def enqueue_batch(
    body: Mapping[str, Any], *, caller: str, key: str | None, queue_url: str, policy: SendPolicy
) -> SendResult:
    """Queue each message; return one result each, in order: the queued message or its problem.

    With `all_or_nothing`, one message that cannot be queued refuses the whole call. Under the same
    key no message is queued twice, and those that an earlier call did not queue are; the result is
    `replayed` if there was none. Raises Problem for the call itself.
    """
    check_idempotency_key(key, required=policy.require_key)
    all_or_nothing = body.get("all_or_nothing", False)
    entries = [_Entry(message) for message in _bodies(body, all_or_nothing, policy)]
    with before_the_call():
        for number, entry in enumerate(entries):
            entry_key = None if key is None else f"{key}\n{number}"
            _prepare(entry, idempotency.message_id(caller, entry_key), policy, caller)
        if key is not None:
            _find_existing(entries)
        _check_new(entries, policy)
    _bound_echoes(entries)
    if all_or_nothing:
        _raise_refusal(entries)
    _write(entries, queue_url)
    for entry in entries:
        if entry.draft and entry.row:
            _settle(entry, entry.draft, entry.row, queue_url)
    if all_or_nothing and any(entry.problem for entry in entries):
        _release(entries, queue_url)
        _raise_refusal(entries)
    _queue(entries, queue_url)
    ours = [entry for entry in entries if entry.row or entry.existing]
    counts = Counter((entry.result or {}).get("status") for entry in entries)
    log.info("batch queued", extra={"caller": caller, "queued": counts["queued"]})
    replayed = bool(ours) and all(entry.existing for entry in ours)
    return SendResult(202, _answer(entries), replayed)


def _bodies(body: Mapping[str, Any], all_or_nothing: object, policy: SendPolicy) -> list[Any]:
    """Return the messages, each with the template's fields.

    Raises Problem invalid_request, or unknown_action for a template.
    """
    errors = [FieldError(name, "is not a field of a batch") for name in sorted(set(body) - FIELDS)]
    if not isinstance(all_or_nothing, bool):
        errors.append(FieldError("all_or_nothing", "must be true or false"))
    name = "recipients" if "template" in body else "messages"
    entries: Any = body.get(name)
    template: Any = body.get("template", {})
    if not isinstance(entries, list) or not 1 <= len(entries) <= MAX_MESSAGES:
        errors.append(FieldError(name, f"must be an array with 1 to {MAX_MESSAGES} entries"))
    if not isinstance(template, dict):
        detail = "must be an object: the fields that the recipients share"
        errors.append(FieldError("template", detail))
    has_template = "template" in body
    if has_template == ("messages" in body) or ("recipients" in body and not has_template):
        errors.append(
            FieldError("messages", "must be given, or else template and recipients, but not both")
        )
    if not errors and has_template:
        own = {name for entry in entries if isinstance(entry, dict) for name in entry}
        errors = check_template(template, own, policy)
    if errors:
        raise validation_problem(errors)
    return [{**template, **entry} if isinstance(entry, dict) else entry for entry in entries]


def _prepare(entry: _Entry, message_id: str, policy: SendPolicy, caller: str) -> None:
    """Set the entry's row, or its result if it is not to be queued."""
    if not isinstance(entry.body, dict):
        entry.refuse(Problem("invalid_request", "a message must be a JSON object"))
        return
    try:
        entry.draft = parse_message(entry.body, policy)
        if entry.draft.dry_run:
            entry.result = dry_run(entry.draft, policy, queued=True).body
        else:
            entry.row = queued_row(entry.draft, entry.body, message_id, policy.days, caller=caller)
    except Problem as problem:
        entry.refuse(problem)


def _find_existing(entries: Sequence[_Entry]) -> None:
    """Find the rows that an earlier call wrote; refuse entries that are other requests."""
    existing = messages.get_existing([entry.row for entry in entries if entry.row])
    for entry in entries:
        if entry.row is not None:
            entry.existing = existing.get(entry.row.message_id)
            if entry.existing and not idempotency.is_same_request(entry.existing, entry.row):
                entry.refuse(idempotency.reused_problem(entry.existing))


def _check_new(entries: Sequence[_Entry], policy: SendPolicy) -> None:
    """Refuse new entries that may not be sent, among them a second confirmation of an opt-out."""
    new = _new(entries)
    pairs = opt_outs.opted_out((draft.to, draft.sender) for _, draft, _ in new if draft.to)
    confirmed = set()
    for entry, draft, _ in new:
        pair = (draft.to or "", draft.sender)
        try:
            check_queueable(draft, policy)
            if pair not in pairs:
                continue
            confirms = draft.opt_out_confirmation and pair not in confirmed
            if not confirms or not opt_outs.can_confirm(*pair):
                raise opted_out_problem()
            confirmed.add(pair)
        except Problem as problem:
            entry.refuse(problem)


def _new(entries: Sequence[_Entry]) -> list[tuple[_Entry, Draft, MessageRow]]:
    """Return the entries that are to be queued for the first time, with draft and row."""
    return [
        (entry, entry.draft, entry.row)
        for entry in entries
        if entry.draft and entry.row and entry.existing is None
    ]


def _raise_refusal(entries: Sequence[_Entry]) -> None:
    """Raise the problem of the whole call if an entry was refused.

    A failure of ours comes first, the one that must not be repeated before others; then what is
    over soon, such as in_progress, because a repeat of the call may then succeed.
    """
    problems = [entry.problem for entry in entries if entry.problem]
    first = min(problems, key=_rank, default=None)
    if first is not None and _rank(first) < _REFUSAL:
        raise first
    errors = []
    for number, entry in enumerate(entries):
        problem = entry.problem
        if problem is None:
            continue
        named: Any = problem.members.get("errors")
        for error in named or [{"field": "", "detail": problem.detail}]:
            field = f"messages[{number}].{error['field']}".rstrip(".")
            errors.append(FieldError(field, error["detail"]))
    if errors:
        raise validation_problem(errors)


_REFUSAL = 3


def _rank(problem: Problem) -> int:
    """Return the place of a problem among those that all_or_nothing answers with, from 0."""
    if problem.status >= 500:
        return int(problem.retryable)
    return 2 if problem.retryable else _REFUSAL


def _write(entries: Sequence[_Entry], queue_url: str) -> None:
    """Write the new rows, and find those that another call wrote first."""
    new = _new(entries)
    by_id = {row.message_id: entry for entry, _, row in new}
    rows = [row for _, _, row in new]
    table_failed = False
    for part in batches.chunk_rows(rows, batches.TRANSACTION_ROWS, batches.TRANSACTION_BYTES):
        released: Mapping[str, idempotency.Release] = {}
        if not table_failed:
            try:
                for message_id, stored in messages.create_many(part).items():
                    by_id[message_id].existing = stored
                continue
            except Exception as error:  # noqa: BLE001 - what is written goes on
                log_exception("rows of a batch not written", error, rows=len(part))
                table_failed = True
                released = idempotency.release(part, repair_queue=queue_url)
        for row in part:
            problem = Problem("not_ready", "the table did not take the message; nothing was sent")
            by_id[row.message_id].refuse(unsent_problem(row, released, problem))


def _settle(entry: _Entry, draft: Draft, row: MessageRow, queue_url: str) -> None:
    """Take over the row of an earlier call, or set what that answered; confirm an opt-out."""
    try:
        with before_the_call():
            if entry.existing is not None:
                sent, queue_again = take_over_or_replay(entry.existing, row)
                entry.result, entry.row = sent.body, row if queue_again else None
            elif draft.opt_out_confirmation:
                entry.confirmed_at = check_opt_out(draft)
                if entry.confirmed_at is not None:
                    queue_transitions.mark_confirmation(row.message_id)
    except Problem as problem:
        entry.refuse(unsent_problem(row, _release([entry], queue_url), problem))


def _queue(entries: Sequence[_Entry], queue_url: str) -> None:
    """Queue the entries that have a row, and set the results of new ones."""
    waiting = [(entry, entry.row) for entry in entries if entry.row is not None]
    now_due = [(entry, row) for entry, row in waiting if not models.is_parked(row.state)]
    bodies = [queue_transitions.queue_body(row) for _, row in now_due]
    unqueued = queues.send_many(queue_url, bodies, at_once=QUEUE_CALLS_AT_ONCE)
    unsent = [now_due[number] for number in sorted(unqueued) if now_due[number][0].result is None]
    released = _release([entry for entry, _ in unsent], queue_url)
    now = timestamps.now()
    for entry, row in waiting:
        if entry.result is not None:
            continue  # of an earlier call; if the queue refuses it, sweep queues it later
        problem = unqueued_problem(row, released)
        if problem is None:
            entry.result = serializers.message(row, now)
            metrics.count("Queued")
        else:
            entry.refuse(problem)


def _release(entries: Sequence[_Entry], queue_url: str) -> dict[str, idempotency.Release]:
    """Free the keys of new entries that were not queued."""
    new = _new(entries)
    return idempotency.release(
        [row for _, _, row in new],
        repair_queue=queue_url,
        confirmed={row.message_id: entry.confirmed_at for entry, _, row in new},
    )


def _bound_echoes(entries: Sequence[_Entry]) -> None:
    """Bound what the answer echoes of the request: drop errors, refuse dry runs."""
    echoed = 0
    for entry in entries:
        result = entry.result or {}
        echo = result.get("errors") or result.get("fields")
        if not echo:
            continue
        if echoed <= MAX_ECHO_BYTES:
            echoed += len(json.dumps(json.dumps(echo)))  # text within Lambda's JSON
        if echoed > MAX_ECHO_BYTES and "errors" in result:
            del result["errors"]
        elif echoed > MAX_ECHO_BYTES:
            entry.refuse(Problem("too_large", "the results of this batch's dry runs are too long"))


def _answer(entries: Sequence[_Entry]) -> dict[str, Any]:
    """Return the body of the answer."""
    first: dict[str, int] = {}
    results = []
    for number, entry in enumerate(entries):
        result = entry.result or {}
        if entry.draft and entry.draft.to:
            earlier = first.setdefault(entry.draft.to, number)
            if earlier != number:
                result = {**result, "same_recipient_as": earlier}
        results.append(result)
    counts = Counter(result.get("status") for result in results)
    summary = {name: counts[name] for name in ("queued", "scheduled", "refused")}
    return {"messages": results, "summary": summary}
