"""Handle records of the table's stream: update message statuses and publish events.

Events that cannot be published are queued for retry by key, so that no record blocks the stream.
"""

from __future__ import annotations

import base64
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from skycore.aws import queues
from skycore.logs import bind_message, log, log_exception
from skycore.postbacks.cloudevent import event_json, message_attributes
from skycore.receiving.receipts import apply_earlier_receipts, apply_receipt, record_opt_outs
from skycore.serializers import event_envelope, step_envelope, tracking_row_of, tracking_rows_of
from skycore.table import batches, events, messages, models
from skycore.table.events import StoredEvent
from skycore.table.messages import MessageRow

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from skycore.catalogue.statuses import OwnStep
    from skycore.serializers import TrackingRows

# Of the function's 28 seconds. The rest is for the last call of each, at its slowest, and for the
# retry queue, which takes what could not be published in time.
APPLY_BUDGET_SECONDS = 10.0  # moving statuses and recording opt-outs, one event after the other
PUBLISH_BUDGET_SECONDS = 5.0
RETRY_QUEUE_BUDGET_SECONDS = 6.0
MEDIA_BUDGET_SECONDS = 2.0  # queueing inbound MMS for fetch, which are few

type Record = Mapping[str, Any]  # of a DynamoDB stream event
type EventReference = dict[str, str]  # {"event_id"}, or {"message_id", "step"}


@dataclass(frozen=True, slots=True)
class _Change:
    """A change to publish, from the table's stream or from the retry queue.

    `source_id`: the sequence number of the stream's record, or the id of the queue's message.
    `row` is None if it cannot be read.
    """

    reference: EventReference
    source_id: str
    row: StoredEvent | MessageRow | None


def publish(
    records: Sequence[Record],
    *,
    source: str,
    topic_arn: str,
    retry_queue_url: str,
    media_queue_url: str = "",
) -> list[str]:
    """Publish the events of stream records; queue those that could not be published for retry.

    Inbound MMS go to the media queue too, if there is one. Returns the sequence numbers of records
    that must be delivered again. Safe to repeat: a status moves by rank in a conditional write, and
    an event's id stays.
    """
    unpublished = _publish(list(_in_stream(records)), source, topic_arn, media_queue_url)
    if not unpublished:
        return []
    log.error("events go to the retry queue", extra={"events": len(unpublished)})
    try:
        references = [json.dumps(change.reference) for change in unpublished]
        refused = queues.send_many(retry_queue_url, references, seconds=RETRY_QUEUE_BUDGET_SECONDS)
    except Exception as error:  # noqa: BLE001 - the stream delivers them again
        log_exception("retry queue out of reach", error)
        refused = set(range(len(unpublished)))
    return sorted({unpublished[index].source_id for index in refused})


def publish_retries(
    references: Sequence[tuple[str, str]],
    *,
    source: str,
    topic_arn: str,
    media_queue_url: str = "",
) -> list[str]:
    """Publish the events that messages of the retry queue refer to, as (queue id, body) pairs.

    Returns the queue ids of those that must be delivered again. Rows that have left the table are
    skipped.
    """
    failed: list[str] = []
    wanted: list[tuple[str, EventReference, list[batches.Key]]] = []
    for queue_id, body in references:
        try:
            reference = json.loads(body)
            wanted.append((queue_id, reference, models.named_rows(reference)))
        except Exception as error:  # noqa: BLE001 - one bad message must not fail the others
            log_exception("retry message not readable", error)
            failed.append(queue_id)
    try:
        items = batches.read_all(key for _, _, row_keys in wanted for key in row_keys)
    except Exception as error:  # noqa: BLE001 - SQS delivers all of them again
        log_exception("rows not read", error)
        return failed + [queue_id for queue_id, _, _ in wanted]
    changes: list[_Change] = []
    for queue_id, reference, row_keys in wanted:
        item = next((items[key] for key in row_keys if key in items), None)
        if item is not None:
            changes.append(_Change(reference, queue_id, _row(reference, item)))
        else:
            log.error("row to publish is gone", extra={"wanted": reference})
    unpublished = _publish(changes, source, topic_arn, media_queue_url)
    return failed + [change.source_id for change in unpublished]


def _publish(
    changes: Sequence[_Change], source: str, topic_arn: str, media_queue_url: str
) -> list[_Change]:
    """Publish changes; return those that were not read, not reached in time, or refused."""
    deadline = time.monotonic() + APPLY_BUDGET_SECONDS
    stored = [change.row for change in changes if isinstance(change.row, StoredEvent)]
    try:
        tracking_rows = tracking_rows_of(row.event for row in stored)
        raw = events.with_raw([row for row in stored if row.event.unparsed])
    except Exception as error:  # noqa: BLE001 - all of them are delivered again
        log_exception("owners not read", error)
        return list(changes)
    events_with_raw = {row.event.id: row for row in raw}
    applied: list[_Change] = []
    unpublished: list[_Change] = []
    statuses: dict[str, str] = {}
    for change in changes:
        try:
            if time.monotonic() <= deadline:
                statuses |= _apply(change, tracking_rows)
                applied.append(change)
                continue
        except Exception as error:  # noqa: BLE001 - one bad row must not hold up the others
            log_exception("event not published", error)
        unpublished.append(change)
    bind_message()
    try:
        unknown = _message_ids(applied, tracking_rows) - statuses.keys()
        statuses |= messages.statuses(unknown) if unknown else {}
    except Exception as error:  # noqa: BLE001 - all of them are delivered again
        log_exception("statuses not read", error)
        return list(changes)
    ready: list[_Change] = []
    topic_messages: list[queues.TopicMessage] = []
    for change in applied:
        envelope = _built(change, events_with_raw, tracking_rows, statuses, source)
        if envelope is None:
            unpublished.append(change)
        else:
            ready.append(change)
            topic_messages.append((event_json(envelope), message_attributes(envelope)))
    refused: set[int] = set()
    if topic_messages:
        refused = queues.publish_many(topic_arn, topic_messages, seconds=PUBLISH_BUDGET_SECONDS)
    log.info("events published", extra={"events": len(topic_messages) - len(refused)})
    if media_queue_url:
        refused |= _queue_media(ready, media_queue_url)
    return unpublished + [ready[index] for index in sorted(refused)]


def _queue_media(changes: Sequence[_Change], media_queue_url: str) -> set[int]:
    """Queue the inbound MMS among the changes for fetch; return the indexes of those not queued."""
    wanted = {
        index: json.dumps({"event_id": change.row.event.id})
        for index, change in enumerate(changes)
        if isinstance(change.row, StoredEvent) and change.row.event.has_media
    }
    if not wanted:
        return set()
    try:
        refused = queues.send_many(
            media_queue_url, list(wanted.values()), seconds=MEDIA_BUDGET_SECONDS
        )
    except Exception as error:  # noqa: BLE001 - the events are published again
        log_exception("media queue out of reach", error)
        return set(wanted)
    places = list(wanted)
    return {places[index] for index in refused}


def _apply(change: _Change, tracking_rows: TrackingRows) -> dict[str, str]:
    """Apply a change to its message's status, and to opt-outs.

    Return the message's status by its id, if that is known without a read.
    """
    status = None
    match change.row:
        case StoredEvent(event=event):
            owner = tracking_row_of(event, tracking_rows)
            bind_message(
                message_id=owner.message_id if owner else None, tracking_id=event.tracking_id
            )
            if owner is not None:
                status = apply_receipt(owner, event)
            record_opt_outs(event)
            return {owner.message_id: status} if owner and status else {}
        case MessageRow() as row:
            bind_message(message_id=row.message_id, tracking_id=row.tracking_id)
            apply_earlier_receipts(row)
            return {}
        case None:
            raise ValueError("a row that cannot be read")


def _built(change: _Change, *context: Any) -> dict[str, Any] | None:
    """Return the event to publish; None if it cannot be built."""
    try:
        envelope = _build(change, *context)
    except Exception as error:  # noqa: BLE001 - one bad row must not hold up the others
        log_exception("event not published", error)
        return None
    log.debug("event built", extra={"event": envelope["type"], "event_id": envelope["id"]})
    return envelope


def _message_ids(changes: Sequence[_Change], tracking_rows: TrackingRows) -> set[str]:
    """Return the ids of the messages that the changes concern."""
    ids = {change.row.message_id for change in changes if isinstance(change.row, MessageRow)}
    return ids | {owner.message_id for owner in tracking_rows.values()}


def _build(
    change: _Change,
    events_with_raw: Mapping[str, StoredEvent],
    tracking_rows: TrackingRows,
    statuses: Mapping[str, str],
    source: str,
) -> dict[str, Any]:
    """Return the event to publish, with its message's status as all of the batch left it."""
    match change.row:
        case StoredEvent(event=event) as stored:
            whole = events_with_raw.get(event.id, stored)
            return event_envelope(whole, tracking_rows, statuses, source)
        case MessageRow() as row:
            return step_envelope(row, cast("OwnStep", change.reference["step"]), statuses, source)
    raise ValueError("a row that cannot be read")


def _in_stream(records: Sequence[Record]) -> Iterator[_Change]:
    """Yield the changes to publish: new events, and new steps of messages."""
    for record in records:
        data = record["dynamodb"]
        image = data.get("NewImage", {})
        kind, step = (image.get(name, {}).get("S") for name in ("kind", "news"))
        if record["eventName"] == "INSERT" and kind == "event":
            reference = {"event_id": models.event_id_of(data["Keys"]["sk"]["S"])}
        elif step and image["news"] != data.get("OldImage", {}).get("news"):
            message_id = models.message_id_of(data["Keys"]["pk"]["S"])
            reference = {"message_id": message_id, "step": step}
        else:
            continue
        row = _row(reference, image, of_stream=True)
        yield _Change(reference, data["SequenceNumber"], row)


def _row(
    reference: EventReference, item: Mapping[str, Any], *, of_stream: bool = False
) -> StoredEvent | MessageRow | None:
    """Return the row of a change; None if it cannot be read."""
    try:
        item = _bytes(item) if of_stream else item
        if "event_id" in reference:
            return events.from_item(item)
        return MessageRow.from_raw_data(dict(item))
    except Exception as error:  # noqa: BLE001 - one bad row must not hold up the others
        log_exception("row not read", error)
        return None


def _bytes(image: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stream image with its binary values as bytes; Lambda passes them as base64."""
    return {
        name: {"B": base64.b64decode(field["B"])} if "B" in field else field
        for name, field in image.items()
    }
