"""End messages that would stay `sending` or `queued` for ever; runs once a minute.

A send whose function ended during the call becomes unknown, and a queued message expires after
its deadline. A message that was queued an hour ago and that dispatch has not seen is queued
again, because the call that wrote its row may have ended before the queue had it.
"""

from __future__ import annotations

import time
from itertools import chain
from typing import TYPE_CHECKING

from skycore import timestamps
from skycore.aws import queues
from skycore.logs import log, log_exception
from skycore.sending.outcomes import mark_expired_or_unknown
from skycore.serializers import status_of
from skycore.table import messages, models, queue_transitions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from skycore.table.messages import MessageRow


def sweep(deadline: float, *, queue_url: str) -> dict[str, int]:
    """Mark overdue messages unknown or expired, queue lost ones again; return how many of each.

    Stops at `deadline` (monotonic seconds); the next run does the rest.
    """
    now = timestamps.now()
    in_flight = chain.from_iterable(
        messages.in_state(partition, now) for partition in models.state_partitions("sending")
    )
    swept = {
        "unknown": _each(in_flight, lambda row: _mark(row, "unknown"), deadline),
        "expired": _each(
            queue_transitions.overdue(now), lambda row: _mark(row, "expired"), deadline
        ),
        "queued_again": _each(
            queue_transitions.undispatched(now), lambda row: _requeue(row, queue_url), deadline
        ),
    }
    log.info("swept", extra=swept)
    return swept


def _each(rows: Iterable[MessageRow], work: Callable[[MessageRow], bool], deadline: float) -> int:
    """Do the work for each row until `deadline`; return how often it did something."""
    count = 0
    for row in rows:
        if time.monotonic() > deadline:
            break
        try:
            count += work(row)
        except Exception as error:  # noqa: BLE001 - one bad row must not hold up the others
            log_exception("row not swept", error, message_id=row.message_id)
    return count


def _mark(row: MessageRow, status: str) -> bool:
    return status_of(row, timestamps.now()) == status and mark_expired_or_unknown(row, status)


def _requeue(row: MessageRow, queue_url: str) -> bool:
    """Queue a message again; dispatch sends it once, however often the queue names it."""
    if status_of(row, timestamps.now()) == "expired":
        mark_expired_or_unknown(row, "expired")
        return False
    if row.status != "queued":
        return False
    queues.send(queue_url, queue_transitions.queue_body(row))
    queue_transitions.mark_dispatched(row)
    return True
