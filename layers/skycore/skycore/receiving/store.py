"""Postbacks leave the queue: each distinct notification becomes one stored event."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from skycore import metrics
from skycore.logs import log, log_exception
from skycore.postbacks.parser import read_postback
from skycore.table import events, tokens

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from skycore.postbacks.event import Event

READ_BUDGET_SECONDS = (
    12.0  # for reading a batch, of the function's 28; hostile bodies take the longest
)

MAX_EVENTS = 5_000  # of a batch: some 250 calls to the table

type Postback = tuple[str, bytes, datetime]  # the queue's message id, the body, its arrival


@dataclass(slots=True)
class _Read:
    """A queue message and the events that its body tells."""

    queue_id: str
    raw: bytes
    events: list[Event] = field(default_factory=list)


def store(
    postbacks: Iterable[Postback], *, days: int, used: Mapping[str, datetime] | None = None
) -> list[str]:
    """Stores what the postbacks tell; returns the queue ids of those that must come again.

    Whatever a body is, it is kept: as events, or as one unparsed event. The first copy of a
    notification stays; later ones are counted as duplicates. What could not be read in time
    comes again, with fewer others. `used`: the fingerprints of the tokens that they came by, and
    when each last did; noted if that is easy, and never a reason to store anything again.
    """
    failed: set[str] = set()
    read: list[_Read] = []
    found = 0
    deadline = time.monotonic() + READ_BUDGET_SECONDS
    for queue_id, raw, received_at in sorted(postbacks, key=lambda postback: postback[2]):
        if time.monotonic() > deadline or found > MAX_EVENTS:
            failed.add(queue_id)
            continue
        told = read_postback(raw, received_at)
        found += len(told)
        read.append(_Read(queue_id, raw, told))
    # Each undated event costs calls of its own; a body of many must not take the others' time.
    for one in sorted(
        read, key=lambda one: sum(not event.has_own_identity for event in one.events)
    ):
        try:
            one.events = [_anchored(event, days, deadline) for event in one.events]
        except Exception as error:  # noqa: BLE001 - one bad postback must not fail the others
            log_exception("postback not read", error)
            failed.add(one.queue_id)
    read = [one for one in read if one.queue_id not in failed]
    try:
        failed |= _put_new(read, days)
    except Exception as error:  # noqa: BLE001 - the whole batch comes again
        log_exception("postbacks not stored", error, count=len(read))
        failed |= {one.queue_id for one in read}
    else:
        if time.monotonic() < deadline:  # an unsure note is not worth a batch that comes again
            _note_tokens(used or {})
    return sorted(failed)


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
    seen = events.existing_ids(distinct.values(), shared)
    fresh: list[tuple[bytes, list[Event]]] = []
    for one in read:
        new = [event for event in one.events if event.id not in seen]
        seen.update(event.id for event in new)
        if new:
            fresh.append((one.raw, new))
    not_put = events.put_all(fresh, days, shared)
    stored = sum(len(new) for _, new in fresh) - len(not_put)
    told = sum(len(one.events) for one in read)
    log.info(
        "postbacks stored",
        extra={"postbacks": len(read), "events": stored, "duplicates": told - stored},
    )
    _measure([event for _, new in fresh for event in new if event.id not in not_put])
    metrics.count("Duplicates", told - sum(len(new) for _, new in fresh))
    return {one.queue_id for one in read if any(event.id in not_put for event in one.events)}


def _measure(stored: Sequence[Event]) -> None:
    for event, number in Counter(one.event for one in stored).items():
        metrics.count("Postbacks", number, by=event)
        metrics.count("Unparsed", number if event == "unparsed" else 0)
        metrics.count("UnknownCodes", number if event == "unknown" else 0)
    if any(one.status_step is not None for one in stored):
        metrics.record("Silence", 0)
