"""Repairs by an operator: reparse kept postbacks after a fix, and publish events again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from skycore import timestamps
from skycore.aws import queues
from skycore.catalogue.statuses import OWN_STEPS
from skycore.postbacks.cloudevent import event_json, message_attributes
from skycore.postbacks.parser import reparse
from skycore.serializers import event_envelope, owners_of, step_envelope
from skycore.table import events, messages, pagination
from skycore.table.models import Row
from skycore.table.pagination import TimeRange

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from skycore.catalogue.statuses import OwnStep
    from skycore.postbacks.event import Event
    from skycore.table.events import StoredEvent

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)  # before every row
MAX_STEP_AGE = timedelta(days=15)  # from a message's row to its last step: 14 may be in a queue


@dataclass(frozen=True, slots=True)
class Reread:
    """An unparsed event, and the types that its postback tells now (none: still unreadable)."""

    event_id: str
    received_at: datetime
    error: str
    types: tuple[str, ...]


def reread_unparsed(*, days: int, write: bool) -> Iterator[Reread]:
    """Reads every kept unparsed postback again, and stores what is understood now.

    The new events have ids of their own and say which event they replace; the table's stream
    publishes them. The unparsed one leaves the list of unparsed ones. Safe to repeat, and after
    a crash in between. Without `write` nothing is stored. Raises RuntimeError where the table
    does not take an event.
    """
    span = TimeRange("event", EPOCH, timestamps.now(), None)
    for keys in pagination.iter_pages(Row.by_state, pagination.unbounded(events.UNPARSED), span):
        for stored in events.get_by_keys(keys).values():
            error = str(stored.event.data.get("error"))
            told = reparse(stored.raw, stored.event.received_at, error)
            if told and write:
                _replace(stored, told, days)
            types = tuple(event.type for event in told)
            yield Reread(stored.event.id, stored.event.received_at, error, types)


def republish(
    since: datetime, until: datetime, types: Collection[str], *, source: str, topic_arn: str
) -> Iterator[Mapping[str, int]]:
    """Publishes stored events that arrived from `since` to `until` again, under the same ids.

    `types`: of those types only; empty for all. Own steps of messages are events like the
    others. Yields the count of published events by type, page by page. Raises RuntimeError where
    SNS does not take one.
    """
    for envelopes in iter_events(since, until, types, source=source):
        pairs = [(event_json(envelope), message_attributes(envelope)) for envelope in envelopes]
        if queues.publish_many(topic_arn, pairs):
            raise RuntimeError("the topic refuses events; nothing is lost, run it again")
        yield count_by_type(envelopes)


def iter_events(
    since: datetime, until: datetime, types: Collection[str], *, source: str
) -> Iterator[list[dict[str, Any]]]:
    """The envelopes of stored events in a stretch of time, newest first, page by page."""
    for keys in pagination.iter_pages(
        Row.by_day, pagination.by_day, TimeRange("event", since, until, None)
    ):
        found = list(events.get_by_keys(keys).values())
        wanted = [one for one in found if not types or one.event.type in types]
        owners = owners_of(one.event for one in wanted)
        yield [event_envelope(one, owners, source) for one in wanted]
    if types and not any(type_.startswith("skycore.message_") for type_ in types):
        return
    span = TimeRange("message", since - MAX_STEP_AGE, until, None)
    for keys in pagination.iter_pages(Row.by_day, pagination.by_day, span):
        envelopes = [
            step_envelope(row, cast("OwnStep", step), source)
            for row in messages.get_many(keys).values()
            for moment, step in (line.split(" ", 1) for line in row.steps)
            if step in OWN_STEPS and since <= timestamps.from_text(moment) <= until
        ]
        yield [one for one in envelopes if not types or one["type"] in types]


def count_by_type(envelopes: Sequence[Mapping[str, Any]]) -> Mapping[str, int]:
    """How many envelopes there are of each type."""
    types = [envelope["type"] for envelope in envelopes]
    return {type_: types.count(type_) for type_ in sorted(set(types))}


def _replace(stored: StoredEvent, told: Sequence[Event], days: int) -> None:
    anchored = {}
    for event in told:
        if not event.has_own_identity:
            event = event.with_first_seen(events.first_seen(event, days))  # noqa: PLW2901 - the same one
        anchored[event.id] = replace(event, replaces=stored.event.id)
    known = events.first_copies(anchored.values())
    fresh = [event for event in anchored.values() if event.id not in known]
    if events.put_all([(stored.raw, fresh)], days):
        raise RuntimeError("the table refuses events; nothing is lost, run it again")
    events.mark_reparsed(stored.event.id)
