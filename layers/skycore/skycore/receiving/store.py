"""Store queued postbacks: each distinct notification becomes one event."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from skycore import metrics
from skycore.logs import log, log_exception
from skycore.postbacks.event import differing_fields
from skycore.postbacks.parser import read_postback
from skycore.table import audit, events

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    from skycore.postbacks.event import Event

READ_BUDGET_SECONDS = 12.0  # of the function's 28; hostile bodies take the longest to read
MAX_EVENTS = 5_000  # of a batch: some 250 calls to the table
SMALL_BYTES = 16 * 1024  # Skycore's postbacks are a few kB; a hundred such take milliseconds

type Postback = tuple[str, bytes, datetime]  # the queue's message id, the body, its arrival


@dataclass(slots=True)
class _ParsedPostback:
    """A queue message and the events of its body."""

    queue_id: str
    raw: bytes
    received_at: datetime
    events: list[Event]


def store(
    postbacks: Iterable[Postback],
    *,
    days: int,
    token_last_used: Mapping[str, datetime] | None = None,
    requeue: Callable[[list[str]], list[str]] = list,
) -> list[str]:
    """Store the events of the postbacks; return the queue ids of those that SQS must deliver again.

    Whatever a body is, it is kept: as events, or as one unparsed event. The first copy of a
    notification stays; later ones are counted as duplicates. Small bodies go first, so that none
    waits for a large one. `days`: how long events are kept. `token_last_used`: the fingerprints
    of the tokens in the URLs that the postbacks were posted to, and when each last arrived.
    `requeue` takes the queue ids of bodies that there was no time for, and returns those that could
    not be sent to the queue again.
    """
    deadline = time.monotonic() + READ_BUDGET_SECONDS
    parsed, waiting = _parse(postbacks, deadline)
    ready, failed, deferred = _assign_arrival_ids(parsed, days, deadline)
    waiting += deferred
    try:
        failed |= _put_new(ready, days)
    except Exception as error:  # noqa: BLE001 - SQS delivers the whole batch again
        log_exception("postbacks not stored", error, count=len(ready))
        failed |= {postback.queue_id for postback in ready}
    else:
        # Without time left, skip this: a timeout here would make SQS deliver the batch again.
        if time.monotonic() < deadline:
            _record_token_use(token_last_used or {})
    if waiting:
        log.warning("postbacks left for another run", extra={"postbacks": len(waiting)})
        failed |= set(requeue(waiting))
    return sorted(failed)


def _parse(
    postbacks: Iterable[Postback], deadline: float
) -> tuple[list[_ParsedPostback], list[str]]:
    """Parse the bodies, small ones first; return those parsed and the queue ids of the rest."""
    parsed: list[_ParsedPostback] = []
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
        parsed.append(_ParsedPostback(queue_id, raw, received_at, found_here))
    return parsed, waiting


def _assign_arrival_ids(
    parsed: list[_ParsedPostback], days: int, deadline: float
) -> tuple[list[_ParsedPostback], set[str], list[str]]:
    """Give events without an identity of their own an id that depends on their first arrival.

    Return the postbacks that are ready to be stored, by arrival, the queue ids of those that
    failed, and the queue ids of those that there was no time for. Each such event needs calls of
    its own to the table, so a body of many of them goes last.
    """
    ready: list[_ParsedPostback] = []
    failed: set[str] = set()
    deferred: list[str] = []
    for postback in sorted(
        parsed,
        key=lambda postback: sum(not event.has_own_identity for event in postback.events),
    ):
        needs_arrival = any(not event.has_own_identity for event in postback.events)
        if needs_arrival and time.monotonic() > deadline:
            deferred.append(postback.queue_id)
            continue
        try:
            postback.events = [_with_arrival_id(event, days, deadline) for event in postback.events]
            ready.append(postback)
        except Exception as error:  # noqa: BLE001 - one bad postback must not fail the others
            log_exception("postback not read", error)
            failed.add(postback.queue_id)
    return sorted(ready, key=lambda postback: postback.received_at), failed, deferred


def _record_token_use(token_last_used: Mapping[str, datetime]) -> None:
    for fingerprint, moment in token_last_used.items():
        try:
            audit.mark_token_used(fingerprint, moment)
        except Exception as error:  # noqa: BLE001 - what was stored is stored
            log_exception("use of a token not recorded", error)


def _with_arrival_id(event: Event, days: int, deadline: float) -> Event:
    if event.has_own_identity:
        return event
    if time.monotonic() > deadline:
        raise TimeoutError("no time left to look for an event's first arrival")
    return event.with_first_seen(events.claim_first_arrival(event, days))


def _put_new(parsed: list[_ParsedPostback], days: int) -> set[str]:
    """Put the events that are not stored yet; return the queue ids of those that were not put.

    A postback is among them if any of its events was not put, also if another postback of the
    batch brought that event first. Raises PynamoDB's errors.
    """
    distinct = {event.id: event for postback in parsed for event in postback.events}
    shared = events.shared_tracking_ids(distinct.values())
    first = events.first_copies(distinct.values(), shared)
    bodies_to_store: list[tuple[bytes, list[Event]]] = []
    for postback in parsed:
        new = []
        for event in postback.events:
            if event.id in first:
                _compare_copies(first[event.id], event)
            else:
                new.append(event)
                first[event.id] = event
        if new:
            bodies_to_store.append((postback.raw, new))
    not_put = events.put_all(bodies_to_store, days, shared)
    stored = sum(len(new) for _, new in bodies_to_store) - len(not_put)
    found = sum(len(postback.events) for postback in parsed)
    log.info(
        "postbacks stored",
        extra={"postbacks": len(parsed), "events": stored, "duplicates": found - stored},
    )
    _measure([event for _, new in bodies_to_store for event in new if event.id not in not_put])
    metrics.count("Duplicates", found - sum(len(new) for _, new in bodies_to_store))
    return {
        postback.queue_id
        for postback in parsed
        if any(event.id in not_put for event in postback.events)
    }


def _compare_copies(first: Event, copy: Event) -> None:
    """Count a repeat that differs in a field that is not compared: only its first copy is kept."""
    names = differing_fields(first, copy)
    if names:
        metrics.count("DuplicatesThatDiffer")
        log.warning("repeated postback differs", extra={"event_id": first.id, "fields": names})


def _measure(stored: Sequence[Event]) -> None:
    for event, number in Counter(one.event for one in stored).items():
        metrics.count("Postbacks", number, by=event)
        metrics.count("Unparsed", number if event == "unparsed" else 0)
        metrics.count("UnknownCodes", number if event == "unknown" else 0)
    metrics.count("UnknownStatusWords", sum(one.has_unknown_status for one in stored))
    if any(one.status_step is not None for one in stored):
        metrics.record("Silence", 0)
