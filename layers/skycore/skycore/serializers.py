"""Write messages and events in the forms that callers and subscribers read."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from skycore import timestamps
from skycore.catalogue.fields import carrier_name
from skycore.catalogue.statuses import OWN_STEPS, RANKS
from skycore.phone_numbers import is_same_number
from skycore.postbacks.event import build_event, build_step_event
from skycore.table import messages

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from skycore.catalogue.statuses import OwnStep
    from skycore.postbacks.event import Event
    from skycore.table.events import StoredEvent
    from skycore.table.messages import MessageRow, TrackingRow

# A row that is `sending` for longer than the function's timeout (28 s): its call was interrupted.
IN_FLIGHT = timedelta(seconds=30)
MAX_VALUE_LENGTH = 512  # characters of a recipient's number, id or code


def status_of(row: MessageRow, now: datetime) -> str:
    """Return the row's status; unknown or expired even before sweep has marked it.

    A queued message is scheduled until its `send_at`.
    """
    if row.status == "sending" and now - _last_step(row) > IN_FLIGHT:
        return "unknown"
    if row.status == "queued" and row.deadline and timestamps.from_text(row.deadline) <= now:
        return "expired"
    if row.status == "queued" and row.send_at and timestamps.from_text(row.send_at) > now:
        return "scheduled"
    return row.status


def was_queued(row: MessageRow) -> bool:
    """Return whether the message was queued, and so answered before it was sent."""
    return bool(row.steps[0].endswith(" queued"))


def message(row: MessageRow, now: datetime) -> dict[str, Any]:
    """Return a message without its timeline."""
    view = {
        "message_id": row.message_id,
        "status": status_of(row, now),
        "action": row.action,
        "tracking_id": row.tracking_id,
        "to": row.to,
        "from": row.sender,
        "client_reference": row.client_reference,
        "created_at": _time_text(row.created_at),
    }
    if row.send_at:
        view["send_at"] = _time_text(row.send_at)
    if row.caller:
        view["caller"] = row.caller
    if row.cancelled_by and "caller" in row.cancelled_by:
        view["cancelled_by"] = row.cancelled_by["caller"]
    if row.code:
        view["skycore_code"] = row.code
    if row.detail:
        view["detail"] = row.detail
    if row.parent:
        view["parent"] = row.parent
    if row.resolved_by:
        view |= {"resolved_by": _role_of(row.resolved_by), "reason": row.reason}
    return view


def recipients(parent_id: str, named: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return what the caller reads about each recipient that Skycore returned."""
    described = []
    for number, recipient in enumerate(named, start=1):
        child = {
            "message_id": f"{parent_id}-{number}",
            "status": recipient["outcome"],
            "to": short_text(recipient.get("to")),
            "from": short_text(recipient.get("from")),
            "tracking_id": short_text(recipient.get("tracking_id")),
        }
        if code := short_text(recipient.get("error_code")):
            child["skycore_code"] = code
        described.append(child)
    return described


def short_text(value: Any) -> str | None:
    """Return a text that fits into a key; None for any other value."""
    return value if isinstance(value, str) and 0 < len(value) <= MAX_VALUE_LENGTH else None


def timeline(row: MessageRow, events: Iterable[Event]) -> list[dict[str, Any]]:
    """Return every step in order: our own, and those that postbacks for this recipient report."""
    own = _own_steps(row)
    steps = [
        (time, RANKS[step], {"time": _time_text(time), "event": f"message_{step}", "status": step})
        for time, step in own
    ]
    # Skycore's times may be whole seconds: no receipt is shown before its message was accepted.
    accepted = max((time for time, step in own if step == "accepted"), default="")
    for event in events:
        # The recipients of one call may share a tracking id.
        if not (row.to and row.parent) or is_same_number(row.to, event.data.get("to")):
            happened = event.credible_at or event.received_at
            time = max(timestamps.to_key(happened), accepted)
            rank = RANKS.get(event.status_step or "", RANKS["accepted"])
            steps.append((time, rank, _timeline_entry(event)))
    return [step for _, _, step in sorted(steps, key=lambda step: step[:2])]


def _own_steps(row: MessageRow) -> list[list[str]]:
    """Return time and status of our own steps, and when a scheduled message was due."""
    steps = [line.split(" ", 1) for line in row.steps]
    if row.send_at:
        steps[0][1] = "scheduled"
        if row.send_at <= min([timestamps.to_key(timestamps.now()), *(at for at, _ in steps[1:])]):
            steps.insert(1, [row.send_at, "queued"])
    return steps


def _timeline_entry(event: Event) -> dict[str, Any]:
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
        "received_at": timestamps.to_text(event.received_at),
        "event_id": event.id,
    }


def _last_step(row: MessageRow) -> datetime:
    return timestamps.from_text(row.steps[-1].split(" ", 1)[0])


def _role_of(arn: str) -> str:
    """Return an ARN without the name of its session: only operators see who it was."""
    account, _, rest = arn.partition(":assumed-role/")
    return f"{account}:assumed-role/{rest.split('/')[0]}" if rest else arn


def _time_text(key: str) -> str:
    return timestamps.to_text(timestamps.from_text(key))


type TrackingRows = Mapping[str, TrackingRow]


def tracking_rows_of(events: Iterable[Event]) -> TrackingRows:
    """Read the tracking rows of the events' messages, by tracking id, where there are any."""
    return messages.messages_by_tracking_id(
        {event.tracking_id for event in events if event.tracking_id}
    )


def tracking_row_of(event: Event, tracking_rows: TrackingRows) -> TrackingRow | None:
    """Return the tracking row of the message that the event belongs to, if any."""
    return tracking_rows.get(event.tracking_id or "")


def event_envelope(
    stored: StoredEvent, tracking_rows: TrackingRows, statuses: Mapping[str, str], source: str
) -> dict[str, Any]:
    """Return the CloudEvent of a stored event; an unparsed one has its raw body.

    `statuses` are those of messages, by message id.
    """
    owner = tracking_row_of(stored.event, tracking_rows)
    return build_event(
        stored.event,
        source=source,
        message_id=owner.message_id if owner else None,
        message_status=statuses.get(owner.message_id) if owner else None,
        client_reference=owner.client_reference if owner else None,
        raw=stored.raw if stored.event.unparsed else None,
    )


def step_envelope(
    row: MessageRow, step: OwnStep, statuses: Mapping[str, str], source: str
) -> dict[str, Any]:
    """Return the CloudEvent of one of our own steps, at its time in the message's timeline.

    `statuses` are those of messages, by message id, where the row's own is not the newest.
    Raises LookupError if the message did not take the step.
    """
    outcome, terminal = OWN_STEPS[step]
    times = dict(reversed(line.split(" ", 1)) for line in row.steps)
    return build_step_event(
        step,
        source=source,
        message_id=row.message_id,
        message_status=statuses.get(row.message_id, row.status),
        tracking_id=row.tracking_id,
        to=row.to,
        sender=row.sender,
        client_reference=row.client_reference,
        code=row.code,
        time=timestamps.from_text(times[step]),
        outcome=outcome,
        terminal=terminal,
        status_details=row.detail,
        resolved_by=_role_of(row.resolved_by) if row.resolved_by else None,
        reason=row.reason,
    )
