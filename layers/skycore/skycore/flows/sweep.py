"""Once a minute: sends that died in flight become unknown, queued ones that are late expired."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from skycore import times
from skycore.flows.views import status_of
from skycore.logs import log, log_exception
from skycore.storage import messages

if TYPE_CHECKING:
    from collections.abc import Iterable

    from skycore.storage.messages import MessageRow

WHY = {
    "unknown": "the call died on its way; Skycore may have taken the message",
    "expired": "expires_at passed before the message's turn came; it was not sent",
}


def sweep(deadline: float) -> dict[str, int]:
    """Says of rows what they read as already; how many of each.

    Ends at `deadline` (monotonic seconds); what is left waits for the next minute.
    """
    now = times.now()
    swept = {
        "unknown": _say("unknown", messages.in_state("sending", now), deadline),
        "expired": _say("expired", messages.in_state("queued", now), deadline),
    }
    log.info("swept", extra=swept)
    return swept


def _say(status: str, rows: Iterable[MessageRow], deadline: float) -> int:
    said = 0
    for row in rows:
        if time.monotonic() > deadline:
            break
        try:
            if status_of(row, times.now()) == status:
                said += expire_or_lose(row, status)
        except Exception as error:  # noqa: BLE001 - one bad row must not hold up the others
            log_exception("row not swept", error, message_id=row.message_id)
    return said


def expire_or_lose(row: MessageRow, status: str) -> bool:
    """Moves a row to expired or unknown, unless it moved since it was read."""
    return messages.move(
        row.message_id,
        status,
        moment=times.now(),
        own=True,
        if_attempt=row.attempt,
        if_status=row.status,
        request=None,
        detail=WHY[status],
    )
