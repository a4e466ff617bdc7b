"""Backfill delivery statuses from Skycore's report of a window.

Skycore gives up on a postback after some 25 minutes; after a longer outage only the report of
getSendingStatus still knows. What it says of a message becomes an event with the identity that
the postback would have had, so what a postback did tell is not told again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import batched
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from skycore import timestamps
from skycore.postbacks.parser import read_postback
from skycore.table import events

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from skycore.client.report import Report, ReportRow
    from skycore.postbacks.event import Event

# (kind, what the report says): code and STATUS of the postback that would have told it.
REPORT_STATES = {
    ("sms", "delivered"): ("N202", "Message Sent/Delivered"),
    ("sms", "expired"): ("E202", "Message Sent/Expired"),
    ("sms", "rejected"): ("E202", "Message Sent/Rejected"),
    ("sms", "failed"): ("E202", "Message Sent/Failed"),
    ("mms", "delivered"): ("N102", "Message Sent/Delivered"),
    ("mms", "opened"): ("N102", "Message Sent/Delivered"),
    ("mms", "expired"): ("E102", "Message Sent/Expired"),
    ("mms", "rejected"): ("E102", "Message Sent/Rejected"),
    ("mms", "failed"): ("E102", "Message Sent/Failed"),
}
BATCH_SIZE = 100  # events that are looked up and stored in one go


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What a report had to say: its rows, and the types of the events that were missing."""

    rows: int
    complete: bool
    missing: tuple[str, ...]


def reconcile(report: Report, *, days: int, write: bool) -> Reconciled:
    """Store an event for each status in the report that no postback has told.

    The table's stream publishes them, with `from_report` true. Safe to repeat. Without `write`,
    nothing is stored.
    """
    missing = [
        event.type
        for part in _parts(events_from_report(report.rows, timestamps.now()))
        for event in _store(part, days, write=write)
    ]
    return Reconciled(len(report.rows), report.complete, tuple(missing))


def events_from_report(rows: Iterable[ReportRow], now: datetime) -> Iterator[tuple[bytes, Event]]:
    """The postback that each settled row stands for, and its event; others tell nothing.

    The report's times may be of any zone, so the event's time is `now`; what was printed is in
    `status_details`.
    """
    for row in rows:
        told = REPORT_STATES.get((row.kind, row.state or ""))
        if told is None or not row.tracking_id or not row.to:
            continue
        code, status = told
        values = {
            "ORIGIN": f"{row.kind.upper()}_MT",
            "CODE": code,
            "STATUS": status,
            "FROM": row.sender,
            "TO": row.to,
            "TRACKINGID": row.tracking_id,
            "MMSID": row.mms_id,
            "STATUSDETAILS": f"from Skycore's report, {row.time or 'without a time'}",
        }
        elements = "".join(
            f"<{name}>{escape(value)}</{name}>" for name, value in values.items() if value
        )
        body = f"<POSTBACK>{elements}</POSTBACK>".encode()
        for event in read_postback(body, now):
            if not event.unparsed:
                yield body, replace(event, data={**event.data, "from_report": True})


def _store(part: list[tuple[bytes, Event]], days: int, *, write: bool) -> list[Event]:
    """Stores those of the events that are not known; returns them."""
    distinct = {event.id: (body, event) for body, event in part}
    known = events.existing_ids(event for _, event in distinct.values())
    new = [pair for id_, pair in distinct.items() if id_ not in known]
    if write and events.put_all([(body, [event]) for body, event in new], days):
        raise TimeoutError("the table did not take every event; run it again")
    return [event for _, event in new]


def _parts(pairs: Iterable[tuple[bytes, Event]]) -> Iterator[list[tuple[bytes, Event]]]:
    return (list(part) for part in batched(pairs, BATCH_SIZE, strict=False))
