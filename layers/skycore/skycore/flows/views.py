"""Messages as the API shows them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from skycore import times
from skycore.catalogue.carriers import carrier_name
from skycore.messages.status import RANKS

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from skycore.postbacks import Event
    from skycore.storage.messages import MessageRow

# A row that says sending for longer than the function's timeout (28 s) is of a call that died.
IN_FLIGHT = timedelta(seconds=30)


def status_of(row: MessageRow, now: datetime) -> str:
    """The row's status: at once unknown where a send died in flight, expired where it is late."""
    if row.status == "sending" and now - _last_step(row) > IN_FLIGHT:
        return "unknown"
    if row.status == "queued" and row.deadline and times.from_text(row.deadline) <= now:
        return "expired"
    return row.status


def was_queued(row: MessageRow) -> bool:
    """Whether the message was answered before it was sent."""
    return bool(row.steps[0].endswith(" queued"))


def message(row: MessageRow, now: datetime) -> dict[str, Any]:
    """What a message is, without its timeline."""
    view = {
        "message_id": row.message_id,
        "status": status_of(row, now),
        "action": row.action,
        "tracking_id": row.tracking_id,
        "to": row.to,
        "from": row.sender,
        "client_reference": row.client_reference,
        "created_at": _moment(row.created_at),
    }
    if row.code:
        view["skycore_code"] = row.code
    if row.detail:
        view["detail"] = row.detail
    if row.parent:
        view["parent"] = row.parent
    return view


def timeline(row: MessageRow, told: Iterable[Event]) -> list[dict[str, Any]]:
    """Every step in order: our own, and what the postbacks for this recipient said."""
    own = [line.split(" ", 1) for line in row.steps]
    steps = [
        (moment, RANKS[step], {"time": _moment(moment), "event": f"message_{step}", "status": step})
        for moment, step in own
    ]
    # Skycore's times may be whole seconds: no receipt is shown before its message was accepted.
    accepted = max((moment for moment, step in own if step == "accepted"), default="")
    for event in told:
        # A campaign's recipients may share one tracking id.
        if not row.to or event.counterpart in {None, row.to}:
            moment = max(times.to_key(times.from_text(event.time)), accepted)
            rank = RANKS.get(event.status_step or "", RANKS["accepted"])
            steps.append((moment, rank, _told(event)))
    return [step for _, _, step in sorted(steps, key=lambda step: step[:2])]


def _told(event: Event) -> dict[str, Any]:
    data = event.data
    spid = data.get("spid")
    return {
        "time": event.time,
        "event": event.event,
        "status": data.get("status"),
        "code": data.get("code"),
        "details": data.get("status_details"),
        "carrier": carrier_name(spid) if spid else None,
        "handset": data.get("handset"),
        "received_at": times.to_text(event.received_at),
        "event_id": event.id,
    }


def _last_step(row: MessageRow) -> datetime:
    return times.from_text(row.steps[-1].split(" ", 1)[0])


def _moment(key: str) -> str:
    return times.to_text(times.from_text(key))
