"""What entered the table is told: message statuses move, subscribers hear."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from skycore import times
from skycore.aws import topic
from skycore.logs import log, log_exception
from skycore.messages.status import OWN_STEPS
from skycore.postbacks import cloudevent, event_json, message_attributes, step_event
from skycore.storage import events, messages

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from skycore.messages.status import OwnStep
    from skycore.postbacks import Event
    from skycore.storage.events import StoredEvent
    from skycore.storage.messages import MessageRow, PointerRow

type Record = Mapping[str, Any]  # of a DynamoDB stream event


@dataclass(frozen=True, slots=True)
class _Told:
    """An envelope to publish, and the stream record that it comes from."""

    sequence: str
    envelope: dict[str, Any]


def publish(records: Sequence[Record], *, source: str, topic_arn: str) -> list[str]:
    """Publishes what the records tell; returns the sequence numbers of those that must come again.

    Safe to repeat: a status moves by rank in a conditional write, and an event's id stays.
    """
    failed: list[str] = []
    told: list[_Told] = []
    stored = _stored_events(records)
    owners = messages.pointers(
        {one.event.tracking_id for one in stored.values() if one.event.tracking_id}
    )
    for record in records:
        sequence = record["dynamodb"]["SequenceNumber"]
        try:
            if sequence in stored:
                told.append(_Told(sequence, _settle(stored[sequence], owners, source)))
            elif _is_news(record):
                told += [_Told(sequence, envelope) for envelope in _own_step(record, source)]
        except Exception as error:  # noqa: BLE001 - one bad record must not hold up the others
            log_exception("record not read", error)
            failed.append(sequence)
    return failed + _publish(told, topic_arn)


def _publish(told: Sequence[_Told], topic_arn: str) -> list[str]:
    pairs = [
        (
            event_json(one.envelope),
            message_attributes(one.envelope),
        )
        for one in told
    ]
    try:
        left = topic.publish_many(topic_arn, pairs) if pairs else set()
    except Exception as error:  # noqa: BLE001 - all of them come again
        log_exception("events not published", error, count=len(told))
        return [one.sequence for one in told]
    log.info("events published", extra={"events": len(told) - len(left), "refused": len(left)})
    return [told[index].sequence for index in sorted(left)]


def _stored_events(records: Iterable[Record]) -> dict[str, StoredEvent]:
    found: dict[str, StoredEvent] = {}
    for record in records:
        image = record["dynamodb"].get("NewImage", {})
        if record["eventName"] == "INSERT" and image.get("kind", {}).get("S") == "event":
            found[record["dynamodb"]["SequenceNumber"]] = events.from_image(_bytes(image))
    return found


def _settle(stored: StoredEvent, owners: Mapping[str, PointerRow], source: str) -> dict[str, Any]:
    """Moves the status of the event's message, if it has one, and makes the envelope."""
    event = stored.event
    owner = owners.get(event.tracking_id or "")
    if owner is not None:
        _advance(owner.message_id, event)
    return cloudevent(
        event,
        source=source,
        message_id=owner.message_id if owner else None,
        client_reference=owner.client_reference if owner else None,
        raw=stored.raw if event.unparsed else None,
    )


def _advance(message_id: str, event: Event) -> None:
    step = event.status_step
    if step is not None:
        messages.move(message_id, step, moment=event.received_at, own=False)


def _is_news(record: Record) -> bool:
    new = record["dynamodb"].get("NewImage", {})
    old = record["dynamodb"].get("OldImage", {})
    return "news" in new and new["news"] != old.get("news")


def _own_step(record: Record, source: str) -> Iterable[dict[str, Any]]:
    """The event of a step that we took ourselves; receipts that came before it are applied."""
    image = _bytes(record["dynamodb"]["NewImage"])
    row = messages.from_image(image)
    if row.tracking_id:
        for event in events.of_tracking_id(row.tracking_id):
            _advance(row.message_id, event)
    yield own_event(row, cast("OwnStep", row.news), source)


def own_event(row: MessageRow, step: OwnStep, source: str) -> dict[str, Any]:
    """The CloudEvent of a message's own step, at the time of its line in the timeline."""
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


def _bytes(image: Mapping[str, Any]) -> dict[str, Any]:
    """A stream image with its binary values as bytes; Lambda brings them as base64."""
    return {
        name: {"B": base64.b64decode(field["B"])} if "B" in field else field
        for name, field in image.items()
    }
