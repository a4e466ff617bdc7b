"""`messages` and `message ID`: find a message, see what became of it and why."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from ops import redact
from ops.command import Command
from ops.output import Refused, Result, table
from ops.stack import moment, parse_number
from skycore import serializers, timestamps
from skycore.catalogue.actions import find_error
from skycore.catalogue.statuses import RANKS
from skycore.problems import Problem
from skycore.queries.messages import by_reference, get_event, get_message
from skycore.serializers import event_envelope, tracking_rows_of
from skycore.table import events, messages, models, pagination
from skycore.table.models import Row
from skycore.table.pagination import TimeRange

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterator

    from rich.console import RenderableType

    from ops.stack import Stack

A_DAY = timedelta(days=1)
PAGE = 100  # messages of a reference that one call reads
COLUMNS = ("created_at", "message_id", "status", "skycore_code", "action", "to", "from", "caller")
MATCH = ("time", "event", "tracking_id")
ONE = """\
ID is the id of a message or an event, or Skycore's tracking id. It shows the status and the reason,
the timeline of the stack's steps and Skycore's reports, and the events. For a message whose outcome
is unknown it shows possible_match: receipts for its number that belong to no message. Run it with
their tracking ids to see their events. It only reads.

It shows the last two digits of numbers, and no texts; --show shows what is kept.

  python -m ops message 181a92994528065198427e20c6278646
  python -m ops message U01TXzUzNzEzNzA2NTE= --show
"""
MANY = """\
Lists messages, newest first, by status and time, by number or by client_reference. It only reads.
Without --to and --reference it reads every message since --since until it has found --limit: keep
that short on a busy stack.

--since and --until compare when a message was created, not when it last changed: one that failed
just now may be from yesterday. Scheduled messages show their send_at. A direct send that was
refused because nothing could be sent (429, 502, 503, recipient_opted_out) left no message; the log
of send has it.

  python -m ops messages --status failed --since 2h
  python -m ops messages --status unknown --status rejected --since 2026-11-22T08:00Z
  python -m ops messages --status scheduled --since 35d
  python -m ops messages --to '+1 774-319-9144' --since 7d
  python -m ops messages --reference order-4711 --since 30d
  python -m ops messages --caller arn:aws:sts::111122223333:assumed-role/shop --since 1h
"""


def one(stack: Stack, args: Namespace) -> Result:
    """Show one message, or one event. Raises Refused if there is neither."""
    pointer = messages.messages_by_tracking_id([args.id]).get(args.id)
    try:
        view = get_message(pointer.message_id if pointer else args.id)
    except Problem:
        return _event(stack, args)
    data = {**redact.message(view, show=args.show), **_why(view["message_id"])}
    data["events"] = _events(stack, args, view["tracking_id"])
    return Result(data, _shown(data))


def _events(stack: Stack, args: Namespace, tracking_id: str | None) -> list[dict[str, Any]]:
    """Return Skycore's events under a tracking id, in order of arrival."""
    found = events.by_tracking_id(tracking_id) if tracking_id else []
    found.sort(key=lambda event: event.received_at)
    tracking_rows = tracking_rows_of(found)
    statuses = messages.statuses(owner.message_id for owner in tracking_rows.values())
    envelopes = (
        event_envelope(events.StoredEvent(event, b""), tracking_rows, statuses, stack.source)
        for event in found
    )
    return [redact.event(envelope, show=args.show) for envelope in envelopes]


def _why(message_id: str) -> dict[str, Any]:
    """Return what the row has beyond what callers see: why it failed, how often it was tried."""
    row = messages.get(message_id)
    if row is None:
        return {}
    code = find_error(row.code) if row.code else None
    details: dict[str, Any] = {
        "cancelled_by": row.cancelled_by and row.cancelled_by.as_dict(),
        "why": redact.words(row.detail),
        "resolved_by": row.resolved_by,
        "reason": redact.words(row.reason),
        "skycore_code_means": code.meaning if code else None,
    }
    if row.status == "queued":
        details |= {
            "failed_tries": int(row.tries),
            "not_before": row.not_before,
            "waits_until": _text(models.parked_until(row.state)),
            "send_by": row.deadline,
        }
    return {name: value for name, value in details.items() if value is not None}


def _text(time: datetime | None) -> str | None:
    return timestamps.to_text(time) if time else None


def _event(stack: Stack, args: Namespace) -> Result:
    """Show an event, or all under a tracking id without a message, as in a possible match."""
    if found := _events(stack, args, args.id):
        rows = [[event["time"], event["type"], event["id"]] for event in found]
        shown = [table(("time", "events of no message", "id"), rows)]
        return Result({"message_id": None, "tracking_id": args.id, "events": found}, shown)
    try:
        envelope = get_event(args.id, source=stack.source)
    except Problem:
        raise Refused("no message, tracking id or event has this id") from None
    data = redact.event(envelope, show=args.show)
    return Result(data, [table(("", ""), data.items())])


def many(stack: Stack, args: Namespace) -> Result:
    """Show the messages that match. Raises UsageError for an invalid number."""
    now = datetime.now(UTC)
    since = args.since or now - A_DAY
    span = TimeRange("message", since, args.until or now + timedelta(minutes=1), None)
    found: list[dict[str, Any]] = []
    for row in _rows(stack, args, span):
        view = serializers.message(row, timestamps.now())
        if args.caller and args.caller not in {row.caller, _role_name(row.caller)}:
            continue
        if not args.status or view["status"] in args.status:
            found.append(redact.message(view, show=args.show))
        if len(found) == args.limit:
            break
    columns = list(COLUMNS)
    if any("send_at" in view for view in found):
        columns.insert(3, "send_at")
    rows = [[view.get(column) for column in columns] for view in found]
    ending = f"{len(found)} messages since {since:%Y-%m-%d %H:%M}Z"
    return Result({"messages": found}, [*([table(columns, rows)] if rows else []), ending])


def _role_name(caller: str | None) -> str | None:
    """Return what a caller's ARN ends with: the name of the role or user."""
    return caller.rpartition("/")[2] if caller else None


def _rows(stack: Stack, args: Namespace, span: TimeRange) -> Iterator[messages.MessageRow]:
    if args.reference:
        yield from _by_reference(args.reference, span)
        return
    index, periods = Row.by_day, pagination.by_day
    if args.to:
        number = parse_number(stack, args.to, "--to")
        index, periods = Row.by_number, pagination.by_month(number)  # type: ignore[assignment]
    for keys in pagination.iter_pages(index, periods, span):
        rows = messages.get_many(keys)
        yield from (rows[key] for key in keys if key in rows)


def _by_reference(reference: str, span: TimeRange) -> Iterator[messages.MessageRow]:
    while True:
        rows, cursor = by_reference(reference, span, PAGE)
        yield from rows
        if cursor is None:
            return
        span = replace(span, cursor=cursor)


def _shown(data: dict[str, Any]) -> list[RenderableType]:
    lists = ("timeline", "events", "possible_match")
    head = [(name, value) for name, value in data.items() if name not in lists]
    steps = [
        [step.get(name) for name in ("time", "event", "code", "status", "details")]
        for step in data["timeline"]
    ]
    shown: list[RenderableType] = [
        table(("", ""), head),
        "",
        table(("timeline", "event", "code", "status", "details"), steps),
    ]
    if data["events"]:
        rows = [[event["type"], event["id"]] for event in data["events"]]
        shown += ["", table(("events of Skycore", "id"), rows)]
    if data.get("possible_match"):
        matches = [[match[name] for name in MATCH] for match in data["possible_match"]]
        shown += ["", table(("possible match", "event", "tracking id"), matches)]
    return shown


def arguments_of_one(parser: ArgumentParser) -> None:
    parser.add_argument("id", metavar="ID", help="id of a message or event, or a tracking id")
    parser.add_argument("--show", action="store_true", help="show numbers and texts too")


def arguments_of_many(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--status", action="append", choices=sorted(RANKS), help="only this status; repeatable"
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--to", metavar="NUMBER", help="only messages to this number")
    where.add_argument(
        "--reference", metavar="REFERENCE", help="only messages with this client_reference"
    )
    parser.add_argument("--caller", help="only messages of this role or user: its ARN, or its name")
    parser.add_argument(
        "--since", type=moment, help="created since: a time, or 2h, 30m, 7d ago (default 1d)"
    )
    parser.add_argument("--until", type=moment, help="created until: the same (default: now)")
    parser.add_argument("--limit", type=int, default=50, help="maximum number to show (default 50)")
    parser.add_argument("--show", action="store_true", help="show numbers too")


COMMANDS = (
    Command(
        "messages",
        "Find messages by status, time, number or reference",
        MANY,
        many,
        arguments_of_many,
    ),
    Command("message", "Show what happened to a message, and why", ONE, one, arguments_of_one),
)
