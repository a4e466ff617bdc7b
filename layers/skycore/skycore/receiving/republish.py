"""Repairs by an operator: reparse kept postbacks after a fix, and publish events again."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from skycore import timestamps
from skycore.aws import queues
from skycore.catalogue.statuses import OWN_STEPS
from skycore.postbacks.parser import reparse
from skycore.table import batches, events, messages, models, pagination
from skycore.table.models import Row, expiry
from skycore.table.pagination import TimeRange

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from skycore.postbacks.event import Event
    from skycore.table.events import StoredEvent

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)  # before every row
STEP_PREFIX = "skycore.message_"
MAX_STEP_AGE = timedelta(days=15)  # from a message's row to its last step: 14 may be in a queue

type Name = Mapping[str, str]  # {"event_id"}, or {"message_id", "step"}, as publish reads it


@dataclass(frozen=True, slots=True)
class Reread:
    """An unparsed event, and what is read in it now.

    `types`: of the new events. `known`: events that are stored already, because a copy of the
    postback was read before. If there are neither, it is still unreadable.
    """

    event_id: str
    received_at: datetime
    error: str
    types: tuple[str, ...]
    known: int = 0


def reread_unparsed(*, days: int, write: bool) -> Iterator[Reread]:
    """Read every kept unparsed postback again, and store what is understood now.

    The new events have ids of their own and say which event they replace; the table's stream
    publishes them. The unparsed one leaves the list of unparsed ones. Safe to repeat, and after
    a crash in between. Without `write` nothing is stored. Raises RuntimeError where the table
    does not take an event.
    """
    span = TimeRange("event", EPOCH, timestamps.now(), None)
    pages = pagination.iter_pages(Row.by_state, pagination.unbounded(events.UNPARSED), span)
    for row_keys in pages:
        for stored in events.get_by_keys(row_keys).values():
            error = str(stored.event.data.get("error"))
            found = reparse(stored.raw, stored.event.received_at, error)
            new = _replace(stored, found, days, write=write) if found else []
            types = tuple(event.type for event in new)
            known = len(found) - len(new)
            yield Reread(stored.event.id, stored.event.received_at, error, types, known)


def republish(
    since: datetime, until: datetime, types: Collection[str], *, retry_queue_url: str
) -> Iterator[Counter[str]]:
    """Queue the stored events of a period to be published again, under the same ids.

    They go through publish's retry queue, so that the effects of publishing are repeated:
    statuses move, opt-outs are recorded, subscribers get the event. All of it is safe to repeat.
    Yields the number of queued events by type, page by page. Raises RuntimeError where the queue
    does not accept one.
    """
    for page in stored_names(since, until, types):
        keep_named_rows(name for _, name in page)
        refused = queues.send_many(retry_queue_url, [json.dumps(name) for _, name in page])
        if refused:
            raise RuntimeError("the retry queue refuses events; run it again, nothing is lost")
        yield Counter(type_ for type_, _ in page)


def stored_names(
    since: datetime, until: datetime, types: Collection[str]
) -> Iterator[list[tuple[str, Name]]]:
    """Yield type and name of the stored events that arrived in a period, page by page.

    The steps of messages are events like the others. `types`: of those types only; empty for all.
    """
    for row_keys in pagination.iter_pages(
        Row.by_day, pagination.by_day, TimeRange("event", since, until, None)
    ):
        found = [stored.event for stored in events.get_by_keys(row_keys).values()]
        yield [
            (event.type, {"event_id": event.id})
            for event in found
            if not types or event.type in types
        ]
    if types and not any(type_.startswith(STEP_PREFIX) for type_ in types):
        return
    span = TimeRange("message", since - MAX_STEP_AGE, until, None)
    for row_keys in pagination.iter_pages(Row.by_day, pagination.by_day, span):
        steps = {
            (row.message_id, step)
            for row in messages.get_many(row_keys).values()
            for moment, step in (line.split(" ", 1) for line in row.steps)
            if step in OWN_STEPS and since <= timestamps.from_text(moment) <= until
        }
        yield [
            (STEP_PREFIX + step, {"message_id": message_id, "step": step})
            for message_id, step in sorted(steps)
            if not types or STEP_PREFIX + step in types
        ]


def keep_named_rows(names: Iterable[Name]) -> None:
    """Extend the time to live of rows that a queue is about to name, so that it finds them.

    Anything that is not a name is ignored. Raises PynamoDB's errors.
    """
    row_keys: list[batches.Key] = []
    for name in names:
        with contextlib.suppress(Exception):
            row_keys += models.named_rows(name)
    until = expiry(timestamps.now(), 0)
    found = batches.read_all(row_keys, ["expires", "raw_key"])
    raw_keys = [(item["raw_key"]["S"], "raw") for item in found.values() if "raw_key" in item]
    found |= batches.read_all(raw_keys, ["expires"])
    for (pk, sk), item in found.items():
        if int(item.get("expires", {"N": until})["N"]) < until:
            Row(pk, sk).update([Row.expires.set(until)], Row.pk.exists())


def _replace(stored: StoredEvent, found: Sequence[Event], days: int, *, write: bool) -> list[Event]:
    """Return those of the events that are new; store them, and take the unparsed one off the list.

    Without `write`, an event without an identity of its own counts as new.
    """
    distinct: dict[str, Event] = {}
    for event in found:
        if write and not event.has_own_identity:
            event = event.with_first_seen(events.claim_first_arrival(event, days))  # noqa: PLW2901 - the same one
        distinct.setdefault(event.id, replace(event, replaces=stored.event.id))
    shared = events.shared_tracking_ids(distinct.values())
    stored_copies = events.first_copies(distinct.values(), shared)
    new = [event for event in distinct.values() if event.id not in stored_copies]
    if write:
        if events.put_all([(stored.raw, new)], days, shared):
            raise RuntimeError("the table refuses events; nothing is lost, run it again")
        events.mark_reparsed(stored.event.id)
    return new
