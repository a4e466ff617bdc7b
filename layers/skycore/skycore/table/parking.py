"""Parked messages: those due in more than 15 minutes, and those that wait for a pause to end.

The index by state lists a parked message under the minute in which it is due. `sweep` puts the
messages of due minutes into the send queue. It stores the oldest minute that it has not finished,
so a message is found however long `sweep` was down.
"""

from __future__ import annotations

from datetime import timedelta
from functools import cache
from itertools import batched
from typing import TYPE_CHECKING

from pynamodb.attributes import UnicodeAttribute
from pynamodb.exceptions import DoesNotExist, TransactWriteError, UpdateError
from pynamodb.transactions import TransactWrite

from skycore import timestamps
from skycore.table import batches, messages, models
from skycore.table.messages import MessageRow
from skycore.table.models import Row, StoredRow, condition_failed, connection, error_code
from skycore.table.queue_transitions import list_by_deadline

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from pynamodb.expressions.update import Action

# After which a message that waits for a pause is looked at again.
PAUSED_FOR = timedelta(minutes=30)
LAST = timedelta(seconds=60)  # for which a message that failed lets others go first
SETTLED_AFTER = timedelta(minutes=3)  # a due minute gets no more rows, and the index shows them all


def park(row: MessageRow, due: datetime, *, not_before: datetime | None = None) -> bool:
    """Park a queued message until `due`, or until it is too late to send it.

    It is not sent before `not_before`; without one, `due` is when to look at it again. Returns
    whether it is parked: False if the message is no longer queued.
    """
    now = timestamps.now()
    begin_progress()
    if row.deadline is not None:
        due = min(due, timestamps.from_text(row.deadline))
    state = models.parked_partition(row.pk, max(due, now))
    actions: list[Action] = [MessageRow.state.set(state)]
    if not_before is not None:
        row.not_before = timestamps.to_key(not_before)
        actions.append(MessageRow.not_before.set(row.not_before))
    if messages.update(row.message_id, actions, MessageRow.status == "queued") is None:
        return False
    row.state = state
    return True


def parked(partition: str) -> Iterator[list[MessageRow]]:
    """Yield the messages parked in a partition, up to a hundred at a time."""
    found = Row.by_state.query(partition)
    for part in batched(((row.pk, row.sk) for row in found), batches.READ_KEYS, strict=False):
        rows = messages.get_many(part).values()
        yield [row for row in rows if row.state == partition]


def mark_released(rows: Sequence[MessageRow]) -> None:
    """Record that the send queue has these parked messages, at most a hundred.

    Messages that have moved since they were read stay as they are.
    """
    try:
        with TransactWrite(connection=connection()) as transaction:
            for row in rows:
                transaction.update(
                    row, actions=[list_by_deadline(row)], condition=MessageRow.state == row.state
                )
    except TransactWriteError as error:
        if error_code(error) != "TransactionCanceledException":
            raise
        for row in rows:
            messages.update(row.message_id, [list_by_deadline(row)], MessageRow.state == row.state)


class ProgressRow(StoredRow, discriminator="progress"):
    """What `sweep` has not finished: the oldest minute and hour that may still list rows."""

    parked = UnicodeAttribute(null=True)
    overdue = UnicodeAttribute(null=True)


KEY = "sweep"  # both keys of the item


def oldest(name: str) -> datetime | None:
    """Return the oldest minute (`parked`) or hour (`overdue`) that is not finished.

    None if nothing is stored yet. Raises PynamoDB's errors.
    """
    try:
        text = getattr(ProgressRow.get(KEY, KEY, consistent_read=True), name)
    except DoesNotExist:
        return None
    return timestamps.from_text(text) if text else None


@cache
def begin_progress() -> None:
    """Store that minutes from now on are not finished, unless `sweep` stored how far it is.

    Without it, `sweep` would begin at its own first run. Each process calls this once, before it
    parks or schedules a message. Raises PynamoDB's errors.
    """
    begin = ProgressRow.parked.set(timestamps.to_key(timestamps.now() - SETTLED_AFTER))
    unset = ProgressRow.parked.does_not_exist()
    try:
        ProgressRow(KEY, KEY).update([begin, ProgressRow.kind.set(ProgressRow)], unset)
    except UpdateError as error:
        if not condition_failed(error):
            raise


def save_oldest(name: str, moment: datetime) -> None:
    """Store what `oldest` returns from now on. Raises PynamoDB's errors."""
    oldest_set = getattr(ProgressRow, name).set(timestamps.to_key(moment))
    ProgressRow(KEY, KEY).update([oldest_set, ProgressRow.kind.set(ProgressRow)])
