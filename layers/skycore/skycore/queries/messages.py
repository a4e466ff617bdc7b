"""Read messages and events for the API: one, a page of many; and cancel a queued message."""

from __future__ import annotations

import base64
import json
from dataclasses import astuple
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from skycore import serializers, timestamps
from skycore.client.errors import FieldError
from skycore.client.numbers import NumberError, parse_msisdn, parse_sender
from skycore.problems import Problem, validation_problem
from skycore.serializers import event_envelope, owners_of
from skycore.table import events, messages, pagination, queue_transitions
from skycore.table.models import Row, event_id_of, index_sort_key
from skycore.table.pagination import Cursor, TimeRange

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from skycore.table.events import StoredEvent
    from skycore.table.messages import MessageRow

MAX_ID_LENGTH = 256  # characters of a message's id; a longer one may not fit into a key
LOOK_AHEAD = timedelta(hours=24)  # after the call; a receipt that is later tells nothing
MAX_EVENTS = 500  # events of the number that are looked at, the earliest
FILTERS = ("tracking_id", "to", "from")
PAGING = ("since", "until", "limit", "cursor")
DEFAULT_LIMIT, MAX_LIMIT = 50, 100  # rows of a page
MAX_RAW_BYTES = 3_000_000  # of a page of unparsed postbacks; a function answers at most 6 MB
LATE_DELETION = timedelta(days=2)  # rows leave the table this long after they expire
MAX_ROWS_READ = 500  # rows looked at for a page of `from`, which has no index of its own

type Query = Mapping[str, Sequence[str]]


def get_message(message_id: str) -> dict[str, Any]:
    """The message, its status and its timeline. Raises Problem message_not_found."""
    row = messages.get(message_id) if len(message_id) <= MAX_ID_LENGTH else None
    if row is None:
        raise Problem("message_not_found", "there is no message with this id")
    told = events.by_tracking_id(row.tracking_id) if row.tracking_id else []
    view = {
        **serializers.message(row, timestamps.now()),
        "timeline": serializers.timeline(row, told),
    }
    if view["status"] == "unknown":
        view["possible_match"] = possible_matches(row)
    return view


def cancel(message_id: str) -> dict[str, Any]:
    """Cancels a message that is still queued.

    Raises Problem: message_not_found, or not_cancellable once it has left the queue.
    """
    get_message(message_id)
    if not queue_transitions.cancel(message_id, timestamps.now()):
        raise Problem("not_cancellable", "the message has left the queue", message_id=message_id)
    return get_message(message_id)


def get_event(event_id: str, *, source: str) -> dict[str, Any]:
    """One event as subscribers got it, with the postback's whole raw body as base64.

    Raises Problem event_not_found.
    """
    stored = events.get(event_id)
    if stored is None:
        raise Problem("event_not_found", "there is no event with this id")
    envelope = event_envelope(stored, owners_of([stored.event]), source)
    return {**envelope, "raw": base64.b64encode(stored.raw).decode()}


def possible_matches(row: MessageRow) -> list[dict[str, Any]]:
    """Receipts to the message's number, after its call, whose tracking id nobody owns."""
    if not row.to:
        return []
    called = timestamps.from_text(row.created_at)
    span = TimeRange("event", called, called + LOOK_AHEAD, None)
    keys = pagination.earliest(Row.by_number, pagination.by_month(row.to), span, MAX_EVENTS)
    told = [stored.event for stored in events.get_by_keys(keys).values()]
    receipts = [event for event in told if event.status_step and event.tracking_id]
    owned = messages.messages_by_tracking_id({str(event.tracking_id) for event in receipts})
    return [
        {
            "tracking_id": event.tracking_id,
            "event": event.event,
            "time": event.time,
            "event_id": event.id,
        }
        for event in sorted(receipts, key=lambda event: event.received_at)
        if event.tracking_id not in owned
    ]


def list_messages(query: Query, *, region: str, days: int) -> dict[str, Any]:
    """A page of messages by tracking_id, to or from. Raises Problem invalid_request."""
    asked = _ListQuery(query, FILTERS, days=days)
    if sum(name in asked.values for name in FILTERS) != 1:
        asked.wrong("tracking_id, to, from", "give exactly one of them")
    number = asked.number("to", parse_msisdn, region)
    sender = asked.number("from", parse_sender, region)
    span, limit = asked.span("message"), asked.limit()
    asked.check()
    if number:
        keys, place = pagination.query_page(Row.by_number, pagination.by_month(number), span, limit)
        rows = messages.get_many(keys)
        return _page([rows[key] for key in keys if key in rows], place)
    if sender:
        return _page(*_by_sender(sender, span, limit))
    owner = messages.messages_by_tracking_id([asked.values["tracking_id"]])
    found = (messages.get(pointer.message_id) for pointer in owner.values())
    return _page([row for row in found if row is not None], None)


def list_unparsed(query: Query, *, days: int) -> dict[str, Any]:
    """A page of events whose postback could not be read. Raises Problem invalid_request."""
    asked = _ListQuery(query, (), days=days)
    span, limit = asked.span("event"), asked.limit()
    asked.check()
    keys, place = pagination.query_page(
        Row.by_state, pagination.unbounded(events.UNPARSED), span, limit
    )
    stored = events.get_by_keys(keys)
    shown: list[dict[str, Any]] = []
    size = 0
    last: Cursor | None = None
    for pk, sk in keys:
        one = stored.get(event_id_of(sk))
        if one is None:
            continue
        size += len(one.raw)
        if shown and size > MAX_RAW_BYTES:
            place = last
            break
        shown.append(_unparsed(one))
        last = Cursor(index_sort_key("event", one.event.received_at), pk, sk)
    return {"events": shown, "cursor": _cursor(place)}


def _unparsed(stored: StoredEvent) -> dict[str, Any]:
    return {
        "event_id": stored.event.id,
        "received_at": timestamps.to_text(stored.event.received_at),
        "error": stored.event.data.get("error"),
        "raw": base64.b64encode(stored.raw).decode(),
    }


def _by_sender(sender: str, span: TimeRange, limit: int) -> tuple[list[MessageRow], Cursor | None]:
    found: list[MessageRow] = []
    place, read = span.place, 0
    while read < MAX_ROWS_READ:
        now = TimeRange(span.kind, span.since, span.until, place)
        keys, following = pagination.query_page(Row.by_day, pagination.by_day, now, MAX_LIMIT)
        rows = messages.get_many(keys)
        for key in keys:
            row = rows.get(key)
            if row is not None and row.sender == sender:
                if len(found) == limit:
                    return found, place
                found.append(row)
                place = Cursor(str(row.at), row.pk, row.sk)
        place, read = following, read + len(keys)
        if place is None or len(keys) < MAX_LIMIT:
            break
    return found, place


def _page(rows: Sequence[MessageRow], place: Cursor | None) -> dict[str, Any]:
    now = timestamps.now()
    return {"messages": [serializers.message(row, now) for row in rows], "cursor": _cursor(place)}


class _ListQuery:
    """A query string, read once, with every fault in it."""

    def __init__(self, query: Query, filters: Sequence[str], *, days: int) -> None:
        self.values = {name: values[-1] for name, values in query.items() if values}
        self.errors: list[FieldError] = []
        self.days = days
        for name in sorted(set(self.values) - {*filters, *PAGING}):
            self.wrong(name, "is no parameter of this route")

    def wrong(self, name: str, detail: str) -> None:
        self.errors.append(FieldError(name, detail))

    def check(self) -> None:
        if self.errors:
            raise validation_problem(self.errors)

    def number(self, name: str, parse: Any, region: str) -> str | None:
        text = self.values.get(name)
        if text is None:
            return None
        if text.startswith(" "):  # a plus sign that was not percent-encoded
            text = "+" + text.strip()
        try:
            digits: str = parse(text, default_region=region)
        except NumberError as error:
            self.wrong(name, str(error))
            return None
        return digits

    def limit(self) -> int:
        text = self.values.get("limit", str(DEFAULT_LIMIT))
        if len(text) <= 3 and text.isascii() and text.isdigit() and 1 <= int(text) <= MAX_LIMIT:
            return int(text)
        self.wrong("limit", f"a whole number from 1 to {MAX_LIMIT}")
        return DEFAULT_LIMIT

    def span(self, kind: str) -> TimeRange:
        now = timestamps.now()
        oldest = now - timedelta(days=self.days)
        # Before and after these there is nothing, and a query for each month of it would say so.
        since = max(self._moment("since", oldest), oldest - LATE_DELETION)
        until = min(self._moment("until", now), now + timedelta(days=1))
        return TimeRange(kind, since, until, self._place(kind))

    def _moment(self, name: str, default: datetime) -> datetime:
        text = self.values.get(name)
        if text is None:
            return default
        try:
            moment = datetime.fromisoformat(text.replace(" ", "+"))
            return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
        except (ValueError, OverflowError):
            self.wrong(name, "a time such as 2026-11-22T10:41:15Z")
            return default

    def _place(self, kind: str) -> Cursor | None:
        text = self.values.get("cursor")
        if text is None:
            return None
        place = _read_cursor(text, kind)
        if place is None:
            self.wrong("cursor", "the cursor of the page before, as it was")
        return place


def _read_cursor(text: str, kind: str) -> Cursor | None:
    """The place that a cursor of this kind of row names; None if it names none."""
    try:
        place = Cursor(*json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))))
        row_kind, _, moment = place.at.partition("#")
        timestamps.from_text(moment)
    except (ValueError, TypeError, AttributeError, OverflowError):
        return None
    return place if row_kind == kind and isinstance(place.pk + place.sk, str) else None


def _cursor(place: Cursor | None) -> str | None:
    if place is None:
        return None
    text = json.dumps(astuple(place), separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
