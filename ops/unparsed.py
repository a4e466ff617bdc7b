"""`unparsed`: the postbacks that could not be read."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING

from ops import redact
from ops.command import Command
from ops.output import Result, table
from ops.stack import moment
from skycore import timestamps
from skycore.table import events, pagination
from skycore.table.models import Row
from skycore.table.pagination import TimeRange

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from ops.stack import Stack

ABOUT = """\
Lists postbacks that could not be read. They are kept whole, and published as skycore.unparsed.
After a fix, replay turns them into events. It only reads. --show shows the bodies, which contain
numbers and texts.

  python -m ops unparsed --since 7d
  python -m ops unparsed --limit 1 --show
"""


def run(stack: Stack, args: Namespace) -> Result:
    """Show the unparsed events, newest first."""
    now = datetime.now(UTC)
    since = args.since or now - timedelta(days=stack.days)
    span = TimeRange("event", since, now + timedelta(minutes=1), None)
    pages = pagination.iter_pages(Row.by_state, pagination.unbounded(events.UNPARSED), span)
    found = (one for page in pages for one in events.get_by_keys(page).values())
    rows = list(islice(found, args.limit + 1))  # one more shows whether there are more
    more = len(rows) > args.limit
    rows = rows[: args.limit]
    data = []
    for one in rows:
        told = {
            "event_id": one.event.id,
            "received_at": timestamps.to_text(one.event.received_at),
            "error": redact.words(one.event.data.get("error")),
            "bytes": len(one.raw),
        }
        if args.show:
            told["raw"] = base64.b64encode(one.raw).decode()
        data.append(told)
    columns = ("received_at", "event_id", "bytes", "error")
    shown = [table(columns, [[told[column] for column in columns] for told in data])]
    bodies = [line for one in rows for line in ("", one.event.id, repr(one.raw)) if args.show]
    count = f"the newest {len(data)}" if more else str(len(data))
    ending = f"{count} unparsed postbacks since {since:%Y-%m-%d %H:%M}Z"
    return Result({"events": data, "more": more}, [*(shown if data else []), *bodies, ending])


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--since", type=moment, help="a time, or 2h, 30m, 7d ago (default: all)")
    parser.add_argument("--limit", type=int, default=50, help="maximum number to show (default 50)")
    parser.add_argument("--show", action="store_true", help="show the bodies too")


COMMAND: Command = Command(
    "unparsed", "List postbacks that could not be read", ABOUT, run, arguments
)
