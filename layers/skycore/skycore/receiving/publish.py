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
from skycore.serializers import event_envelope, owner_of, owners_of, step_envelope
from skycore.table import batches, events, models
from skycore.table.events import StoredEvent
from skycore.table.messages import MessageRow

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from skycore.catalogue.statuses import OwnStep
    from skycore.serializers import Owners

# Of the function's 28 seconds. The rest is for the last call of each, at its slowest, and for the
# retry queue, which takes what could not be published in time.
APPLY_BUDGET_SECONDS = 10.0  # moving statuses and noting opt-outs, one event after the other
PUBLISH_BUDGET_SECONDS = 5.0
RETRY_QUEUE_BUDGET_SECONDS = 6.0

type Record = Mapping[str, Any]  # of a DynamoDB stream event
type Key = dict[str, str]  # {"event_id"}, or {"message_id", "step"}


@dataclass(frozen=True, slots=True)
class _StreamChange:
    """A stream change: its key, the record it came from, and the row (None if unreadable)."""

    name: Key
    record_id: str
    row: StoredEvent | MessageRow | None


def publish(
    records: Sequence[Record], *, source: str, topic_arn: str, retry_queue_url: str
) -> list[str]:
    """Publish the events of stream records; queue those that could not be published for retry.

    Returns the sequence numbers of records that must be delivered again. Safe to repeat: a status
    moves by rank in a conditional write, and an event's id stays.
    """
    left = _publish(list(_in_stream(records)), source, topic_arn)
    if not left:
        return []
    log.error("events go to the retry queue", extra={"events": len(left)})
    try:
        names = [json.dumps(one.name) for one in left]
        refused = queues.send_many(retry_queue_url, names, seconds=RETRY_QUEUE_BUDGET_SECONDS)
    except Exception as error:  # noqa: BLE001 - the stream brings them again
        log_exception("retry queue out of reach", error)
        refused = set(range(len(left)))
    return sorted({left[index].record_id for index in refused})


def publish_retries(named: Sequence[tuple[str, str]], *, source: str, topic_arn: str) -> list[str]:
    """Publish the events that messages of the retry queue name, as (queue id, body) pairs.

    Returns the queue ids of those that must be delivered again. Rows that have left the table are
    skipped.
    """
    failed: list[str] = []
    wanted: list[tuple[str, Key, list[batches.Key]]] = []
    for queue_id, body in named:
        try:
            name = json.loads(body)
            wanted.append((queue_id, name, models.named_rows(name)))
        except Exception as error:  # noqa: BLE001 - one bad message must not fail the others
            log_exception("not read again", error)
            failed.append(queue_id)
    try:
        items = batches.read_all(key for _, _, row_keys in wanted for key in row_keys)
    except Exception as error:  # noqa: BLE001 - all of them come again
        log_exception("rows not read", error)
        return failed + [queue_id for queue_id, _, _ in wanted]
    news: list[_StreamChange] = []
    for queue_id, name, row_keys in wanted:
        item = next((items[key] for key in row_keys if key in items), None)
        if item is not None:
            news.append(_StreamChange(name, queue_id, _row(name, item)))
        else:
            log.error("nothing of this name is in the table", extra={"wanted": name})
    return failed + [one.record_id for one in _publish(news, source, topic_arn)]


def _publish(news: Sequence[_StreamChange], source: str, topic_arn: str) -> list[_StreamChange]:
    """Publish changes; return those that were not read, not reached in time, or refused by SNS."""
    deadline = time.monotonic() + APPLY_BUDGET_SECONDS
    stored = [one.row for one in news if isinstance(one.row, StoredEvent)]
    try:
        owners = owners_of(row.event for row in stored)
        raw = events.with_raw([row for row in stored if row.event.unparsed])
    except Exception as error:  # noqa: BLE001 - all of them come again
        log_exception("owners not read", error)
        return list(news)
    whole = {row.event.id: row for row in raw}
    ready: list[_StreamChange] = []
    left: list[_StreamChange] = []
    pairs: list[queues.Notification] = []
    for one in news:
        if time.monotonic() > deadline:
            left.append(one)
            continue
        try:
            envelope = _apply_and_build(one, whole, owners, source)
        except Exception as error:  # noqa: BLE001 - one bad row must not hold up the others
            log_exception("event not published", error)
            left.append(one)
        else:
            log.debug("event built", extra={"event": envelope["type"], "event_id": envelope["id"]})
            ready.append(one)
            pairs.append((event_json(envelope), message_attributes(envelope)))
    bind_message()
    refused = (
        queues.publish_many(topic_arn, pairs, seconds=PUBLISH_BUDGET_SECONDS) if pairs else set()
    )
    log.info("events published", extra={"events": len(pairs) - len(refused)})
    return left + [ready[index] for index in sorted(refused)]


def _apply_and_build(
    one: _StreamChange, whole: Mapping[str, StoredEvent], owners: Owners, source: str
) -> dict[str, Any]:
    """Apply a change to its message's status, and return the event to publish."""
    match one.row:
        case StoredEvent(event=event) as stored:
            owner = owner_of(event, owners)
            bind_message(
                message_id=owner.message_id if owner else None, tracking_id=event.tracking_id
            )
            if owner is not None:
                apply_receipt(owner, event)
            record_opt_outs(event)
            return event_envelope(whole.get(event.id, stored), owners, source)
        case MessageRow() as row:
            bind_message(message_id=row.message_id, tracking_id=row.tracking_id)
            apply_earlier_receipts(row)
            return step_envelope(row, cast("OwnStep", one.name["step"]), source)
    raise ValueError("a row that cannot be read")


def _in_stream(records: Sequence[Record]) -> Iterator[_StreamChange]:
    """Yield the changes to publish: new events, and new steps of messages."""
    for record in records:
        change = record["dynamodb"]
        image = change.get("NewImage", {})
        kind, step = (image.get(name, {}).get("S") for name in ("kind", "news"))
        if record["eventName"] == "INSERT" and kind == "event":
            name = {"event_id": models.event_id_of(change["Keys"]["sk"]["S"])}
        elif step and image["news"] != change.get("OldImage", {}).get("news"):
            name = {"message_id": models.message_id_of(change["Keys"]["pk"]["S"]), "step": step}
        else:
            continue
        yield _StreamChange(name, change["SequenceNumber"], _row(name, image, of_stream=True))


def _row(
    name: Mapping[str, str], item: Mapping[str, Any], *, of_stream: bool = False
) -> StoredEvent | MessageRow | None:
    """Return the row of a change; None if it cannot be read."""
    try:
        item = _bytes(item) if of_stream else item
        return (
            events.from_item(item) if "event_id" in name else MessageRow.from_raw_data(dict(item))
        )
    except Exception as error:  # noqa: BLE001 - one bad row must not hold up the others
        log_exception("row not read", error)
        return None


def _bytes(image: Mapping[str, Any]) -> dict[str, Any]:
    """A stream image with its binary values as bytes; Lambda brings them as base64."""
    return {
        name: {"B": base64.b64decode(field["B"])} if "B" in field else field
        for name, field in image.items()
    }
