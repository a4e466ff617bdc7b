"""Once a minute: sends that died in flight become unknown."""

from __future__ import annotations

from skycore import times
from skycore.flows.views import IN_FLIGHT
from skycore.logs import log
from skycore.storage import messages
from skycore.storage.messages import MessageRow

MOST = 500  # rows in one run; what is left waits for the next minute


def sweep() -> int:
    """Marks rows that have been in `sending` for too long; returns how many."""
    now = times.now()
    swept = 0
    for row in messages.in_state("sending", now - IN_FLIGHT, MOST):
        if now - times.from_text(row.steps[-1].split(" ", 1)[0]) <= IN_FLIGHT:
            continue
        swept += messages.move(
            row.message_id,
            "unknown",
            moment=now,
            own=True,
            only_if=MessageRow.attempt == row.attempt,
            detail="the call died on its way; Skycore may have taken the message",
        )
    log.info("swept", extra={"unknown": swept})
    return swept
