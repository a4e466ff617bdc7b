"""`messages` and `message ID`: find a message, see what became of it and why."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from ops import redact
from ops.command import Command
from ops.stack import moment
from ops.talk import Answer, Refused, WrongUse, table
from skycore import serializers, timestamps
from skycore.catalogue.errors import find_error
from skycore.catalogue.statuses import RANKS
from skycore.client.numbers import NumberError, parse_msisdn
from skycore.problems import Problem
from skycore.queries.messages import get_event, get_message
from skycore.serializers import event_envelope, owners_of
from skycore.table import events, messages, pagination
from skycore.table.models import Row
from skycore.table.pagination import Span

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterator

    from rich.console import RenderableType

    from ops.stack import Stack

A_DAY = timedelta(days=1)
MATCH = ("time", "event", "tracking_id")
ONE = """\
ID is a message's id, a tracking id of Skycore's, or an event's id. It shows the status and why, the
timeline of our own steps and of Skycore's reports, and the events. Of a message whose outcome is
unknown it shows possible_match: receipts to its number that belong to no message; their tracking
ids show their events. It reads only.

Numbers show their last two digits, texts are left out; --show shows what is kept.

  python -m ops message 181a92994528065198427e20c6278646
  python -m ops message U01TXzUzNzEzNzA2NTE= --show
"""
MANY = """\
Messages, newest first, by status and time or by number. It reads only. Without --to it reads every
message since --since until it has found --limit: keep that short on a busy stack.

--since and --until are of when a message was made, not of its last change: one that failed just
now may be from yesterday. A direct send that was refused because nothing could be sent (429, 502,
503, recipient_opted_out) left no message; the log of send has it.

  python -m ops messages --status failed --since 2h
  python -m ops messages --status unknown --status rejected --since 2026-11-22T08:00Z
  python -m ops messages --to '+1 774-319-9144' --since 7d
"""


def one(stack: Stack, asked: Namespace) -> Answer:
    """One message, or one event. Raises Refused where there is neither."""
    pointer = messages.pointers([asked.id]).get(asked.id)
    try:
        view = get_message(pointer.message_id if pointer else asked.id)
    except Problem:
        return _event(stack, asked)
    data = {**redact.message(view, show=asked.show), **_why(view["message_id"])}
    data["events"] = _events(stack, asked, view["tracking_id"])
    return Answer(data, _shown(data))


def _events(stack: Stack, asked: Namespace, tracking_id: str | None) -> list[dict[str, Any]]:
    """What Skycore said under a tracking id, in order of arrival."""
    told = events.of_tracking_id(tracking_id) if tracking_id else []
    told.sort(key=lambda event: event.received_at)
    owners = owners_of(told)
    envelopes = (
        event_envelope(events.StoredEvent(event, b""), owners, stack.source) for event in told
    )
    return [redact.event(envelope, show=asked.show) for envelope in envelopes]


def _why(message_id: str) -> dict[str, Any]:
    """What the row says beyond what callers are shown: why it failed, how often it was tried."""
    row = messages.get(message_id)
    if row is None:
        return {}
    code = find_error(row.code) if row.code else None
    told: dict[str, Any] = {
        "why": redact.words(row.detail),
        "skycore_code_means": code.meaning if code else None,
    }
    if row.status == "queued":
        told |= {
            "failed_tries": int(row.tries),
            "not_before": row.not_before,
            "send_by": row.deadline,
        }
    return {name: value for name, value in told.items() if value is not None}


def _event(stack: Stack, asked: Namespace) -> Answer:
    """An event, or all under a tracking id that belongs to no message, as in a possible match."""
    if told := _events(stack, asked, asked.id):
        rows = [[event["time"], event["type"], event["id"]] for event in told]
        shown = [table(("time", "events of no message", "id"), rows)]
        return Answer({"message_id": None, "tracking_id": asked.id, "events": told}, shown)
    try:
        envelope = get_event(asked.id, source=stack.source)
    except Problem:
        raise Refused("no message, tracking id or event has this id") from None
    data = redact.event(envelope, show=asked.show)
    return Answer(data, [table(("", ""), data.items())])


def many(stack: Stack, asked: Namespace) -> Answer:
    """The messages that are asked for. Raises WrongUse for a number that is none."""
    now = datetime.now(UTC)
    since = asked.since or now - A_DAY
    span = Span("message", since, asked.until or now + timedelta(minutes=1), None)
    found: list[dict[str, Any]] = []
    for row in _rows(stack, asked, span):
        view = serializers.message(row, timestamps.now())
        if not asked.status or view["status"] in asked.status:
            found.append(redact.message(view, show=asked.show))
        if len(found) == asked.limit:
            break
    columns = ("created_at", "message_id", "status", "skycore_code", "action", "to", "from")
    rows = [[view.get(column) for column in columns] for view in found]
    ending = f"{len(found)} messages since {since:%Y-%m-%d %H:%M}Z"
    return Answer({"messages": found}, [*([table(columns, rows)] if rows else []), ending])


def _rows(stack: Stack, asked: Namespace, span: Span) -> Iterator[messages.MessageRow]:
    index, periods = Row.by_day, pagination.days
    if asked.to:
        try:
            number = parse_msisdn(asked.to, default_region=stack.parameters["DefaultRegion"])
        except NumberError as error:
            raise WrongUse(f"--to {error.detail}") from None
        index, periods = Row.by_number, pagination.months_of(number)  # type: ignore[assignment]
    for keys in pagination.all_pages(index, periods, span):
        rows = messages.get_many(keys)
        yield from (rows[key] for key in keys if key in rows)


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
    parser.add_argument("id", metavar="ID", help="of a message or an event, or a tracking id")
    parser.add_argument("--show", action="store_true", help="show numbers and texts too")


def arguments_of_many(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--status", action="append", choices=sorted(RANKS), help="repeat it for more"
    )
    parser.add_argument("--to", metavar="NUMBER", help="only messages to this number")
    parser.add_argument("--since", type=moment, help="made since: a time, or 2h, 30m, 7d ago (1d)")
    parser.add_argument("--until", type=moment, help="made until: the same (default: now)")
    parser.add_argument("--limit", type=int, default=50, help="the most that are shown (50)")
    parser.add_argument("--show", action="store_true", help="show numbers too")


COMMANDS = (
    Command("messages", "Find messages by status, time or number", MANY, many, arguments_of_many),
    Command("message", "What became of a message, and why", ONE, one, arguments_of_one),
)
