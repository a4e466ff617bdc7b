"""POST /messages: one message to Skycore, at most once, and the truth about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from skycore.logs import about
from skycore.metrics import counted_refusals
from skycore.problems import Problem
from skycore.sending import idempotency, opt_outs, outcomes
from skycore.sending.delivery import KEPT, check_time, deliver
from skycore.sending.idempotency import Sent, check_key, replay
from skycore.sending.opt_outs import dry_run
from skycore.sending.validation import check_new, compose
from skycore.table import messages

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from skycore.sending.delivery import Line
    from skycore.sending.validation import Draft, Rules
    from skycore.table.messages import MessageRow


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
    row = outcomes.new_message(draft, "sending", message_id=message_id, body=body, days=rules.days)
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
        taken = opt_outs.check(draft)
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


def _free(row: MessageRow, draft: Draft, taken: datetime | None) -> None:
    messages.release(row)
    opt_outs.give_back(draft, taken)
