"""Events: one row per notification, under its tracking id, with the raw postback."""

from __future__ import annotations

import hashlib
import json
import zlib
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from pynamodb.attributes import BinaryAttribute, UnicodeAttribute
from pynamodb.exceptions import DoesNotExist, PutError, UpdateError

from skycore import timestamps
from skycore.postbacks.event import REPEAT_WINDOW, Event, is_same_notification
from skycore.table import batches, models
from skycore.table.models import StoredRow, condition_failed, expiry

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from pynamodb.expressions.condition import Condition

MAX_BLOB_BYTES = 300_000  # bytes in one row of DynamoDB's 400 kB; above it the raw body has its own
MAX_SUBJECT_LENGTH = 256  # characters; no more of it is told
MAX_EVENTS_PER_TRACKING_ID = (
    1_000  # events read for one tracking id; a campaign's may have any number
)
UNPARSED = "unparsed"
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


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event as it was stored, with the postback that told it.

    `raw_key`: where the raw body is, if it is not with the event; `with_raw` brings it.
    """

    event: Event
    raw: bytes
    raw_key: str | None = None


def existing_ids(events: Iterable[Event]) -> set[str]:
    """The ids of those events that are stored already."""
    by_key = {models.event_key(event.id): event.id for event in events}
    return {by_key[key] for key in batches.read_all(by_key, ["kind"])}


def first_copies(wanted: Iterable[Event]) -> dict[str, Event]:
    """Return the stored copies of those events that are stored already, by the wanted events' ids.

    The first release identified some notifications by other fields. Its event is the first copy
    only if the present rules agree, so that neither a repeat over an upgrade is a second event, nor
    is lost what those rules merged.
    """
    distinct = list(wanted)
    ids = {id_ for event in distinct for id_ in (event.id, event.earlier_id) if id_}
    by_key = {models.event_key(id_): id_ for id_ in ids}
    found = batches.read_all(batches.read_all(by_key, ["kind"]))  # as a rule nothing is there
    stored = {by_key[key]: from_item(item).event for key, item in found.items()}
    first: dict[str, Event] = {}
    for event in distinct:
        earlier = stored.get(event.earlier_id or "")
        if event.id in stored:
            first[event.id] = stored[event.id]
        elif earlier is not None and is_same_notification(event, earlier):
            first[event.id] = earlier
    return first


def put_all(bodies: Sequence[tuple[bytes, Sequence[Event]]], days: int) -> set[str]:
    """Put new events, each with its raw body, to be kept for `days`.

    Returns the ids of events that could not be put. A raw body is put before its events.
    """
    raw_rows: dict[str, RawRow] = {}
    rows: list[EventRow] = []
    for raw, events in bodies:
        for event in events:
            row = _row(event, raw, days, shared=len(events) > 1)
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
    """The event with this id and its raw body."""
    return next(iter(get_many([event_id]).values()), None)


def get_many(event_ids: Iterable[str]) -> dict[str, StoredEvent]:
    """The events that exist among `event_ids`, with their raw bodies."""
    return get_by_keys(models.event_key(id_) for id_ in event_ids if models.is_event_id(id_))


def get_by_keys(row_keys: Iterable[batches.Key]) -> dict[str, StoredEvent]:
    """The events that exist among `row_keys`, by their ids, with their raw bodies."""
    found = with_raw([from_item(item) for item in batches.read_all(row_keys).values()])
    return {stored.event.id: stored for stored in found}


def by_tracking_id(tracking_id: str) -> list[Event]:
    """The events with this tracking id, consistently read, at most 1,000, in no order."""
    rows = EventRow.query(
        models.tracking_partition(tracking_id),
        EventRow.sk.startswith("event#"),
        consistent_read=True,
        limit=MAX_EVENTS_PER_TRACKING_ID,
    )
    return [_unpack(row.blob, row.sk)[0] for row in rows]


def from_item(item: Mapping[str, Any]) -> StoredEvent:
    """The event in an item, or in a stream record's image (its binary values already bytes)."""
    event, raw = _unpack(item["blob"]["B"], item["sk"]["S"])
    return StoredEvent(event, raw, item.get("raw_key", {}).get("S"))


def with_raw(found: Sequence[StoredEvent]) -> list[StoredEvent]:
    """The same events, each with its raw body; bodies kept elsewhere are read together."""
    wanted = {(stored.raw_key, "raw") for stored in found if stored.raw_key}
    bodies = batches.read_all(wanted) if wanted else {}
    return [
        replace(stored, raw=zlib.decompress(bodies[stored.raw_key, "raw"]["blob"]["B"]))
        if stored.raw_key and (stored.raw_key, "raw") in bodies
        else stored
        for stored in found
    ]


def mark_reparsed(event_id: str) -> None:
    """Takes an event off the list of unparsed ones; the row itself stays as it is."""
    try:
        EventRow(*models.event_key(event_id)).update(
            [EventRow.state.remove()], EventRow.pk.exists()
        )
    except UpdateError as error:
        if not condition_failed(error):
            raise


def _row(event: Event, raw: bytes, days: int, *, shared: bool) -> EventRow:
    """Return an event's row; `raw_key` names the row of its raw body if that has its own."""
    pk, sk = models.event_key(event.id)
    line = _pack(event)
    blob = zlib.compress(line if shared else line + b"\n" + raw)
    alone = not shared and len(blob) <= MAX_BLOB_BYTES
    number = event.subscriber_number
    return EventRow(
        pk,
        sk,
        blob=blob if alone or shared else zlib.compress(line),
        raw_key=None if alone else f"raw#{hashlib.sha256(raw).hexdigest()}",
        number=models.number_partition(number, event.received_at) if number else None,
        day=models.day_partition(sk, event.received_at),
        state=models.state_partition(UNPARSED) if event.unparsed else None,
        at=models.index_sort_key("event", event.received_at),
        expires=expiry(event.received_at, days),
    )


def _pack(event: Event) -> bytes:
    """A line of JSON with each value once: a long one twice would not fit into an item."""
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
        has_own_identity=True,  # or anchored, before it was stored: its id stands
        replaces=kept.get("replaces"),
    )
    return event, raw


MAX_QUEUE_AGE = timedelta(days=14)  # of a postback in its queues: SQS keeps it no longer
MAX_ATTEMPTS = 10  # of a conditional write; each lost one means that another copy was written


class WindowRow(StoredRow, discriminator="window"):
    """The first arrivals of one content, all more than 30 minutes apart, oldest first."""

    first_seen = UnicodeAttribute()  # moments, a blank between them


def first_seen(event: Event, days: int) -> datetime:
    """The first arrival within 30 minutes of this one; notes this one if there is none.

    For events without a time or id. A conditional write decides, so that copies that arrive at
    the same time share one first arrival. Earlier windows stay noted for as long as a postback
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
        first = _first(noted, arrived)
        if first is not None:
            return first
        condition = WindowRow.first_seen == text
    raise TimeoutError("other copies of a postback kept being written")


def _first(noted: Iterable[datetime], arrived: datetime) -> datetime | None:
    """Where an arrival belongs: to the window that it falls into, or to one that it opens.

    It opens one that is noted already where it came before its repeats but is read after them.
    """
    near = [moment for moment in noted if abs(arrived - moment) <= REPEAT_WINDOW]
    return min(near, default=None)  # windows are over 30 minutes apart: the earlier one holds it
