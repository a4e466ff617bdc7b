"""`reconcile`: backfill the statuses that no postback reported from Skycore's report."""

from __future__ import annotations

import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ops.command import Command
from ops.output import Refused, Result, confirm, progress, table
from ops.queues import depths
from ops.stack import MINUTE, moment
from skycore.client.errors import InvalidRequest, SkycoreError
from skycore.client.report import read_report
from skycore.logs import mask_number
from skycore.problems import Problem
from skycore.receiving.reconcile import reconcile
from skycore.sending.delivery import skycore_client
from skycore.sending.rate_limit import RateLimiter
from skycore.sending.send import fetch_report

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from ops.stack import Stack
    from skycore.client.report import Report
    from skycore.receiving.reconcile import Unmatched

SECONDS = 120.0  # for the call and the file
MAX_SHOWN_LENGTH = 40  # characters of an id or a time of the report
SHOWN = 20  # rows that could not be joined; --json has all of them
ABOUT = """\
Skycore gives up on a postback 25 minutes after the first try. After a longer outage, this
asks for Skycore's report of sent messages. Statuses that no postback reported become events with
from_report true, and move their messages.

The report has no tracking ids, so its rows are joined to messages by kind, numbers, content and
time. Rows that fit no message, or several, are listed; the exit code is then 1. It has not been
tried with a live account: run it with --dry-run first, and compare.

Redrive the postbacks in dead-letter queues first: they say more than the report does.

The report costs one call of the account's limits, and Skycore allows only so many a day (E510).
--file reads a report that you have downloaded.

  python -m ops reconcile --since 2026-11-22T08:00Z --until 2026-11-22T09:00Z --dry-run
"""


def run(stack: Stack, args: Namespace) -> Result:
    """Return ok if the whole report was read and each final status is known. Raises Refused."""
    _check_postbacks(stack, args)
    if not args.dry_run:
        confirm(stack, args, "Store and publish what no postback reported?")
    report = read_report(args.file.read_bytes()) if args.file else _fetch(stack, args)
    found = reconcile(report, days=stack.days, write=not args.dry_run)
    types = Counter(found.missing)
    reasons = Counter(one.reason for one in found.unmatched)
    lines: list[Any] = [
        f"{found.rows} rows in the report{'' if found.complete else ', which was cut off'}",
        f"{len(found.missing)} {'would become' if args.dry_run else 'became'} events",
        *(f"  {number:>8}  {type_}" for type_, number in sorted(types.items())),
        f"{found.known} known already, {found.unsettled} without a final status",
        f"{len(found.unmatched)} could not be joined to a message",
        *(f"  {number:>8}  {reason}" for reason, number in sorted(reasons.items())),
    ]
    unmatched = [_unmatched(one) for one in found.unmatched]
    if unmatched:
        rows = [[one[name] for name in COLUMNS] for one in unmatched[:SHOWN]]
        lines += [table(COLUMNS, rows)]
    if len(unmatched) > SHOWN:
        lines.append(f"{len(unmatched) - SHOWN} more: --json lists all of them")
    data = {
        "dry_run": args.dry_run,
        "rows": found.rows,
        "complete": found.complete,
        "events": types,
        "known": found.known,
        "unsettled": found.unsettled,
        "unmatched": unmatched,
    }
    return Result(data, lines, ok=found.complete and not unmatched)


COLUMNS = ("kind", "section", "id", "group", "to", "state", "time", "reason")


def _unmatched(one: Unmatched) -> dict[str, str | None]:
    """Return what names a row: its ids, and no more than two digits of its number."""
    row = one.row
    return {
        "kind": row.kind,
        "section": row.section,
        "id": _printable(row.history_id),
        "group": _printable(row.group_id),
        "to": mask_number(row.to),
        "state": row.state,
        "time": _printable(row.time),
        "reason": one.reason,
    }


def _printable(text: str | None) -> str | None:
    """Return a foreign value as a terminal may show it."""
    return text and "".join(filter(str.isprintable, text))[:MAX_SHOWN_LENGTH]


def _check_postbacks(stack: Stack, args: Namespace) -> None:
    """Raise Refused while postbacks wait: the report would make other events of what they say."""
    counts = {
        logical_id: sum(depths(stack, logical_id).values())
        for logical_id in ("PostbackQueue", "PostbackDeadLetterQueue")
    }
    waiting = [f"{count} in the {logical_id}" for logical_id, count in counts.items() if count]
    if not waiting:
        return
    why = f"Postbacks wait ({', '.join(waiting)}). Redrive them first, or discard them"
    if not args.dry_run:
        raise Refused(f"{why}; otherwise they may be reported a second time, under another id.")
    progress(f"{why}.")


def _fetch(stack: Stack, args: Namespace) -> Report:
    """Return Skycore's report. Raises Refused."""
    until = args.until or datetime.now(UTC)
    progress(f"Skycore's report of {stack.name} from {args.since:{MINUTE}} to {until:{MINUTE}}.")
    try:
        return fetch_report(
            skycore_client(stack.parameters["SkycoreUrl"], stack.id_of("ApiKey")),
            RateLimiter(stack.limits),
            args.since,
            until,
            deadline=time.monotonic() + SECONDS,
        )
    except Problem as problem:
        code = problem.members.get("skycore_code", "")
        raise Refused(f"{problem.code} {code}: {problem.detail}") from None
    except InvalidRequest as error:
        why = "; ".join(f"{fault.field} {fault.detail}" for fault in error.errors)
        detail = "Skycore's reply links to another host, from which nothing is fetched"
        raise Refused(f"{detail}: {why}. Download the report and pass it with --file.") from None
    except SkycoreError as error:
        raise Refused(f"The report's file was not read: {type(error).__name__}.") from None


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--since", type=moment, required=True, help="a time, such as 2026-11-22T08:00Z"
    )
    parser.add_argument(
        "--file", type=Path, help="a downloaded report to read instead of requesting one"
    )
    parser.add_argument("--until", type=moment, help="a time (default: now)")
    parser.add_argument(
        "--dry-run", action="store_true", help="show what is missing, and store nothing"
    )


COMMAND: Command = Command(
    "reconcile", "Backfill delivery statuses from Skycore's report", ABOUT, run, arguments
)

if __name__ == "__main__":  # as it was called before there was python -m ops
    from ops.__main__ import run_and_exit

    run_and_exit("reconcile")
