"""Backfill delivery statuses from Skycore's report of a window.

Skycore gives up on a postback after some 25 minutes; after a longer outage only the report of
getSendingStatus still has it. A status that no postback reported becomes an event, as if its
postback had come. The report carries no tracking ids, so its rows are joined to messages by kind,
numbers, content and time; a row that fits no message, or several, is returned with the reason.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from html import unescape
from itertools import batched, chain
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape
from zoneinfo import ZoneInfo

from skycore import phone_numbers, timestamps
from skycore.catalogue.statuses import RANKS
from skycore.client.report import campaign_tracking_id, text_digest
from skycore.postbacks.parser import read_postback
from skycore.table import events, messages, opt_outs, pagination
from skycore.table.models import Row
from skycore.table.pagination import TimeRange

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from skycore.client.report import Report, ReportRow
    from skycore.postbacks.event import Event
    from skycore.table.messages import MessageRow

# What the report says: code and STATUS of the postback that would have reported it. A fallback
# SMS has an SMS's codes under the origin of its MMS.
REPORT_STATES = {
    ("sms", "delivered"): ("N202", "Message Sent/Delivered"),
    ("sms", "opened"): ("N202", "Message Sent/Delivered"),
    ("sms", "expired"): ("E202", "Message Sent/Expired"),
    ("sms", "rejected"): ("E202", "Message Sent/Rejected"),
    ("sms", "failed"): ("E202", "Message Sent/Failed"),
    ("mms", "delivered"): ("N102", "Message Sent/Delivered"),
    ("mms", "expired"): ("E102", "Message Sent/Expired"),
    ("mms", "rejected"): ("E102", "Message Sent/Rejected"),
    ("mms", "failed"): ("E102", "Message Sent/Failed"),
}
_STEPS = {"opened": "delivered", "rejected": "failed"}  # others are steps as they are
BATCH_SIZE = 100  # events that are looked up and stored in one go
MAX_QUEUED = timedelta(days=36)  # how long before its call a message's row may have been created
CLOCKS_APART = timedelta(minutes=5)  # of Skycore's clock and ours, with the call in between
UNTIL_SENT = timedelta(hours=1)  # how long Skycore may hold a message before its first step
# The report's times end in Z, but samples have the same digits as Eastern time.
ZONES = (UTC, ZoneInfo("America/New_York"))

NO_NUMBER = "it has no recipient"
NO_TIME = "it has no time by which to find its message"
NOT_FOUND = "no message of this stack fits it"
UNKNOWN_CALL = "its message has no tracking id: the outcome of its call is unknown"
AMBIGUOUS = "several rows or messages fit each other"
OTHER_GROUP = "it belongs to a group that this stack did not send"


@dataclass(frozen=True, slots=True)
class Unmatched:
    """A settled row of the report that could not be joined to a message, and why."""

    row: ReportRow
    reason: str


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What became of the report's rows; `complete` says whether it was read to its end.

    `missing`: the types of the events that no postback had reported. `known`: settled rows whose
    status is known. `unsettled`: rows that report nothing final.
    """

    rows: int
    complete: bool
    missing: tuple[str, ...]
    known: int
    unsettled: int
    unmatched: tuple[Unmatched, ...]


@dataclass(frozen=True, slots=True)
class _Joined:
    """A settled row and where it belongs; `message` is None for a campaign or another's message."""

    row: ReportRow
    tracking_id: str
    to: str
    message: MessageRow | None
    shared: bool = False

    @property
    def rank(self) -> int:
        """The rank of the status that the row reports."""
        return RANKS[_STEPS.get(str(self.row.state), str(self.row.state))]


def reconcile(report: Report, *, days: int, write: bool) -> Reconciled:
    """Store an event for each settled status in the report that no postback has reported.

    The table's stream publishes them, with `from_report` true. A message whose status is known
    already, or one that ranks above the report's, gets no event, whatever its postback's code was.
    Safe to repeat. Without `write`, nothing is stored.
    """
    settled = [row for row in report.rows if _postback_of(row)]
    joined, unmatched = join(settled)
    reported = _Reported()
    best: dict[tuple[str, str], _Joined] = {}
    for one in sorted(joined, key=lambda one: one.rank):
        best[one.tracking_id, one.to] = one
    in_order = sorted(best.values(), key=lambda one: one.tracking_id)
    new = (_event_of(one) for one in in_order if not reported.has(one))
    missing = [
        event.type
        for part in batched(new, BATCH_SIZE, strict=False)
        for event in _store(part, days, write=write)
    ]
    return Reconciled(
        rows=len(report.rows),
        complete=report.complete,
        missing=tuple(missing),
        known=len(joined) - len(missing),
        unsettled=len(report.rows) - len(settled),
        unmatched=tuple(unmatched),
    )


def join(rows: Sequence[ReportRow]) -> tuple[list[_Joined], list[Unmatched]]:
    """Return where each settled row belongs, and the rows for which that is not certain."""
    joined: list[_Joined] = []
    unmatched: list[Unmatched] = []
    by_number: dict[str, list[ReportRow]] = defaultdict(list)
    campaigns = _campaigns_of(rows)
    for row in rows:
        to = phone_numbers.canonical_number(row.to)
        if to is None:
            unmatched.append(Unmatched(row, NO_NUMBER))
        elif row.tracking_id:
            joined.append(_of_tracking_id(row, row.tracking_id, to))
        elif row.section == "single":
            by_number[to].append(row)
        elif row.section == "batch" and row.group_id in campaigns:
            joined.append(_Joined(row, campaigns[row.group_id], to, None, shared=True))
        else:
            unmatched.append(Unmatched(row, OTHER_GROUP))
    for number, its_rows in by_number.items():
        for row, found in _match(its_rows, number):
            if isinstance(found, str):
                unmatched.append(Unmatched(row, found))
            else:
                joined.append(_Joined(row, str(found.tracking_id), number, found))
    return joined, unmatched


def _of_tracking_id(row: ReportRow, tracking_id: str, to: str) -> _Joined:
    """Join a row that carries a tracking id, which Skycore's documentation does not mention."""
    owner = messages.messages_by_tracking_id([tracking_id]).get(tracking_id)
    message = messages.get(owner.message_id) if owner else None
    if message is not None and (not message.to or (owner and owner.shared)):
        message = None  # a campaign's; or one of several recipients, maybe another one
    shared = bool(events.shared_among([tracking_id]))
    return _Joined(row, tracking_id, to, message, shared=shared)


def _campaigns_of(rows: Iterable[ReportRow]) -> dict[str, str]:
    """Return the tracking ids of the rows' campaigns that this stack sent, by their batches."""
    batches = {row.group_id for row in rows if row.section == "batch" and row.group_id}
    tracking_ids = {batch: campaign_tracking_id(batch) for batch in batches}
    sent = events.shared_among(tracking_ids.values())
    return {batch: id_ for batch, id_ in tracking_ids.items() if id_ in sent}


# --- rows without an id: by kind, numbers, content and time -------------------------------------


def _match(rows: Sequence[ReportRow], number: str) -> Iterator[tuple[ReportRow, MessageRow | str]]:
    """Yield each row to `number` with its message, or with the reason why there is none."""
    moments = {index: _readings(row) for index, row in enumerate(rows)}
    known = [moment for readings in moments.values() for moment in readings]
    candidates = _sent_to(number, min(known), max(known)) if known else []
    # The file's times are all of one zone: the one under which most rows fit a message.
    fits = max(
        (
            {i: _fitting(rows[i], times[zone], candidates) for i, times in moments.items() if times}
            for zone in range(len(ZONES))
        ),
        key=lambda found: sum(map(bool, found.values())),
    )
    claims = Counter(message.message_id for found in fits.values() for message in found)
    for index, row in enumerate(rows):
        found = fits.get(index, [])
        if not moments[index]:
            yield row, NO_TIME
        elif not found:
            yield row, NOT_FOUND
        elif len(found) > 1 or claims[found[0].message_id] > 1:
            yield row, AMBIGUOUS
        elif not found[0].tracking_id:
            yield row, UNKNOWN_CALL
        else:
            yield row, found[0]


def _fitting(row: ReportRow, time: datetime, messages_: list[MessageRow]) -> list[MessageRow]:
    """Return the messages, given by time, that a row may belong to if it began at `time`."""
    first = bisect_left(messages_, time - UNTIL_SENT, key=_sent_at)
    near = messages_[first : bisect_right(messages_, time + CLOCKS_APART, key=_sent_at)]
    return [one for one in near if _same_content(row, one) and _same_time(row, time, one)]


def _sent_to(number: str, first: datetime, last: datetime) -> list[MessageRow]:
    """Return the messages to a number that may be of calls from `first` to `last`, by time."""
    since, until = first - UNTIL_SENT - MAX_QUEUED, last + CLOCKS_APART
    span = TimeRange("message", since, until, None)
    months = (pagination.by_month(form) for form in phone_numbers.equivalent_forms(number))
    pages = chain.from_iterable(pagination.iter_pages(Row.by_number, its, span) for its in months)
    rows = (row for page in pages for row in messages.get_many(page).values())
    return sorted(rows, key=_sent_at)


def _same_content(row: ReportRow, message: MessageRow) -> bool:
    """Return whether kind, sender and content are the same, as far as both are known."""
    if row.kind != ("mms" if "MMS" in message.action.upper() else "sms"):
        return False
    if message.sender and not phone_numbers.is_same_number(message.sender, row.sender):
        sender = phone_numbers.canonical_number(row.sender) or ""
        if len(sender) < phone_numbers.SHORTEST_ENDING or opt_outs.is_sender(sender):
            return False  # any other has replaced the message's sender, as networks abroad do
    if row.kind == "sms":
        text = row.text or ""
        digests = {text_digest(text), text_digest(unescape(text))}  # some are escaped twice
        return not (text and message.content) or message.content in digests
    mms_id = _mms_id(message)
    return not (row.mms_id and mms_id) or row.mms_id == mms_id


def _mms_id(message: MessageRow) -> str | None:
    mms_id = messages.unpack(message.answer)["body"].get("mms_id") if message.answer else None
    return mms_id if isinstance(mms_id, str) else None


def _same_time(row: ReportRow, moment: datetime, message: MessageRow) -> bool:
    """Return whether the row's first step, at `moment`, can be of the message's call.

    Skycore queues a message (INQUE) when it accepts it; other steps may come later.
    """
    queued = bool(row.steps) and row.steps[0].state == "queued"
    later = CLOCKS_APART if queued else UNTIL_SENT
    return -CLOCKS_APART <= moment - _sent_at(message) <= later


def _sent_at(message: MessageRow) -> datetime:
    """Return the time of the message's last call, or of its row."""
    steps = (line.split(" ", 1) for line in reversed(message.steps))
    sent = (moment for moment, step in steps if step in {"sending", "accepted", "unknown"})
    return timestamps.from_text(next(sent, message.created_at))


def _readings(row: ReportRow) -> list[datetime]:
    """Return the time of the row's first step in each of ZONES; empty if it has no time."""
    text = next((step.time for step in row.steps if step.time), None)
    try:
        moment = datetime.fromisoformat(text or "")
        if moment.utcoffset():  # it says which zone it is of
            return [moment.astimezone(UTC)] * len(ZONES)
        return [moment.replace(tzinfo=zone).astimezone(UTC) for zone in ZONES]
    except (ValueError, OverflowError):
        return []


@dataclass(slots=True)
class _Reported:
    """What postbacks have reported so far; ask for one tracking id after the other."""

    _ranks: dict[str, Mapping[str | None, int]] = field(default_factory=dict)

    def has(self, one: _Joined) -> bool:
        """Return whether the row's status is known, or one that ranks above it."""
        if one.message is not None and one.message.rank >= one.rank:
            return True
        if one.tracking_id not in self._ranks:
            self._ranks = {one.tracking_id: self._read(one)}  # a campaign's may be many
        ranks = self._ranks[one.tracking_id]
        if one.message is not None:  # all of its events are this message's, however TO is written
            return max(ranks.values(), default=0) >= one.rank
        without_number = 0 if one.shared else ranks.get(None, 0)
        return max(ranks.get(one.to, 0), without_number) >= one.rank

    @staticmethod
    def _read(one: _Joined) -> Mapping[str | None, int]:
        found = (
            events.of_message(one.message)
            if one.message is not None
            else events.by_tracking_id(one.tracking_id, limit=None)
        )
        ranks: dict[str | None, int] = defaultdict(int)
        for event in found:
            if event.status_step:
                number = event.subscriber_number
                ranks[number] = max(ranks[number], RANKS[event.status_step])
        return ranks


def _postback_of(row: ReportRow) -> tuple[str, str] | None:
    """Return code and STATUS of a settled row's postback, otherwise None."""
    return REPORT_STATES.get(("sms" if row.fallback else row.kind, row.state or ""))


def _event_of(one: _Joined) -> tuple[bytes, Event]:
    """Return the postback that would have reported the row, and its event, as of now.

    The report's times may be of any zone; what was printed is in `status_details`.
    """
    row = one.row
    code, status = _postback_of(row) or ("", "")
    info = next((step.info for step in row.steps if step.info), None)
    values = {
        "ORIGIN": f"{row.kind.upper()}_MT",
        "CODE": code,
        "SENTAS": "SMS" if row.fallback else None,
        "STATUS": status,
        "FROM": row.sender,
        "TO": one.to,
        "TRACKINGID": one.tracking_id,
        "MMSID": None if row.fallback else row.mms_id,
        "STATUSDETAILS": f"from Skycore's report, {row.time or 'without a time'} {info or ''}",
    }
    elements = "".join(f"<{name}>{escape(text)}</{name}>" for name, text in values.items() if text)
    body = f"<POSTBACK>{elements}</POSTBACK>".encode("utf-8", "replace")
    (event,) = read_postback(body, timestamps.now())
    return body, replace(event, data={**event.data, "from_report": True})


def _store(part: Iterable[tuple[bytes, Event]], days: int, *, write: bool) -> list[Event]:
    """Store those of the events that are not stored; return them."""
    distinct = {event.id: (body, event) for body, event in part}
    found = [event for _, event in distinct.values()]
    shared = events.shared_tracking_ids(found)
    stored_copies = events.first_copies(found, shared)
    new = [pair for id_, pair in distinct.items() if id_ not in stored_copies]
    if write and events.put_all([(body, [event]) for body, event in new], days, shared):
        raise TimeoutError("the table did not take every event; run it again")
    return [event for _, event in new]
