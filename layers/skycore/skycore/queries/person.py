"""One person's data: find everything that the stack keeps about a number, and erase it.

Rows are found by the number's forms in the index by number, month by month, and from there by key:
the events of a message's tracking id, raw bodies, pointers, an MMS's files. Bodies that could not
be read are found by walking their partition. Nothing scans the table.
"""

from __future__ import annotations

import base64
import html
import re
import zlib
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import batched, chain
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from skycore import keyed_hash, serializers, timestamps
from skycore.aws import bucket
from skycore.phone_numbers import is_same_number, stored_forms
from skycore.postbacks.parser import read_postback
from skycore.serializers import event_envelope, tracking_rows_of
from skycore.table import (
    batches,
    events,
    messages,
    models,
    opt_outs,
    queue_transitions,
)
from skycore.table.messages import MessageRow
from skycore.table.models import Row

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from skycore.postbacks.event import Event
    from skycore.table.batches import Key
    from skycore.table.events import StoredEvent

OLDEST = timedelta(days=3650 + 100)  # the longest EventRetentionDays, and a deadline's wait
WAITING = ("scheduled", "queued")
MIN_DIGITS = 7  # of a form that is searched for in bodies; shorter ones are in many


class StillSending(Exception):  # noqa: N818 - a state that passes
    """A message to the number is being sent right now; run the erasure again."""


@dataclass(slots=True)
class Person:
    """What the stack keeps about a number; rows by their keys.

    `parents` are messages to several recipients, of whom the number is one. `raw_bodies` have rows
    of their own, and may hold other people's data too. `files` are keys in the bucket. `other` are
    keys of pointers, first arrivals and counts.
    """

    number: str
    messages: dict[Key, MessageRow] = field(default_factory=dict)
    parents: dict[Key, MessageRow] = field(default_factory=dict)
    events: dict[Key, StoredEvent] = field(default_factory=dict)
    raw_bodies: dict[Key, bytes] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)
    opt_outs: list[opt_outs.OptOut] = field(default_factory=list)
    other: set[Key] = field(default_factory=set)

    def counts(self) -> dict[str, int]:
        """Return how many rows of each kind, and files, there are."""
        names = ("messages", "events", "raw_bodies", "files", "opt_outs", "other")
        return {name: len(getattr(self, name)) for name in names}


def find_person(number: str, media_bucket: str | None) -> Person:
    """Return what the table and the bucket keep about a number in digits.

    `media_bucket` is None for a stack of a release without one. Raises PynamoDB's and botocore's
    errors.
    """
    person = Person(number, opt_outs=list(opt_outs.list_opt_outs(number)))
    for key, item in batches.read_all(_indexed(number)).items():
        if item["kind"]["S"] == "message":
            person.messages[key] = MessageRow.from_raw_data(item)
        elif item["kind"]["S"] == "event":
            person.events[key] = events.from_item(item)
    for row in person.messages.values():
        _add_rows_of_message(person, row)
    for key, stored in _unparsed_events():
        if mentions(stored.raw, number):
            person.events[key] = stored
    _add_rows_of_events(person)
    if media_bucket is not None:
        person.files = [
            key for event in _with_files(person) for key in bucket.files(media_bucket, event.id)
        ]
    if keyed_hash.is_available():
        person.other |= set(batches.partition(queue_transitions.ceiling_partition(number)))
    return person


def _indexed(number: str) -> Iterator[Key]:
    """Yield the keys of the rows that the index lists under any form of the number."""
    latest = timestamps.now() + timestamps.A_DAY
    for form in stored_forms(number):
        month = latest
        while month > latest - OLDEST:
            for row in Row.by_number.query(models.number_partition(form, month)):
                yield row.pk, row.sk
            month = month.replace(day=1) - timestamps.A_DAY


def _add_rows_of_message(person: Person, row: MessageRow) -> None:
    """Add the events, pointers and the parent that a message's row names."""
    if row.parent:
        key = (models.message_partition(row.parent), models.MESSAGE)
        person.parents |= messages.get_many([key])
    if row.client_reference:
        pointers = batches.partition(models.reference_partition(row.client_reference))
        person.other |= {key for key, item in pointers.items() if row.message_id in str(item)}
    if not row.tracking_id:
        return
    for partition in models.shared_tracking_partitions(row.tracking_id):
        for key, item in batches.partition(partition).items():
            kind = item["kind"]["S"]
            if kind == "pointer" and item["message_id"]["S"] == row.message_id:
                person.other.add(key)
            elif kind == "event":
                stored = events.from_item(item)
                to = stored.event.data.get("to")
                if is_same_number(person.number, to) if to else not row.parent:
                    person.events[key] = stored


def _unparsed_events() -> Iterator[tuple[Key, StoredEvent]]:
    """Yield the events whose bodies could not be read when they came, with their bodies."""
    lists = map(models.state_partitions, (events.UNPARSED, events.REPARSED))
    for partition in chain.from_iterable(lists):
        keys = ((row.pk, row.sk) for row in Row.by_state.query(partition))
        for batch in batched(keys, batches.READ_KEYS, strict=False):
            items = batches.read_all(batch)
            stored = events.with_raw([events.from_item(item) for item in items.values()])
            yield from zip(items, stored, strict=True)


def _add_rows_of_events(person: Person) -> None:
    """Add the unparsed events that were read later, raw bodies, and rows of first arrivals."""
    replaced = [stored.event.replaces for stored in person.events.values()]
    keys = [key for id_ in replaced if id_ for key in models.possible_event_keys(id_)]
    items = batches.read_all(keys) if keys else {}
    person.events |= {key: events.from_item(item) for key, item in items.items()}
    raw_keys = {(stored.raw_key, "raw") for stored in person.events.values() if stored.raw_key}
    bodies = batches.read_all(raw_keys) if raw_keys else {}
    person.raw_bodies = {key: zlib.decompress(body["blob"]["B"]) for key, body in bodies.items()}
    stored_events = events.with_raw(list(person.events.values()))
    person.events = dict(zip(person.events, stored_events, strict=True))
    for stored in stored_events:
        for event in read_postback(stored.raw, stored.event.received_at) if stored.raw else ():
            if not event.has_own_identity:
                person.other.add((f"window#{event.content_digest}", "window"))


def mentions(body: bytes, number: str) -> bool:
    """Return whether a form of the number is in a body, however its digits are written.

    They may be of any script, separated by up to five characters other than letters, and encoded:
    percent-encoded, as HTML references, as JSON escapes, in base64, in UTF-16.
    """
    forms = [form for form in stored_forms(number) if len(form) >= MIN_DIGITS and form.isdigit()]
    for text in _readings(body):
        for run in _DIGITS.findall(_BETWEEN_DIGITS.sub("", text)):
            digits = "".join(str(int(digit)) for digit in run)
            if any(form in digits for form in forms):
                return True
    return False


_BASE64 = re.compile(rb"[A-Za-z0-9+/_\-\s]{12,}")
_JSON_ESCAPE = re.compile(r"\\u([0-9A-Fa-f]{4})")
_BETWEEN_DIGITS = re.compile(r"(?<=\d)\W{1,5}(?=\d)")
_DIGITS = re.compile(rf"\d{{{MIN_DIGITS},}}")


def _readings(body: bytes) -> Iterator[str]:
    """Yield the texts that a body may be, each without one more layer of encoding."""
    once = unquote_to_bytes(body)
    for layer in dict.fromkeys((body, once, unquote_to_bytes(once))):
        decoded = [layer]
        for run in _BASE64.findall(layer):
            plain = b"".join(run.split()).translate(bytes.maketrans(b"-_", b"+/"))
            for start in range(4):  # words before it belong to the run, too
                padding = b"A" * (-len(plain[start:]) % 4)
                decoded.append(base64.b64decode(plain[start:] + padding))
        for content in decoded:
            text = content.replace(b"\0", b"").decode("utf-8", "replace")
            text = _JSON_ESCAPE.sub(lambda escape: chr(int(escape[1], 16)), text)
            yield html.unescape(html.unescape(text))


def _with_files(person: Person) -> list[Event]:
    """Return the inbound MMS with files."""
    return [stored.event for stored in person.events.values() if stored.event.has_media]


def show_person(person: Person, source: str) -> dict[str, Any]:
    """Return what the stack keeps about a person, as the read API and subscribers get it."""
    now = timestamps.now()
    stored_events = list(person.events.values())
    tracking_rows = tracking_rows_of(stored.event for stored in stored_events)
    statuses = messages.statuses(owner.message_id for owner in tracking_rows.values())
    return {
        "number": person.number,
        "messages": [
            {**serializers.message(row, now), "request": _request(row)}
            for row in person.messages.values()
        ],
        "events": [
            {
                **event_envelope(stored, tracking_rows, statuses, source),
                "raw": base64.b64encode(stored.raw).decode(),
            }
            for stored in stored_events
        ],
        "files": person.files,
        "opt_outs": [
            {
                "sender": one.sender,
                "stopped_at": one.stopped_at,
                "started_at": one.started_at,
                "reason": one.reason,
            }
            for one in person.opt_outs
        ],
        "counts": person.counts(),
    }


def _request(row: MessageRow) -> Any:
    """Return the text and fields of a message that waits; None for one that was sent."""
    return messages.unpack(row.request) if row.request is not None else None


def erase_person(
    person: Person, media_bucket: str | None, identity: Mapping[str, str | None]
) -> dict[str, int]:
    """Erase what `find_person` found; return how many rows of each kind, and files.

    Messages that wait are cancelled first. Raises StillSending before anything is erased if a
    message is being sent. What leads to other rows goes last, so that after any error the same
    call finds the rest. `identity` is recorded as who cancelled.
    """
    rows, now = list(person.messages.values()), timestamps.now()
    if any(serializers.status_of(row, now) == "sending" for row in rows):
        raise StillSending
    for row in rows:
        _stop(row, identity)
    batches.delete_all([*person.raw_bodies, *person.other])
    for parent in person.parents.values():
        _forget_recipients(parent)
    opt_outs.erase_number(person.number)
    _delete_files(person, media_bucket)  # and then the events, which lead to the files
    batches.delete_all(person.events)
    # What `fetch` stored in the meantime; without the MMS it stores no more.
    reports = [event.media_event_id for event in _with_files(person)]
    batches.delete_all(key for id_ in reports for key in models.possible_event_keys(id_))
    _delete_files(person, media_bucket)
    for row in rows:
        if not queue_transitions.erase(row):
            raise StillSending
    return person.counts()


def _delete_files(person: Person, media_bucket: str | None) -> None:
    if media_bucket is not None:
        for event in _with_files(person):
            bucket.delete_files(media_bucket, event.id)


def _stop(row: MessageRow, identity: Mapping[str, str | None]) -> None:
    """Cancel a message that waits, and read what became of it into `row`.

    Raises StillSending if it is being sent.
    """
    now = timestamps.now()
    if row.status not in WAITING:
        return
    if not queue_transitions.cancel(row.message_id, now, identity):
        messages.transition(
            row.message_id, "expired", time=now, own=True, if_status=row.status, request=None
        )
    current = messages.get(row.message_id)
    if current is not None:
        row.status, row.attempt = current.status, current.attempt
    if row.status in {*WAITING, "sending"}:
        raise StillSending


def _forget_recipients(parent: MessageRow) -> None:
    """Take the list of recipients out of a message's stored answer; they have rows of their own."""
    if parent.answer is None:
        return
    answer = messages.unpack(parent.answer)
    body = {name: value for name, value in answer["body"].items() if not isinstance(value, list)}
    packed = messages.pack({**answer, "body": body})
    messages.update(parent.message_id, [MessageRow.answer.set(packed)], MessageRow.pk.exists())
