"""GET /messages and GET /postbacks/unparsed: pages, newest first, with stable cursors."""

from __future__ import annotations

import base64
import json
from dataclasses import astuple
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from skycore import timestamps
from skycore.client.errors import FieldError
from skycore.client.numbers import NumberError, parse_msisdn, parse_sender
from skycore.problems import invalid
from skycore.serializers import message
from skycore.table import events, messages, pagination
from skycore.table.keys import at, event_id_of
from skycore.table.models import Row
from skycore.table.pagination import Place, Span

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from skycore.table.events import StoredEvent
    from skycore.table.messages import MessageRow

FILTERS = ("tracking_id", "to", "from")
PAGING = ("since", "until", "limit", "cursor")
USUAL, MOST = 50, 100  # rows of a page
MOST_RAW_BYTES = 3_000_000  # of a page of unparsed postbacks; a function answers at most 6 MB
LATE_DELETION = timedelta(days=2)  # rows leave the table this long after they expire
MOST_READ = 500  # rows looked at for a page of `from`, which has no index of its own

type Query = Mapping[str, Sequence[str]]


def list_messages(query: Query, *, region: str, days: int) -> dict[str, Any]:
    """A page of messages by tracking_id, to or from. Raises Problem invalid_request."""
    asked = _Asked(query, FILTERS, days=days)
    if sum(name in asked.values for name in FILTERS) != 1:
        asked.wrong("tracking_id, to, from", "give exactly one of them")
    number = asked.number("to", parse_msisdn, region)
    sender = asked.number("from", parse_sender, region)
    span, limit = asked.span("message"), asked.limit()
    asked.check()
    if number:
        keys, place = pagination.page(Row.by_number, pagination.months_of(number), span, limit)
        rows = messages.get_many(keys)
        return _page([rows[key] for key in keys if key in rows], place)
    if sender:
        return _page(*_by_sender(sender, span, limit))
    owner = messages.pointers([asked.values["tracking_id"]])
    found = (messages.get(pointer.message_id) for pointer in owner.values())
    return _page([row for row in found if row is not None], None)


def list_unparsed(query: Query, *, days: int) -> dict[str, Any]:
    """A page of events whose postback could not be read. Raises Problem invalid_request."""
    asked = _Asked(query, (), days=days)
    span, limit = asked.span("event"), asked.limit()
    asked.check()
    keys, place = pagination.page(Row.by_state, pagination.all_time(events.UNPARSED), span, limit)
    stored = events.by_keys(keys)
    shown: list[dict[str, Any]] = []
    size = 0
    last: Place | None = None
    for pk, sk in keys:
        one = stored.get(event_id_of(sk))
        if one is None:
            continue
        size += len(one.raw)
        if shown and size > MOST_RAW_BYTES:
            place = last
            break
        shown.append(_unparsed(one))
        last = Place(at("event", one.event.received_at), pk, sk)
    return {"events": shown, "cursor": _cursor(place)}


def _unparsed(stored: StoredEvent) -> dict[str, Any]:
    return {
        "event_id": stored.event.id,
        "received_at": timestamps.to_text(stored.event.received_at),
        "error": stored.event.data.get("error"),
        "raw": base64.b64encode(stored.raw).decode(),
    }


def _by_sender(sender: str, span: Span, limit: int) -> tuple[list[MessageRow], Place | None]:
    found: list[MessageRow] = []
    place, read = span.place, 0
    while read < MOST_READ:
        now = Span(span.kind, span.since, span.until, place)
        keys, following = pagination.page(Row.by_day, pagination.days, now, MOST)
        rows = messages.get_many(keys)
        for key in keys:
            row = rows.get(key)
            if row is not None and row.sender == sender:
                if len(found) == limit:
                    return found, place
                found.append(row)
                place = Place(str(row.at), row.pk, row.sk)
        place, read = following, read + len(keys)
        if place is None or len(keys) < MOST:
            break
    return found, place


def _page(rows: Sequence[MessageRow], place: Place | None) -> dict[str, Any]:
    now = timestamps.now()
    return {"messages": [message(row, now) for row in rows], "cursor": _cursor(place)}


class _Asked:
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
            raise invalid(self.errors)

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
        text = self.values.get("limit", str(USUAL))
        if len(text) <= 3 and text.isascii() and text.isdigit() and 1 <= int(text) <= MOST:
            return int(text)
        self.wrong("limit", f"a whole number from 1 to {MOST}")
        return USUAL

    def span(self, kind: str) -> Span:
        now = timestamps.now()
        oldest = now - timedelta(days=self.days)
        # Before and after these there is nothing, and a query for each month of it would say so.
        since = max(self._moment("since", oldest), oldest - LATE_DELETION)
        until = min(self._moment("until", now), now + timedelta(days=1))
        return Span(kind, since, until, self._place(kind))

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

    def _place(self, kind: str) -> Place | None:
        text = self.values.get("cursor")
        if text is None:
            return None
        place = _read_cursor(text, kind)
        if place is None:
            self.wrong("cursor", "the cursor of the page before, as it was")
        return place


def _read_cursor(text: str, kind: str) -> Place | None:
    """The place that a cursor of this kind of row names; None if it names none."""
    try:
        place = Place(*json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))))
        row_kind, _, moment = place.at.partition("#")
        timestamps.from_text(moment)
    except (ValueError, TypeError, AttributeError, OverflowError):
        return None
    return place if row_kind == kind and isinstance(place.pk + place.sk, str) else None


def _cursor(place: Place | None) -> str | None:
    if place is None:
        return None
    text = json.dumps(astuple(place), separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
