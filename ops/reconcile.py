"""`reconcile`: backfill delivery statuses from Skycore's report after an outage."""

from __future__ import annotations

import time
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ops.command import Command
from ops.output import Refused, Result, confirm, progress
from ops.stack import MINUTE, moment
from skycore.client.errors import SkycoreError
from skycore.problems import Problem
from skycore.receiving.reconcile import reconcile
from skycore.sending.delivery import skycore_client
from skycore.sending.rate_limit import RateLimiter
from skycore.sending.send import fetch_report

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from ops.stack import Stack

SECONDS = 120.0  # for the call and the file
ABOUT = """\
Skycore gives a postback up 25 minutes after the first try. After an outage that was longer, this
asks for Skycore's report of sent messages. Statuses that are missing become events with
from_report true, and move their messages.

The report costs one call of the account's limits, and Skycore gives only so many a day (E510).

  python -m ops reconcile --since 2026-11-22T08:00Z --until 2026-11-22T09:00Z --dry-run
"""


def run(stack: Stack, args: Namespace) -> Result:
    """Well if the report was read to its end. Raises Refused."""
    until = args.until or datetime.now(UTC)
    progress(f"Skycore's report of {stack.name} from {args.since:{MINUTE}} to {until:{MINUTE}}.")
    if not args.dry_run:
        confirm(stack, args, "Store and publish the statuses that are missing?")
    try:
        report = fetch_report(
            skycore_client(stack.parameters["SkycoreUrl"], stack.id_of("ApiKey")),
            RateLimiter(stack.limits),
            args.since,
            until,
            deadline=time.monotonic() + SECONDS,
        )
    except Problem as problem:
        code = problem.members.get("skycore_code", "")
        raise Refused(f"{problem.code} {code}: {problem.detail}") from None
    except SkycoreError as error:
        raise Refused(f"The report's file was not read: {type(error).__name__}.") from None
    found = reconcile(report, days=stack.days, write=not args.dry_run)
    types = Counter(found.missing)
    lines = [
        f"{found.rows} rows in the report{'' if found.complete else ', which was cut off'}",
        f"{len(found.missing)} {'would become' if args.dry_run else 'became'} events",
        *(f"  {number:>8}  {type_}" for type_, number in sorted(types.items())),
    ]
    data = {
        "dry_run": args.dry_run,
        "rows": found.rows,
        "complete": found.complete,
        "events": types,
    }
    return Result(data, lines, ok=found.complete)


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--since", type=moment, required=True, help="a time, such as 2026-11-22T08:00Z"
    )
    parser.add_argument("--until", type=moment, help="a time; now if not given")
    parser.add_argument("--dry-run", action="store_true", help="say what is missing, store nothing")


COMMAND: Command = Command(
    "reconcile", "Backfill delivery statuses from Skycore's report", ABOUT, run, arguments
)

if __name__ == "__main__":  # as it was called before there was python -m ops
    from ops.__main__ import run_and_exit

    run_and_exit("reconcile")
