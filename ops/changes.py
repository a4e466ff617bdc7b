"""`changes`: who changed what."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING

from ops.command import Command
from ops.output import Result, table
from ops.stack import moment
from skycore.table.audit import changes_since

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from ops.stack import Stack

ABOUT = """\
Lists who called actions that change the Skycore account, and who changed the stack with this tool,
newest first: the role or user, the session's name, and for an action the source address.
`message ID` shows who cancelled a message. It only reads.

  python -m ops changes --since 7d
"""
COLUMNS = ("time", "change", "caller", "session", "address")


def run(stack: Stack, args: Namespace) -> Result:
    """Show the changes since a time."""
    since = args.since or datetime.now(UTC) - timedelta(days=stack.days)
    found = list(islice(changes_since(since), args.limit))
    rows = [[change[name] for name in COLUMNS] for change in found]
    return Result({"changes": found}, [table(COLUMNS, rows), f"{len(found)} changes"])


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--since", type=moment, help="a time, or 2h, 30m, 7d ago (as kept)")
    parser.add_argument("--limit", type=int, default=50, help="maximum number to show (default 50)")


COMMAND: Command = Command("changes", "Show who changed what", ABOUT, run, arguments)
