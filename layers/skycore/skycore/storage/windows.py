"""When content without a time and an id of its own first came: its repeats count from then."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from pynamodb.attributes import UnicodeAttribute
from pynamodb.exceptions import DoesNotExist, PutError

from skycore import times
from skycore.storage.table import Row, code_of, expiry

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from pynamodb.expressions.condition import Condition

    from skycore.postbacks import Event

REPEAT_WINDOW = timedelta(minutes=30)  # Skycore's five retries end within it
LONGEST_WAIT = timedelta(days=14)  # of a postback in its queues: SQS keeps it no longer
TRIES = 10  # of a conditional write; each lost one means that another copy was written


class WindowRow(Row):
    """The first arrivals of one content, all more than 30 minutes apart, oldest first."""

    first_seen = UnicodeAttribute()  # moments, a blank between them


def first_seen(event: Event, days: int) -> datetime:
    """The first arrival within 30 minutes of this one; notes this one if there is none.

    For events without a time or id. A conditional write decides, so that copies that arrive at
    the same time share one first arrival. Earlier windows stay noted for as long as a postback
    can wait in a queue, so that one that comes late finds its own. Raises PynamoDB's errors, and
    TimeoutError if other copies keep winning.
    """
    arrived = event.received_at
    key = f"window#{event.content_digest}"
    noted: list[datetime] = []
    condition: Condition = WindowRow.pk.does_not_exist()
    for _ in range(TRIES):
        firsts = sorted([*noted, arrived])
        kept = [moment for moment in firsts if firsts[-1] - moment <= LONGEST_WAIT]
        row = WindowRow(
            key,
            "window",
            kind="window",
            first_seen=" ".join(map(times.to_key, kept)),
            expires=expiry(firsts[-1], max(days, LONGEST_WAIT.days + 1)),
        )
        try:
            row.save(condition)
        except PutError as error:
            if code_of(error) != "ConditionalCheckFailedException":
                raise
        else:
            return arrived
        try:
            text = WindowRow.get(key, "window", consistent_read=True).first_seen
        except DoesNotExist:
            noted, condition = [], WindowRow.pk.does_not_exist()
            continue
        noted = [times.from_text(moment) for moment in text.split()]
        first = _first(noted, arrived)
        if first is not None:
            return first
        condition = WindowRow.first_seen == text
    raise TimeoutError("other copies of a postback kept being written")


def _first(noted: Iterable[datetime], arrived: datetime) -> datetime | None:
    """Where an arrival belongs: to the window that it falls into, or to one that it opens.

    It opens one that is noted already where it came before its repeats but is read after them.
    """
    near = [moment for moment in noted if abs(arrived - moment) <= REPEAT_WINDOW]
    return min(near, default=None)  # windows are over 30 minutes apart: the earlier one holds it
