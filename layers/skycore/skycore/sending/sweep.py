"""Once a minute: no message stays `sending` or `queued` for ever.

Sends that died in flight become unknown, queued messages that are late expired. A message that
was queued an hour ago and that dispatch has not seen goes into the send queue again: the call
that queued it may have died between row and queue.
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
from skycore.table import keys, messages, queue_transitions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from skycore.table.messages import MessageRow


def sweep(deadline: float, *, queue_url: str) -> dict[str, int]:
    """Says of rows what they read as already, and queues lost ones again; how many of each.

    Ends at `deadline` (monotonic seconds); what is left waits for the next minute.
    """
    now = timestamps.now()
    in_flight = chain.from_iterable(
        messages.in_state(partition, now) for partition in keys.state_partitions("sending")
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
    done = 0
    for row in rows:
        if time.monotonic() > deadline:
            break
        try:
            done += work(row)
        except Exception as error:  # noqa: BLE001 - one bad row must not hold up the others
            log_exception("row not swept", error, message_id=row.message_id)
    return done


def _mark(row: MessageRow, status: str) -> bool:
    return status_of(row, timestamps.now()) == status and mark_expired_or_unknown(row, status)


def _requeue(row: MessageRow, queue_url: str) -> bool:
    """Once for each message: dispatch sends it once, however often the queue names it."""
    if status_of(row, timestamps.now()) == "expired":
        mark_expired_or_unknown(row, "expired")
        return False
    if row.status != "queued":
        return False
    queues.send(queue_url, queue_transitions.queue_body(row))
    queue_transitions.mark_dispatched(row)
    return True
