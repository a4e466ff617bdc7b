"""Events: one row per notification, under its tracking id, with the raw postback."""

from __future__ import annotations

import hashlib
import json
import zlib
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from pynamodb.attributes import BinaryAttribute, UnicodeAttribute
from pynamodb.exceptions import DoesNotExist, PutError, UpdateError

from skycore import timestamps
from skycore.postbacks.event import REPEAT_WINDOW, Event, is_same_notification
from skycore.table import batches, models
from skycore.table.models import StoredRow, condition_failed, expiry

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from pynamodb.expressions.condition import Condition

    from skycore.table.messages import MessageRow

MAX_BLOB_BYTES = 300_000  # bytes in one row of DynamoDB's 400 kB; above it the raw body has its own
MAX_SUBJECT_LENGTH = 256  # characters; the rest is cut off
MAX_EVENTS_PER_TRACKING_ID = 1_000  # read for one tracking id; a campaign's may have any number
UNPARSED, REPARSED = "unparsed", "reparsed"
ANY_ID = ""  # has a SharedRow as long as any tracking id has one
TYPE_PREFIX = "skycore."


class EventRow(StoredRow, discriminator="event"):
    """One event. `blob` is zlib of a line of JSON (the event) and, mostly, the raw body.

    A raw body that several events share, or that is too long, has a row of its own, `raw_key`.
    """

    blob = BinaryAttribute(legacy_encoding=False)
    raw_key = UnicodeAttribute(null=True)


class RawRow(StoredRow, discriminator="raw"):
    """A raw body that has a row of its own: zlib of its bytes."""

    blob = BinaryAttribute(legacy_encoding=False)


class SharedRow(StoredRow, discriminator="shared"):
    """That several recipients share a tracking id; a campaign's has this row and no TrackingRow."""


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event as it was stored, with the raw body of its postback.

    `raw_key`: where the raw body is, if it is not with the event; `with_raw` reads it.
    """

    event: Event
    raw: bytes
    raw_key: str | None = None


def first_copies(wanted: Iterable[Event], shared: Collection[str]) -> dict[str, Event]:
    """Return the stored copies of those events that are stored already, by the wanted events' ids.

    `shared` as from `shared_tracking_ids`.

    The first release identified some notifications by other fields. Its event is the first copy
    only if the present rules agree, so that none is stored twice, and none is lost.
    """
    distinct = list(wanted)
    ids = {id_ for event in distinct for id_ in (event.id, event.legacy_id) if id_}
    by_key = {models.event_key(id_): id_ for id_ in ids}
    # Earlier releases also took the SCHEDULEDID of a receipt for a campaign's.
    scheduled = (event.tracking_id for event in distinct if event.data.get("scheduled_id"))
    campaigns = {*shared, *filter(None, scheduled)}
    by_key |= {_event_key(event, campaigns): event.id for event in distinct}
    found = batches.read_all(batches.read_all(by_key, ["kind"]))  # as a rule none exists
    stored = {by_key[key]: from_item(item).event for key, item in found.items()}
    first: dict[str, Event] = {}
    for event in distinct:
        legacy = stored.get(event.legacy_id or "")
        if event.id in stored:
            first[event.id] = stored[event.id]
        elif legacy is not None and is_same_notification(event, legacy):
            first[event.id] = legacy
    return first


def _event_key(event: Event, shared: Collection[str]) -> batches.Key:
    number = _number_of_receipt(event)
    if number is None or event.tracking_id not in shared:
        return models.event_key(event.id)
    return models.shared_event_key(event.id, number)


def _number_of_receipt(event: Event) -> str | None:
    """Return the number by which the event is kept if recipients share its tracking id."""
    return event.subscriber_number if event.tracking_id else None


def mark_shared(tracking_ids: Iterable[str], *, time: datetime, days: int) -> None:
    """Record that recipients share each of these tracking ids, which decides its events' keys.

    The row of ANY_ID comes first. Raises PynamoDB's errors.
    """
    since = dict.fromkeys(tracking_ids, time)
    for tracking_id, moment in ({ANY_ID: timestamps.now(), **since} if since else {}).items():
        expires = expiry(moment, days)
        SharedRow(models.tracking_partition(tracking_id), models.SHARED, expires=expires).save()


def shared_among(tracking_ids: Iterable[str]) -> set[str]:
    """Return those of the tracking ids that several recipients share."""
    wanted = {(models.tracking_partition(id_), models.SHARED): id_ for id_ in tracking_ids}
    return {wanted[key] for key in batches.read_all(wanted, ["kind"])}


def shared_tracking_ids(events: Iterable[Event]) -> set[str]:
    """Return the events' shared tracking ids. A body says nothing that its next copy must say."""
    ids = {str(event.tracking_id) for event in events if _number_of_receipt(event)}
    if len(ids) > 1 and not shared_among([ANY_ID]):
        return set()  # one read for all postbacks, where no recipients share a tracking id
    return shared_among(ids)


def put_all(
    bodies: Sequence[tuple[bytes, Sequence[Event]]], days: int, shared: Collection[str]
) -> set[str]:
    """Put new events, each with its raw body, to be kept for `days`.

    Returns the ids of events that could not be put. A raw body is put before its events. Events
    whose tracking id is `shared` are spread over partitions by their recipients' numbers.
    """
    raw_rows: dict[str, RawRow] = {}
    rows: list[EventRow] = []
    for raw, events in bodies:
        for event in events:
            row = row_of(event, raw, days, key=_event_key(event, shared), alone=len(events) == 1)
            rows.append(row)
            if row.raw_key and row.raw_key not in raw_rows:
                raw_rows[row.raw_key] = RawRow(
                    row.raw_key,
                    "raw",
                    blob=zlib.compress(raw),
                    expires=expiry(event.received_at, days),
                )
    failed_raw = {pk for pk, _ in batches.put_all(list(raw_rows.values()))}
    left_out = [row for row in rows if row.raw_key in failed_raw]
    failed = batches.put_all([row for row in rows if row.raw_key not in failed_raw])
    return {models.event_id_of(sk) for _, sk in failed} | {
        models.event_id_of(r.sk) for r in left_out
    }


def get(event_id: str) -> StoredEvent | None:
    """Return the event with this id and its raw body; None if there is none."""
    return next(iter(get_many([event_id]).values()), None)


def get_many(event_ids: Iterable[str]) -> dict[str, StoredEvent]:
    """Return the events that exist among `event_ids`, with their raw bodies."""
    possible = (models.possible_event_keys(id_) for id_ in event_ids if models.is_event_id(id_))
    return get_by_keys(key for id_keys in possible for key in id_keys)


def get_by_keys(row_keys: Iterable[batches.Key]) -> dict[str, StoredEvent]:
    """Return the events that exist among `row_keys`, in order, by id, with their raw bodies."""
    wanted = list(row_keys)
    items = batches.read_all(wanted)
    found = with_raw([from_item(items[key]) for key in wanted if key in items])
    return {stored.event.id: stored for stored in found}


def by_tracking_id(
    tracking_id: str, *, limit: int | None = MAX_EVENTS_PER_TRACKING_ID
) -> list[Event]:
    """Return events with this tracking id, consistently read, in no order; `limit` None: all."""
    return _with_tracking_id(tracking_id, models.shared_tracking_partitions(tracking_id), limit)


def of_message(row: MessageRow) -> list[Event]:
    """Return the events with the message's tracking id, at most 1,000, as `by_tracking_id`."""
    if row.tracking_id is None:
        return []
    if row.to and not row.parent:  # it shares its tracking id with no other recipient
        own = [models.tracking_partition(row.tracking_id)]
        return _with_tracking_id(row.tracking_id, own, MAX_EVENTS_PER_TRACKING_ID)
    return by_tracking_id(row.tracking_id)


def _with_tracking_id(
    tracking_id: str, partitions: Iterable[str], limit: int | None
) -> list[Event]:
    of_this_id = EventRow.sk.startswith(models.event_prefix(tracking_id))
    rows = chain.from_iterable(
        EventRow.query(partition, of_this_id, consistent_read=True, limit=limit)
        for partition in partitions
    )
    return [_unpack(row.blob, row.sk)[0] for row in islice(rows, limit)]


def from_item(item: Mapping[str, Any]) -> StoredEvent:
    """Return the event in an item, or in a stream record's image whose binary values are bytes."""
    event, raw = _unpack(item["blob"]["B"], item["sk"]["S"])
    return StoredEvent(event, raw, item.get("raw_key", {}).get("S"))


def with_raw(found: Sequence[StoredEvent]) -> list[StoredEvent]:
    """Return the events, each with its raw body; read those in rows of their own together."""
    wanted = {(stored.raw_key, "raw") for stored in found if stored.raw_key}
    bodies = batches.read_all(wanted) if wanted else {}
    return [
        replace(stored, raw=zlib.decompress(bodies[stored.raw_key, "raw"]["blob"]["B"]))
        if stored.raw_key and (stored.raw_key, "raw") in bodies
        else stored
        for stored in found
    ]


def mark_reparsed(event_id: str) -> None:
    """Move an event from the list of unparsed ones to that of reparsed ones, read by erasures."""
    row = EventRow(*models.event_key(event_id))
    try:
        state = models.state_partition(REPARSED, row.sk)
        row.update([EventRow.state.set(state)], EventRow.pk.exists())
    except UpdateError as error:
        if not condition_failed(error):
            raise


def row_of(event: Event, raw: bytes, days: int, *, key: batches.Key, alone: bool) -> EventRow:
    """Return an event's row; `raw_key` names the row of its raw body if that has its own."""
    pk, sk = key
    line = _pack(event)
    whole = zlib.compress(line + b"\n" + raw) if alone else b""
    together = alone and len(whole) <= MAX_BLOB_BYTES
    number = event.subscriber_number
    return EventRow(
        pk,
        sk,
        blob=whole if together else zlib.compress(line),
        raw_key=None if together else f"raw#{hashlib.sha256(raw).hexdigest()}",
        number=models.number_partition(number, event.received_at) if number else None,
        day=models.day_partition(sk, event.received_at),
        state=models.state_partition(UNPARSED, sk) if event.unparsed else None,
        at=models.index_sort_key("event", event.received_at),
        expires=expiry(event.received_at, days),
    )


def _pack(event: Event) -> bytes:
    """Return a line of JSON with each value once: a long one twice would not fit into an item."""
    subject = event.subject and event.subject[:MAX_SUBJECT_LENGTH]
    kept: dict[str, Any] = {
        "data": event.data,
        "subject": None if subject == event.tracking_id else subject,
        "counterpart": event.subscriber_number,
        "replaces": event.replaces,
    }
    present = {name: value for name, value in kept.items() if value is not None}
    text = json.dumps(present, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "surrogatepass")


def _unpack(blob: bytes, sk: str) -> tuple[Event, bytes]:
    line, _, raw = zlib.decompress(blob).partition(b"\n")
    kept = json.loads(line.decode("utf-8", "surrogatepass"))
    data = kept["data"]
    tracking_id = data.get("tracking_id")
    received_at = timestamps.from_text(data["received_at"])
    event = Event(
        id=models.event_id_of(sk),
        type=TYPE_PREFIX + data["event"],
        subject=kept.get("subject", tracking_id and tracking_id[:MAX_SUBJECT_LENGTH]),
        time=timestamps.event_time(data.get("timestamp"), received_at),
        data=data,
        tracking_id=tracking_id,
        subscriber_number=kept.get("counterpart"),
        received_at=received_at,
        has_own_identity=True,  # or got an arrival id before it was stored: its id is final
        replaces=kept.get("replaces"),
    )
    return event, raw


MAX_QUEUE_AGE = timedelta(days=14)  # of a postback in its queues: SQS keeps it no longer
MAX_ATTEMPTS = 10  # of a conditional write; each lost one means that another copy was written


class WindowRow(StoredRow, discriminator="window"):
    """The first arrivals of one content, all more than 30 minutes apart, oldest first."""

    first_seen = UnicodeAttribute()  # moments, separated by spaces


def claim_first_arrival(event: Event, days: int) -> datetime:
    """Return the first arrival within 30 minutes of this one; record this one if there is none.

    For events without a time or id. A conditional write decides, so that copies that arrive at
    the same time share one first arrival. Earlier windows stay recorded for as long as a postback
    can wait in a queue, so that one that comes late finds its own. Raises PynamoDB's errors, and
    TimeoutError if other copies keep winning.
    """
    arrived = event.received_at
    key = f"window#{event.content_digest}"
    noted: list[datetime] = []
    condition: Condition = WindowRow.pk.does_not_exist()
    for _ in range(MAX_ATTEMPTS):
        firsts = sorted([*noted, arrived])
        kept = [moment for moment in firsts if firsts[-1] - moment <= MAX_QUEUE_AGE]
        row = WindowRow(
            key,
            "window",
            first_seen=" ".join(map(timestamps.to_key, kept)),
            expires=expiry(firsts[-1], max(days, MAX_QUEUE_AGE.days + 1)),
        )
        try:
            row.save(condition)
        except PutError as error:
            if not condition_failed(error):
                raise
        else:
            return arrived
        try:
            text = WindowRow.get(key, "window", consistent_read=True).first_seen
        except DoesNotExist:
            noted, condition = [], WindowRow.pk.does_not_exist()
            continue
        noted = [timestamps.from_text(moment) for moment in text.split()]
        first = _window_of(noted, arrived)
        if first is not None:
            return first
        condition = WindowRow.first_seen == text
    raise TimeoutError("other copies of a postback kept being written")


def _window_of(noted: Iterable[datetime], arrived: datetime) -> datetime | None:
    """Return the earliest recorded arrival within 30 minutes, or None.

    It may be later than `arrived`, of a copy that was read after its repeats.
    """
    near = [moment for moment in noted if abs(arrived - moment) <= REPEAT_WINDOW]
    return min(near, default=None)  # windows are over 30 minutes apart: the earlier one holds it
