"""Events: one row per notification, under its tracking id, with the raw postback."""

from __future__ import annotations

import hashlib
import json
import zlib
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from pynamodb.attributes import BinaryAttribute, UnicodeAttribute
from pynamodb.exceptions import PutError

from skycore import times
from skycore.postbacks import Event
from skycore.storage import batches, keys
from skycore.storage.table import Row, expiry

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

REPEAT_WINDOW = timedelta(minutes=30)  # Skycore's five retries end within it
MOST_BLOB = 300_000  # bytes in one row of DynamoDB's 400 kB; above it the raw body has its own
UNPARSED = "unparsed"


class EventRow(Row):
    """One event. `blob` is zlib of a line of JSON (the event) and, mostly, the raw body."""

    blob = BinaryAttribute(legacy_encoding=False)
    raw_key = UnicodeAttribute(null=True)


class RawRow(Row):
    """A raw body that several events share, or that is too long to stand beside its event."""

    blob = BinaryAttribute(legacy_encoding=False)


class WindowRow(Row):
    """When a postback without time and id first came: its repeats are counted from then."""

    first_seen = UnicodeAttribute()


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event as it was stored, with the postback that told it."""

    event: Event
    raw: bytes


def known(events: Iterable[Event]) -> set[str]:
    """The ids of those events that are stored already."""
    by_key = {keys.event_key(event.id): event.id for event in events}
    return {by_key[key] for key in batches.read_all(by_key, ["kind"])}


def put_all(bodies: Sequence[tuple[bytes, Sequence[Event]]], days: int) -> set[str]:
    """Puts new events, each with its raw body, to be kept for `days`.

    Returns the ids of events that could not be put. A raw body goes before its events.
    """
    raw_rows: dict[str, Row] = {}
    event_rows: list[EventRow] = []
    for raw, events in bodies:
        for event in events:
            row = _row(event, raw, days, shared=len(events) > 1)
            event_rows.append(row)
            if row.raw_key and row.raw_key not in raw_rows:
                raw_rows[row.raw_key] = RawRow(
                    row.raw_key, "raw", kind="raw", blob=zlib.compress(raw), expires=row.expires
                )
    failed_raw = {pk for pk, _ in batches.put_all(list(raw_rows.values()))}
    ready = [row for row in event_rows if row.raw_key not in failed_raw]
    failed = batches.put_all(ready) | {
        (row.pk, row.sk) for row in event_rows if row.raw_key in failed_raw
    }
    return {sk.removeprefix("event#") for _, sk in failed}


def first_seen(event: Event, days: int) -> datetime:
    """When this content first came, within 30 minutes of this arrival; notes it if it is now.

    For events without a time or id: a conditional write decides, so that copies which arrive at
    the same time share one first arrival.
    """
    arrived = event.received_at
    key = f"window#{event.content_digest}"
    row = WindowRow(
        key,
        "window",
        kind="window",
        first_seen=times.to_key(arrived),
        expires=expiry(arrived, days),
    )
    oldest = times.to_key(arrived - REPEAT_WINDOW)
    try:
        row.save(WindowRow.pk.does_not_exist() | (WindowRow.first_seen < oldest))
    except PutError as error:
        if error.cause_response_code != "ConditionalCheckFailedException":
            raise
        kept = times.from_text(WindowRow.get(key, "window", consistent_read=True).first_seen)
        # A body that waited long, in a dead-letter queue say, is older than the window's start.
        return kept if kept - arrived <= REPEAT_WINDOW else arrived
    return arrived


def get(event_id: str) -> StoredEvent | None:
    """The event with this id and its raw body."""
    row = next(iter(batches.read_all([keys.event_key(event_id)]).values()), None)
    return None if row is None else _stored(row)


def of_tracking_id(tracking_id: str) -> list[Event]:
    """All events with this tracking id, in no order, without their raw bodies."""
    rows = EventRow.query(keys.tracking_partition(tracking_id), EventRow.sk.startswith("event#"))
    return [_unpack(row.blob)[0] for row in rows]


def get_many(row_keys: Iterable[batches.Key]) -> dict[batches.Key, StoredEvent]:
    """The events that exist among `row_keys`, with their raw bodies."""
    return {key: _stored(item) for key, item in batches.read_all(row_keys).items()}


def from_image(image: Mapping[str, Any]) -> StoredEvent:
    """The event in a stream record's image (its binary values already bytes)."""
    return _stored(image)


def _row(event: Event, raw: bytes, days: int, *, shared: bool) -> EventRow:
    pk, sk = keys.event_key(event.id)
    line = json.dumps(_plain(event), ensure_ascii=False, separators=(",", ":")).encode(
        "utf-8", "surrogatepass"
    )
    blob = zlib.compress(line if shared else line + b"\n" + raw)
    alone = not shared and len(blob) <= MOST_BLOB
    return EventRow(
        pk,
        sk,
        kind="event",
        blob=blob if alone or shared else zlib.compress(line),
        raw_key=None if alone else f"raw#{hashlib.sha256(raw).hexdigest()}",
        number=keys.number_partition(event.counterpart, event.received_at)
        if event.counterpart
        else None,
        day=keys.day_partition(sk, event.received_at),
        state=keys.state_partition(UNPARSED) if event.unparsed else None,
        at=keys.at("event", event.received_at),
        expires=expiry(event.received_at, days),
    )


def _plain(event: Event) -> dict[str, Any]:
    return {**asdict(event), "received_at": times.to_key(event.received_at)}


def _unpack(blob: bytes) -> tuple[Event, bytes]:
    line, _, raw = zlib.decompress(blob).partition(b"\n")
    plain = json.loads(line.decode("utf-8", "surrogatepass"))
    plain["received_at"] = times.from_text(plain["received_at"])
    return Event(**plain), raw


def _blob(item: Mapping[str, Any]) -> bytes:
    blob: bytes = item["blob"]["B"]
    return blob


def _stored(item: Mapping[str, Any]) -> StoredEvent:
    event, raw = _unpack(_blob(item))
    raw_key = item.get("raw_key", {}).get("S")
    if raw_key:
        kept = batches.read_all([(raw_key, "raw")])
        raw = zlib.decompress(_blob(kept[raw_key, "raw"])) if kept else b""
    return StoredEvent(event, raw)
