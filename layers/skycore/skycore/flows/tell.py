"""From the table's rows to the envelopes that subscribers get."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from skycore import times
from skycore.messages.status import OWN_STEPS
from skycore.postbacks import cloudevent, step_event
from skycore.storage import messages

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from skycore.messages.status import OwnStep
    from skycore.postbacks import Event
    from skycore.storage.events import StoredEvent
    from skycore.storage.messages import MessageRow, PointerRow

type Owners = Mapping[str, PointerRow]


def owners_of(events: Iterable[Event]) -> Owners:
    """The messages that events belong to, by tracking id, where they are known."""
    return messages.pointers({event.tracking_id for event in events if event.tracking_id})


def owner_of(event: Event, owners: Owners) -> PointerRow | None:
    """The message that one event belongs to."""
    return owners.get(event.tracking_id or "")


def event_envelope(stored: StoredEvent, owners: Owners, source: str) -> dict[str, Any]:
    """The CloudEvent of a stored event; an unparsed one brings its raw body."""
    owner = owner_of(stored.event, owners)
    return cloudevent(
        stored.event,
        source=source,
        message_id=owner.message_id if owner else None,
        client_reference=owner.client_reference if owner else None,
        raw=stored.raw if stored.event.unparsed else None,
    )


def step_envelope(row: MessageRow, step: OwnStep, source: str) -> dict[str, Any]:
    """The CloudEvent of a message's own step, at the time of its line in the timeline.

    Raises LookupError for a step that the message did not take.
    """
    outcome, terminal = OWN_STEPS[step]
    moments = dict(reversed(line.split(" ", 1)) for line in row.steps)
    return step_event(
        step,
        source=source,
        message_id=row.message_id,
        tracking_id=row.tracking_id,
        to=row.to,
        sender=row.sender,
        client_reference=row.client_reference,
        code=row.code,
        time=times.from_text(moments[step]),
        outcome=outcome,
        terminal=terminal,
        status_details=row.detail,
    )
