"""Transitions of a queued message's row: claim, requeue, dead-letter, cancel, find.

Every queued message has a time to be sent by, its `deadline`. The index by state lists it: at
first among those that dispatch has not seen, then by the hour of that time.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from skycore import timestamps
from skycore.catalogue.statuses import RANKS
from skycore.table import keys, messages
from skycore.table.messages import MessageRow

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from pynamodb.expressions.condition import Condition
    from pynamodb.expressions.update import Action


def queue_body(row: MessageRow) -> str:
    """What the send queue holds of a message: its id alone."""
    return json.dumps({"message_id": row.message_id})


def claim(row: MessageRow, attempt: str, moment: datetime) -> bool:
    """Moves a queued message to `sending` for this attempt alone.

    False if another attempt has it, or it had to be sent by now. A write whose answer was lost and
    that is repeated finds itself by its `attempt`.
    """
    condition = (MessageRow.status == "queued") & _not_late(moment)
    taken = {"attempt": attempt, "code": None, "detail": None}  # why the call before this failed
    if not messages.transition_if(
        row.message_id, "sending", moment, condition, own=True, attributes=taken
    ):
        now = messages.get(row.message_id)
        if now is None or now.status != "sending" or now.attempt != attempt:
            return False
    row.attempt, row.status = attempt, "sending"
    return True


def requeue(
    row: MessageRow,
    *,
    tries: int,
    not_before: datetime,
    code: str | None,
    detail: str | None,
    keep_line: bool = True,
    failed_for: str | None = None,
) -> bool:
    """Undoes the step from queued to sending, once it is proved that nothing was sent.

    `tries` counts the calls that failed so far, `code` and `detail` say why; no copy is sent
    `not_before`. Without `keep_line`, for a call that a limit refused, the timeline forgets the
    step: a message may wait for long. `failed_for` is the cause of a failure that concerns all
    messages, as the account pause names it.
    """
    steps = MessageRow.steps
    again = steps.set(steps.append([messages.step("queued", timestamps.now())]))
    actions: list[Action] = [
        MessageRow.status.set("queued"),
        MessageRow.rank.set(RANKS["queued"]),
        MessageRow.tries.set(tries),
        MessageRow.not_before.set(timestamps.to_key(not_before)),
        MessageRow.code.set(code) if code else MessageRow.code.remove(),
        MessageRow.detail.set(detail) if detail else MessageRow.detail.remove(),
        again if keep_line else steps[len(row.steps)].remove(),
        list_by_deadline(row),
    ]
    if failed_for is not None:
        failed_at = timestamps.to_key(timestamps.now())
        actions += [MessageRow.failed_for.set(failed_for), MessageRow.failed_at.set(failed_at)]
    condition = (MessageRow.status == "sending") & (MessageRow.attempt == row.attempt)
    requeued = messages.update(row.message_id, actions, condition)
    if requeued is not None:
        row.status, row.state = requeued.status, requeued.state
    return requeued is not None


def dead_letter(row: MessageRow, **attributes: Any) -> bool:
    """Ends a message whose calls all failed and provably sent nothing: `rejected`.

    It keeps its request, so that a person may have it tried again. `attributes` say why.
    """
    return messages.transition(
        row.message_id,
        "rejected",
        moment=timestamps.now(),
        own=True,
        if_attempt=row.attempt,
        if_status="sending",
        **attributes,
    )


def requeue_dead_letter(row: MessageRow, moment: datetime) -> bool:
    """Queues a message again that was set aside, with all its tries; False if it is too late."""
    again = messages.step("queued", moment)
    actions: list[Action] = [
        MessageRow.status.set("queued"),
        MessageRow.rank.set(RANKS["queued"]),
        MessageRow.tries.set(0),
        MessageRow.steps.set(MessageRow.steps.append([again])),
        list_by_deadline(row),
        MessageRow.not_before.remove(),
        MessageRow.outbox.remove(),
        MessageRow.code.remove(),
        MessageRow.detail.remove(),
    ]
    set_aside = (MessageRow.status == "rejected") & MessageRow.request.exists()
    if not messages.update(row.message_id, actions, set_aside & _not_late(moment)):
        return False
    row.status, row.tries, row.not_before = "queued", 0, None
    row.steps.append(again)
    return True


def is_dead_lettered(row: MessageRow) -> bool:
    """Whether the message was set aside: any other one that is rejected has no request."""
    return row.status == "rejected" and row.request is not None


def mark_confirmation(message_id: str) -> None:
    """Notes that a queued message has taken the one confirmation of its recipient's opt-out."""
    messages.update(message_id, [MessageRow.confirmation.set(True)], MessageRow.pk.exists())


def take_over(message_id: str, attempt: str) -> bool:
    """Takes a queued message over from the call that wrote it, which then cannot release it."""
    actions: list[Action] = [MessageRow.attempt.set(attempt)]
    return messages.update(message_id, actions, MessageRow.status == "queued") is not None


def mark_dispatched(row: MessageRow) -> None:
    """Notes that the queue has the message, if that is not known yet."""
    if row.deadline is not None and row.state != _by_deadline(row):
        still = (MessageRow.status == "queued") & (MessageRow.state == row.state)
        messages.update(row.message_id, [list_by_deadline(row)], still)


def cancel(message_id: str, moment: datetime) -> bool:
    """Cancels a message that is still queued; False if it has left the queue, or is too late.

    A write whose answer was lost and that is repeated finds itself by its line in the timeline.
    """
    waits = (MessageRow.status == "queued") & _not_late(moment)
    if messages.transition_if(
        message_id, "cancelled", moment, waits, own=True, attributes={"request": None}
    ):
        return True
    row = messages.get(message_id)
    return row is not None and row.steps[-1] == messages.step("cancelled", moment)


def undispatched(now: datetime) -> Iterator[MessageRow]:
    """Messages queued so long ago that dispatch should have seen them, and has not."""
    for partition in keys.undispatched_partitions():
        yield from messages.in_state(partition, now - keys.UNDISPATCHED_AFTER)


def _not_late(moment: datetime) -> Condition:
    in_time: Condition = MessageRow.deadline.does_not_exist()
    in_time |= MessageRow.deadline > timestamps.to_key(moment)
    return in_time


def _by_deadline(row: MessageRow) -> str:
    return keys.waiting_partition(timestamps.from_text(row.deadline))


def list_by_deadline(row: MessageRow) -> Action:
    if row.deadline is None:
        return MessageRow.state.remove()
    return MessageRow.state.set(_by_deadline(row))
