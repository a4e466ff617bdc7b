"""Once a minute: no message stays `sending` or `queued` for ever.

Sends that died in flight become unknown, queued messages that are late expired. A message that
was queued an hour ago and that dispatch has not seen goes into the send queue again: the call
that queued it may have died between row and queue.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from skycore import metrics, times
from skycore.aws import queue
from skycore.flows.views import status_of
from skycore.logs import log, log_exception
from skycore.storage import keys, messages, queued

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from skycore.storage.messages import MessageRow

WHY = {
    "unknown": "the call died on its way; Skycore may have taken the message",
    "expired": "its time to be sent passed before its turn came; it was not sent",
}


def sweep(deadline: float, *, queue_url: str) -> dict[str, int]:
    """Says of rows what they read as already, and queues lost ones again; how many of each.

    Ends at `deadline` (monotonic seconds); what is left waits for the next minute.
    """
    now = times.now()
    in_flight = messages.listed(keys.state_partition("sending"), now)
    swept = {
        "unknown": _each(in_flight, lambda row: _say(row, "unknown"), deadline),
        "expired": _each(queued.late(now), lambda row: _say(row, "expired"), deadline),
        "queued_again": _each(queued.unseen(now), lambda row: _again(row, queue_url), deadline),
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


def _say(row: MessageRow, status: str) -> bool:
    return status_of(row, times.now()) == status and expire_or_lose(row, status)


def _again(row: MessageRow, queue_url: str) -> bool:
    """Once for each message: dispatch sends it once, however often the queue names it."""
    if status_of(row, times.now()) == "expired":
        expire_or_lose(row, "expired")
        return False
    if row.status != "queued":
        return False
    queue.send(queue_url, queued.queue_body(row))
    queued.mark_seen(row)
    return True


def expire_or_lose(row: MessageRow, status: str) -> bool:
    """Moves a row to expired or unknown, unless it moved since it was read."""
    moved = messages.move(
        row.message_id,
        status,
        moment=times.now(),
        own=True,
        if_attempt=row.attempt,
        if_status=row.status,
        request=None,
        detail=WHY[status],
    )
    metrics.count(status.capitalize(), moved)  # Unknown, or Expired
    return moved
