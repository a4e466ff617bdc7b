"""Claim, requeue, release, dead-letter, cancel and find queued messages.

Every queued message has a `deadline`, after which it is not sent. The index by state lists it
among those that dispatch has not seen, and once dispatch has, by the hour of its deadline.
"""

from __future__ import annotations

import json
from datetime import timedelta
from itertools import batched
from typing import TYPE_CHECKING, Any

from pynamodb.attributes import UnicodeSetAttribute
from pynamodb.exceptions import PutError, UpdateError
from pynamodb.expressions.condition import size

from skycore import timestamps
from skycore.catalogue.statuses import RANKS
from skycore.keyed_hash import keyed_fingerprint, keyed_hash
from skycore.phone_numbers import canonical_form
from skycore.table import batches, messages, models
from skycore.table.messages import MessageRow
from skycore.table.models import Row, StoredRow, condition_failed, expiry

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import date, datetime

    from pynamodb.expressions.condition import Condition
    from pynamodb.expressions.update import Action

RELEASED_RANK = 99  # above every status, so that no outcome or receipt moves a tombstone
TOMBSTONE_DAYS = 1  # enough for a late repeat of a write; `expiry` makes it MIN_DAYS
CEILING_DAYS = 2  # a day's count is of no use after the day
MAX_CLAIMS = 3  # tries to claim a message that repeats of its request take over


def queue_body(row: MessageRow) -> str:
    """Return the body of a message in the send queue: the message's id alone."""
    return json.dumps({"message_id": row.message_id})


class CeilingRow(StoredRow, discriminator="ceiling"):
    """The messages to a number on a UTC day, under a keyed hash of the number."""

    counted = UnicodeSetAttribute()  # message ids, so that a repeated write counts once


def ceiling_partition(number: str) -> str:
    """Return the partition of a number's days. Raises what reading the secret raises."""
    return f"ceiling#{keyed_hash('ceiling', canonical_form(number))}"


def count_for_recipient(message_id: str, number: str, most: int, time: datetime) -> bool:
    """Count a message to a number on the day of `time`; return False if `most` are counted.

    A message that is counted already counts once. Raises PynamoDB's errors.
    """
    row = CeilingRow(ceiling_partition(number), f"{time:%Y-%m-%d}")
    room = CeilingRow.counted.does_not_exist() | CeilingRow.counted.contains(message_id)
    actions: list[Action] = [
        CeilingRow.counted.add({message_id}),
        CeilingRow.kind.set(CeilingRow),
        CeilingRow.expires.set(int((time + timedelta(days=CEILING_DAYS)).timestamp())),
    ]
    try:
        row.update(actions, room | (size(CeilingRow.counted) < most))
    except UpdateError as error:
        if not condition_failed(error):
            raise
        return False
    return True


def uncount_for_recipient(message_id: str, number: str, day: date) -> None:
    """Undo `count_for_recipient` of a message that was not sent. Raises PynamoDB's errors."""
    row = CeilingRow(ceiling_partition(number), day.isoformat())
    counted = CeilingRow.counted.contains(message_id)  # without it, the update makes an empty row
    try:
        row.update([CeilingRow.counted.delete({message_id})], counted)
    except UpdateError as error:
        if not condition_failed(error):
            raise


def claim(row: MessageRow, attempt: str, time: datetime) -> bool:
    """Move a queued message to `sending` for this attempt; return whether that succeeded.

    It fails if another attempt has claimed the message or its deadline has passed. A repeated
    write whose first answer was lost recognises its own `attempt`; one that reaches the table late,
    after the message was requeued, fails, because it names the attempt before it.
    """
    claimed = {"attempt": attempt, "code": None, "detail": None}  # drop why the last call failed
    for _ in range(MAX_CLAIMS):
        condition = (MessageRow.status == "queued") & (MessageRow.attempt == row.attempt)
        if messages.transition_if(
            row.message_id,
            "sending",
            time,
            condition & _not_late(time),
            own=True,
            attributes=claimed,
        ):
            break
        stored = messages.get(row.message_id)
        if stored is not None and stored.status == "sending" and stored.attempt == attempt:
            break
        if stored is None or stored.status != "queued" or stored.attempt == row.attempt:
            return False
        row.attempt = stored.attempt  # a repeat of the request took the message over
    else:
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
    """Move a message from `sending` back to `queued`, because nothing was sent.

    `tries` counts the failed calls, `code` and `detail` are of the last one, and no copy is sent
    before `not_before`. Without `keep_line`, the step to `sending` is removed from the timeline:
    for a call that a limit refused, which a message may wait for many times. `failed_for` is the
    cause of a failure that concerns all messages, as the account pause names it.
    """
    steps = MessageRow.steps
    add_line = steps.set(steps.append([messages.step("queued", timestamps.now())]))
    actions: list[Action] = [
        MessageRow.status.set("queued"),
        MessageRow.rank.set(RANKS["queued"]),
        MessageRow.tries.set(tries),
        MessageRow.not_before.set(timestamps.to_key(not_before)),
        MessageRow.code.set(code) if code else MessageRow.code.remove(),
        MessageRow.detail.set(detail) if detail else MessageRow.detail.remove(),
        add_line if keep_line else steps[len(row.steps)].remove(),
        list_by_deadline(row),
    ]
    if failed_for is not None:
        failed_at = timestamps.to_key(timestamps.now())
        actions += [MessageRow.failed_for.set(failed_for), MessageRow.failed_at.set(failed_at)]
    # Sweep may have marked the message unknown by the time that a recorded outcome is applied.
    unsent = (MessageRow.status == "sending") | (MessageRow.status == "unknown")
    condition = unsent & (MessageRow.attempt == row.attempt) & MessageRow.request.exists()
    requeued = messages.update(row.message_id, actions, condition)
    if requeued is not None:
        row.status, row.state = requeued.status, requeued.state
    return requeued is not None


def requeue_recorded(message_id: str, attempt: str, values: Mapping[str, Any]) -> None:
    """Requeue a message as `requeue` would have done with these values, recorded as JSON."""
    row = messages.get(message_id)
    if row is not None and row.attempt == attempt:
        not_before = timestamps.from_text(values["not_before"])
        # Its steps are not those that the recorder knew, so none is removed: a line is added.
        requeue(row, **{**values, "not_before": not_before, "keep_line": True})


def release(message_id: str, attempt: str) -> bool:
    """Free the id, and so the idempotency key, of a message that was not sent.

    Return True if no message has the id now; False if another attempt, such as dispatch's, has it.
    Leaves a tombstone: after a delete, a late repeat of the put would write the row again.
    """
    time = timestamps.now()
    tombstone = MessageRow(
        models.message_partition(message_id),
        models.MESSAGE,
        message_id=message_id,
        status=messages.RELEASED,
        rank=RELEASED_RANK,
        attempt=attempt,
        action="",
        fingerprint="",
        created_at=timestamps.to_key(time),
        steps=[],
        expires=expiry(time, TOMBSTONE_DAYS),
    )
    unsent = (MessageRow.attempt == attempt) & (MessageRow.rank <= RANKS["unknown"])
    try:
        tombstone.save(MessageRow.pk.does_not_exist() | unsent)
    except PutError as error:
        if not condition_failed(error):
            raise
        return messages.get(message_id) is None  # a repeated put whose first answer was lost
    return True


ERASED = (
    *("number", "day", "state", "at", "outbox", "to", "sender", "tracking_id", "client_reference"),
    *("code", "detail", "parent", "deadline", "not_before", "failed_for", "failed_at"),
    *("confirmation", "content", "answer", "request", "reason"),
)


def erase(row: MessageRow) -> bool:
    """Leave a tombstone of a message: its id, status, times, caller and keyed fingerprint.

    It holds the Idempotency-Key until the row expires, so that a repeat sends nothing, and nothing
    changes it any more. Return False if the message is being sent, or moved since it was read.
    """
    actions = [getattr(MessageRow, name).remove() for name in ERASED]
    actions += [
        MessageRow.rank.set(RELEASED_RANK),
        MessageRow.fingerprint.set(keyed_fingerprint(row.fingerprint)),
        MessageRow.erased_at.set(timestamps.to_key(timestamps.now())),
    ]
    unchanged = (MessageRow.status == row.status) & (MessageRow.attempt == row.attempt)
    return messages.update(row.message_id, actions, unchanged) is not None


def dead_letter(message_id: str, attempt: str, **attributes: Any) -> bool:
    """Mark a message `rejected` after its last call failed without sending it.

    The row keeps its request, so that an operator can queue the message again. `attributes` say
    why it failed.
    """
    return messages.transition(
        message_id,
        "rejected",
        time=timestamps.now(),
        own=True,
        if_attempt=attempt,
        **attributes,
    )


def requeue_dead_letter(row: MessageRow, time: datetime) -> bool:
    """Queue a dead-lettered message again, with all its tries; return False if it has expired."""
    line = messages.step("queued", time)
    actions: list[Action] = [
        MessageRow.status.set("queued"),
        MessageRow.rank.set(RANKS["queued"]),
        MessageRow.tries.set(0),
        MessageRow.steps.set(MessageRow.steps.append([line])),
        list_by_deadline(row),
        MessageRow.not_before.remove(),
        MessageRow.outbox.remove(),
        MessageRow.code.remove(),
        MessageRow.detail.remove(),
    ]
    dead_lettered = (MessageRow.status == "rejected") & MessageRow.request.exists()
    if not messages.update(row.message_id, actions, dead_lettered & _not_late(time)):
        return False
    row.status, row.tries, row.not_before = "queued", 0, None
    row.steps.append(line)
    return True


def is_dead_lettered(row: MessageRow) -> bool:
    """Return whether the message is dead-lettered: other rejected messages keep no request."""
    return row.status == "rejected" and row.request is not None


def mark_confirmation(message_id: str) -> None:
    """Record that a queued message has claimed the confirmation of its recipient's opt-out."""
    messages.update(message_id, [MessageRow.confirmation.set(True)], MessageRow.pk.exists())


def take_over(message_id: str, attempt: str) -> bool:
    """Take a queued message over from the call that wrote it, which then cannot delete it."""
    actions: list[Action] = [MessageRow.attempt.set(attempt)]
    return messages.update(message_id, actions, MessageRow.status == "queued") is not None


def mark_dispatched(row: MessageRow) -> None:
    """Record that the queue has had the message, unless the row says so already."""
    if row.state is not None and not row.state.startswith(models.BY_DEADLINE):
        unchanged = (MessageRow.status == "queued") & (MessageRow.state == row.state)
        messages.update(row.message_id, [list_by_deadline(row)], unchanged)


def cancel(message_id: str, time: datetime, identity: Mapping[str, str | None]) -> bool:
    """Cancel a message that is still queued; return False if it left the queue or has expired.

    `identity` (`caller`, `session`, `address`) is stored as who cancelled it. A repeated write
    whose first answer was lost recognises its own line in the timeline.
    """
    is_queued = (MessageRow.status == "queued") & _not_late(time)
    known = {name: value for name, value in identity.items() if value}
    attributes = {"request": None, "cancelled_by": known}
    if messages.transition_if(
        message_id, "cancelled", time, is_queued, own=True, attributes=attributes
    ):
        return True
    row = messages.get(message_id)
    return row is not None and row.steps[-1] == messages.step("cancelled", time)


def undispatched(now: datetime) -> Iterator[MessageRow]:
    """Yield messages that were queued an hour ago or more and that dispatch has not seen."""
    for partition in models.undispatched_partitions():
        yield from in_state(partition, now - models.UNDISPATCHED_AFTER)


def in_state(partition: str, before: datetime) -> Iterator[MessageRow]:
    """Yield messages in a partition of the index by state, created `before` then, oldest first."""
    indexed = Row.by_state.query(partition, Row.at < models.index_sort_key("message", before))
    for batch in batched(((row.pk, row.sk) for row in indexed), batches.READ_KEYS, strict=False):
        rows = messages.get_many(batch)
        yield from (rows[key] for key in batch if key in rows)


def _not_late(time: datetime) -> Condition:
    in_time: Condition = MessageRow.deadline.does_not_exist()
    in_time |= MessageRow.deadline > timestamps.to_key(time)
    return in_time


def list_by_deadline(row: MessageRow) -> Action:
    if row.deadline is None:
        return MessageRow.state.remove()
    deadline = timestamps.from_text(row.deadline)
    return MessageRow.state.set(models.waiting_partition(row.pk, deadline))
