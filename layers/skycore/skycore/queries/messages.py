"""Read one message or event, or a page of them, and cancel a queued message."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import astuple, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from skycore import serializers, timestamps
from skycore.client.errors import FieldError
from skycore.logs import log
from skycore.phone_numbers import NumberError, equivalent_forms, parse_msisdn, parse_sender
from skycore.problems import Problem, validation_problem
from skycore.serializers import event_envelope, tracking_rows_of
from skycore.table import events, messages, models, pagination, queue_transitions
from skycore.table.models import Row, event_id_of, index_sort_key
from skycore.table.pagination import Cursor, TimeRange

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from skycore.table.events import StoredEvent
    from skycore.table.messages import MessageRow

MAX_ID_LENGTH = 256  # characters of a message's id; a longer one may not fit into a key
LOOK_AHEAD = timedelta(hours=24)  # after the call; a later receipt belongs to another message
MAX_EVENTS = 500  # of the number that are read for a possible match, earliest first
FILTERS = ("tracking_id", "to", "from", "client_reference")
PAGING = ("since", "until", "limit", "cursor")
DEFAULT_LIMIT, MAX_LIMIT = 50, 100  # rows of a page
MAX_RAW_BYTES = 3_000_000  # of a page of unparsed postbacks; a function answers at most 6 MB
LATE_DELETION = timedelta(days=2)  # rows leave the table this long after they expire
MAX_ROWS_READ = 500  # for a page of `from`, which has no index of its own

type Query = Mapping[str, Sequence[str]]


def get_message(message_id: str) -> dict[str, Any]:
    """Return the message, its status and its timeline. Raises Problem message_not_found."""
    row = _existing(message_id)
    reported = events.of_message(row)
    view = {
        **serializers.message(row, timestamps.now()),
        "timeline": serializers.timeline(row, reported),
    }
    if view["status"] == "unknown":
        view["possible_match"] = possible_matches(row)
    return view


def cancel(message_id: str, identity: Mapping[str, str | None]) -> dict[str, Any]:
    """Cancel a message that is still queued, and return it.

    `identity` (`caller`, `session`, `address`) identifies who cancels it. The read API returns the
    caller alone; this answer, which only AdminPolicy allows, returns all of it. Raises Problem
    message_not_found, or not_cancellable once it has left the queue.
    """
    _existing(message_id)
    if not queue_transitions.cancel(message_id, timestamps.now(), identity):
        raise Problem("not_cancellable", "the message has left the queue", message_id=message_id)
    log.info("message cancelled", extra={"message_id": message_id, **identity})
    return get_message(message_id) | {"cancelled_by": dict(identity)}


def _existing(message_id: str) -> MessageRow:
    row = messages.get(message_id) if len(message_id) <= MAX_ID_LENGTH else None
    if row is None:
        raise Problem("message_not_found", "there is no message with this id")
    return row


def get_event(event_id: str, *, source: str, media_bucket: str = "") -> dict[str, Any]:
    """Return an event as subscribers get it, with the postback's raw body in base64.

    `media` lists the kept files of an inbound MMS, each with a link that works for 15 minutes; it
    is None until they are kept. Raises Problem event_not_found.
    """
    stored = events.get(event_id)
    if stored is None:
        raise Problem("event_not_found", "there is no event with this id")
    tracking_rows = tracking_rows_of([stored.event])
    statuses = messages.statuses(owner.message_id for owner in tracking_rows.values())
    envelope = event_envelope(stored, tracking_rows, statuses, source)
    raw = base64.b64encode(stored.raw).decode()
    return {**envelope, "raw": raw, "media": _media(stored, media_bucket)}


def _media(stored: StoredEvent, media_bucket: str) -> list[dict[str, Any]] | None:
    kept = events.get(stored.event.media_event_id) if stored.event.has_media else stored
    files = kept.event.data.get("media") if kept else None
    if not files or not media_bucket:
        return files
    # boto3 takes a tenth of a second of a cold start, and nothing else here needs it.
    from skycore.aws.bucket import link  # noqa: PLC0415

    return [
        {**file, "link": link(media_bucket, file["key"])} if "key" in file else file
        for file in files
    ]


def possible_matches(row: MessageRow) -> list[dict[str, Any]]:
    """Return later receipts for the message's number whose tracking id belongs to no other."""
    if not row.to:
        return []
    called = timestamps.from_text(row.created_at)
    span = TimeRange("event", called, called + LOOK_AHEAD, None)
    keys = [
        key
        for form in dict.fromkeys([row.to, *equivalent_forms(row.to)])
        for key in pagination.earliest(Row.by_number, pagination.by_month(form), span, MAX_EVENTS)
    ]
    stored = events.get_by_keys(keys).values()
    receipts = [item.event for item in stored if item.event.status_step and item.event.tracking_id]
    owned = messages.messages_by_tracking_id({str(event.tracking_id) for event in receipts})
    others = {id_ for id_, owner in owned.items() if owner.message_id != row.message_id}
    return [
        {
            "tracking_id": event.tracking_id,
            "event": event.event,
            "time": event.time,
            "event_id": event.id,
        }
        for event in sorted(receipts, key=lambda event: event.received_at)
        if event.tracking_id not in others
    ]


def list_messages(query: Query, *, region: str, days: int) -> dict[str, Any]:
    """Return a page of messages by one of FILTERS. Raises Problem invalid_request."""
    parameters = _ListQuery(query, FILTERS, days=days)
    if sum(name in parameters.values for name in FILTERS) != 1:
        parameters.add_error(", ".join(FILTERS), "exactly one of these must be given")
    number = parameters.number("to", parse_msisdn, region)
    sender = parameters.number("from", parse_sender, region)
    span, limit = parameters.span("message"), parameters.limit()
    parameters.check()
    if number:
        keys, cursor = pagination.query_page(
            Row.by_number, pagination.by_month(number), span, limit
        )
        rows = messages.get_many(keys)
        return _page([rows[key] for key in keys if key in rows], parameters.cursor_text(cursor))
    if sender:
        matching, cursor = _by_sender(sender, span, limit)
        return _page(matching, parameters.cursor_text(cursor))
    if "client_reference" in parameters.values:
        reference = parameters.values["client_reference"]
        found, cursor = by_reference(reference, span, limit)
        return _page(found, parameters.cursor_text(cursor))
    owners = messages.messages_by_tracking_id([parameters.values["tracking_id"]]).values()
    owned = (messages.get(owner.message_id) for owner in owners)
    return _page([row for row in owned if row is not None], None)


def list_unparsed(query: Query, *, days: int) -> dict[str, Any]:
    """Return a page of events whose postback could not be read. Raises Problem invalid_request."""
    parameters = _ListQuery(query, (), days=days)
    span, limit = parameters.span("event"), parameters.limit()
    parameters.check()
    keys, cursor = pagination.query_page(
        Row.by_state, pagination.unbounded(events.UNPARSED), span, limit
    )
    stored_events = events.get_by_keys(keys)
    page: list[dict[str, Any]] = []
    size = 0
    last: Cursor | None = None
    for pk, sk in keys:
        stored = stored_events.get(event_id_of(sk))
        if stored is None:
            continue
        size += len(stored.raw)
        if page and size > MAX_RAW_BYTES:
            cursor = last
            break
        page.append(_unparsed(stored))
        last = Cursor(index_sort_key("event", stored.event.received_at), pk, sk)
    return {"events": page, "cursor": parameters.cursor_text(cursor)}


def _unparsed(stored: StoredEvent) -> dict[str, Any]:
    return {
        "event_id": stored.event.id,
        "received_at": timestamps.to_text(stored.event.received_at),
        "error": stored.event.data.get("error"),
        "raw": base64.b64encode(stored.raw).decode(),
    }


def _by_sender(sender: str, span: TimeRange, limit: int) -> tuple[list[MessageRow], Cursor | None]:
    matching: list[MessageRow] = []
    cursor, rows_read = span.cursor, 0
    while rows_read < MAX_ROWS_READ:
        rest = replace(span, cursor=cursor)
        keys, next_cursor = pagination.query_page(Row.by_day, pagination.by_day, rest, MAX_LIMIT)
        rows = messages.get_many(keys)
        for key in keys:
            row = rows.get(key)
            if row is not None and row.sender == sender:
                if len(matching) == limit:
                    return matching, cursor
                matching.append(row)
                cursor = Cursor(str(row.at), row.pk, row.sk)
        cursor, rows_read = next_cursor, rows_read + len(keys)
        if cursor is None or len(keys) < MAX_LIMIT:
            break
    return matching, cursor


def by_reference(
    client_reference: str, span: TimeRange, limit: int
) -> tuple[list[MessageRow], Cursor | None]:
    """Return a page of the messages with a client_reference, newest first."""
    pointers, cursor = pagination.query_references(client_reference, span, limit)
    keys = [(models.message_partition(id_), models.MESSAGE) for _, id_ in pointers]
    rows = messages.get_many(keys)
    found = [
        rows[key]
        for (at, _), key in zip(pointers, keys, strict=True)
        if key in rows and rows[key].at == at
    ]
    return found, cursor


def _page(rows: Sequence[MessageRow], cursor: str | None) -> dict[str, Any]:
    now = timestamps.now()
    return {"messages": [serializers.message(row, now) for row in rows], "cursor": cursor}


class _ListQuery:
    """A query string's values, and every error in them."""

    def __init__(self, query: Query, filters: Sequence[str], *, days: int) -> None:
        self.values = {name: values[-1] for name, values in query.items() if values}
        self.errors: list[FieldError] = []
        self.days = days
        self.filters = filters
        for name in sorted(set(self.values) - {*filters, *PAGING}):
            self.add_error(name, "is not a query parameter of this route")

    def add_error(self, name: str, detail: str) -> None:
        self.errors.append(FieldError(name, detail))

    def check(self) -> None:
        if self.errors:
            raise validation_problem(self.errors)

    def number(self, name: str, parse: Any, region: str) -> str | None:
        text = self.values.get(name)
        if text is None:
            return None
        if text.startswith(" "):  # a plus sign that the caller did not percent-encode
            text = "+" + text.strip()
        try:
            digits: str = parse(text, default_region=region)
        except NumberError as error:
            self.add_error(name, str(error))
            return None
        self.values[name] = digits  # so that the next page's query may write it in another way
        return digits

    def limit(self) -> int:
        text = self.values.get("limit", str(DEFAULT_LIMIT))
        if len(text) <= 3 and text.isascii() and text.isdigit() and 1 <= int(text) <= MAX_LIMIT:
            return int(text)
        self.add_error("limit", f"must be a whole number from 1 to {MAX_LIMIT}")
        return DEFAULT_LIMIT

    def span(self, kind: str) -> TimeRange:
        now = timestamps.now()
        oldest = now - timedelta(days=self.days)
        # No rows exist outside these bounds, so do not query each month there.
        since = max(self._time("since", oldest), oldest - LATE_DELETION)
        until = min(self._time("until", now), now + timedelta(days=1))
        return TimeRange(kind, since, until, self._cursor(kind))

    def _time(self, name: str, default: datetime) -> datetime:
        text = self.values.get(name)
        if text is None:
            return default
        try:
            time = datetime.fromisoformat(text.replace(" ", "+"))
            return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
        except (ValueError, OverflowError):
            self.add_error(name, "must be a time, such as 2026-11-22T10:41:15Z")
            return default

    def _cursor(self, kind: str) -> Cursor | None:
        text = self.values.get("cursor")
        if text is None:
            return None
        cursor = _read_cursor(text)
        # A cursor that was changed, or that another query returned, has another text.
        if (
            cursor is None
            or not cursor.at.startswith(f"{kind}#")
            or self.cursor_text(cursor) != text
        ):
            detail = (
                "must be the previous page's cursor, unchanged, with that page's other parameters"
            )
            self.add_error("cursor", detail)
            return None
        return cursor

    def cursor_text(self, cursor: Cursor | None) -> str | None:
        """Return the text of a cursor, which is one of this query only; `limit` may differ."""
        if cursor is None:
            return None
        names = (*self.filters, "since", "until")
        query = [self.values.get(name) for name in names]
        digest = hashlib.blake2b(json.dumps([astuple(cursor), names, query]).encode()).hexdigest()
        text = json.dumps([*astuple(cursor), digest[:16]], separators=(",", ":"))
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _read_cursor(text: str) -> Cursor | None:
    """Return the cursor in a text, which is untrusted; None if it holds none."""
    try:
        at, pk, sk, _ = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        timestamps.from_text(at.partition("#")[2])
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError):
        return None
    return Cursor(at, pk, sk) if isinstance(pk, str) and isinstance(sk, str) else None
