"""Postbacks leave the queue: each distinct notification becomes one stored event."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from skycore import metrics
from skycore.logs import log, log_exception
from skycore.postbacks.event import differing_fields
from skycore.postbacks.parser import read_postback
from skycore.table import events, tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    from skycore.postbacks.event import Event

READ_BUDGET_SECONDS = (
    12.0  # for reading a batch, of the function's 28; hostile bodies take the longest
)

MAX_EVENTS = 5_000  # of a batch: some 250 calls to the table

SMALL_BYTES = 16 * 1024  # Skycore's postbacks are a few kB; a hundred such take milliseconds

type Postback = tuple[str, bytes, datetime]  # the queue's message id, the body, its arrival


@dataclass(slots=True)
class _Read:
    """A queue message and the events of its body."""

    queue_id: str
    raw: bytes
    received_at: datetime
    events: list[Event] = field(default_factory=list)


def store(
    postbacks: Iterable[Postback],
    *,
    days: int,
    used: Mapping[str, datetime] | None = None,
    requeue: Callable[[list[str]], list[str]] = list,
) -> list[str]:
    """Store the events of the postbacks; return the queue ids of those that SQS must give again.

    Whatever a body is, it is kept: as events, or as one unparsed event. The first copy of a
    notification stays; later ones are counted as duplicates. Small bodies go first, so that none
    waits for a large one. `days`: how long events are kept. `used`: the fingerprints of the
    tokens that the postbacks came by, and when each last did. `requeue` takes the queue ids of
    bodies that no time was left for, and returns those that could not be put back into the queue.
    """
    deadline = time.monotonic() + READ_BUDGET_SECONDS
    read, waiting = _read(postbacks, deadline)
    anchored, failed, unanchored = _anchor(read, days, deadline)
    waiting += unanchored
    try:
        failed |= _put_new(anchored, days)
    except Exception as error:  # noqa: BLE001 - the whole batch comes again
        log_exception("postbacks not stored", error, count=len(anchored))
        failed |= {one.queue_id for one in anchored}
    else:
        if time.monotonic() < deadline:  # a note is not worth a batch that comes again
            _note_tokens(used or {})
    if waiting:
        log.warning("postbacks left for another run", extra={"postbacks": len(waiting)})
        failed |= set(requeue(waiting))
    return sorted(failed)


def _read(postbacks: Iterable[Postback], deadline: float) -> tuple[list[_Read], list[str]]:
    """Read the bodies, small ones first; return what was read and the queue ids of the rest."""
    read: list[_Read] = []
    waiting: list[str] = []
    found = 0
    for queue_id, raw, received_at in sorted(
        postbacks, key=lambda postback: (len(postback[1]) > SMALL_BYTES, postback[2])
    ):
        if time.monotonic() > deadline or found > MAX_EVENTS:
            waiting.append(queue_id)
            continue
        found_here = read_postback(raw, received_at)
        found += len(found_here)
        read.append(_Read(queue_id, raw, received_at, found_here))
    return read, waiting


def _anchor(
    read: list[_Read], days: int, deadline: float
) -> tuple[list[_Read], set[str], list[str]]:
    """Give events without an identity of their own the id of their first arrival.

    Return the postbacks that are complete, by arrival, the queue ids of those that failed, and of
    those that no time was left for. Each such event costs calls of its own, so a body of many of
    them goes last.
    """
    complete: list[_Read] = []
    failed: set[str] = set()
    waiting: list[str] = []
    for one in sorted(
        read, key=lambda one: sum(not event.has_own_identity for event in one.events)
    ):
        undated = any(not event.has_own_identity for event in one.events)
        if undated and time.monotonic() > deadline:
            waiting.append(one.queue_id)
            continue
        try:
            one.events = [_anchored(event, days, deadline) for event in one.events]
            complete.append(one)
        except Exception as error:  # noqa: BLE001 - one bad postback must not fail the others
            log_exception("postback not read", error)
            failed.add(one.queue_id)
    return sorted(complete, key=lambda one: one.received_at), failed, waiting


def _note_tokens(used: Mapping[str, datetime]) -> None:
    for fingerprint, moment in used.items():
        try:
            tokens.mark_used(fingerprint, moment)
        except Exception as error:  # noqa: BLE001 - what was stored is stored
            log_exception("use of a token not noted", error)


def _anchored(event: Event, days: int, deadline: float) -> Event:
    if event.has_own_identity:
        return event
    if time.monotonic() > deadline:
        raise TimeoutError("no time left to look for an event's first arrival")
    return event.with_first_seen(events.first_seen(event, days))


def _put_new(read: list[_Read], days: int) -> set[str]:
    distinct = {event.id: event for one in read for event in one.events}
    shared = events.shared_tracking_ids(distinct.values())
    first = events.first_copies(distinct.values(), shared)
    fresh: list[tuple[bytes, list[Event]]] = []
    for one in read:
        new = []
        for event in one.events:
            if event.id in first:
                _compare_copies(first[event.id], event)
            else:
                new.append(event)
                first[event.id] = event
        if new:
            fresh.append((one.raw, new))
    not_put = events.put_all(fresh, days, shared)
    stored = sum(len(new) for _, new in fresh) - len(not_put)
    found = sum(len(one.events) for one in read)
    log.info(
        "postbacks stored",
        extra={"postbacks": len(read), "events": stored, "duplicates": found - stored},
    )
    _measure([event for _, new in fresh for event in new if event.id not in not_put])
    metrics.count("Duplicates", found - sum(len(new) for _, new in fresh))
    return {one.queue_id for one in read if any(event.id in not_put for event in one.events)}


def _compare_copies(first: Event, copy: Event) -> None:
    """Count a repeat that differs in a field that is not compared: only its first copy is kept."""
    names = differing_fields(first, copy)
    if names:
        metrics.count("DuplicatesThatDiffer")
        log.warning("a repeat differs", extra={"event_id": first.id, "fields": names})


def _measure(stored: Sequence[Event]) -> None:
    for event, number in Counter(one.event for one in stored).items():
        metrics.count("Postbacks", number, by=event)
        metrics.count("Unparsed", number if event == "unparsed" else 0)
        metrics.count("UnknownCodes", number if event == "unknown" else 0)
    metrics.count("UnknownStatusWords", sum(one.has_unknown_status for one in stored))
    if any(one.status_step is not None for one in stored):
        metrics.record("Silence", 0)
