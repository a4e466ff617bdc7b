"""`replay`: read unparsed postbacks again after a fix, or publish a stretch of events again."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ops import redact
from ops.command import Command
from ops.output import Refused, Result, UsageError, confirm, progress
from ops.stack import MINUTE, moment
from skycore.receiving import republish

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Mapping

    from ops.stack import Stack

ABOUT = """\
Without --since it reads again every postback that could not be read. Those that it can read now are
stored and published as new events with ids of their own. Run it from the release with the fix.

With --since it puts the names of stored events into the publish retry queue. The events are
published again under the same ids, so that subscribers can drop repeats; every subscriber of the
topic gets them. Statuses move and opt-outs are recorded as they were the first time.

  python -m ops replay --dry-run
  python -m ops replay --since 2026-11-22T08:00Z --until 2026-11-22T09:00Z --type sms_received
"""


def run(stack: Stack, args: Namespace) -> Result:
    """Publish events again, or read unparsed postbacks again. Raises Refused."""
    if args.since:
        return _republish(stack, args)
    if args.until or args.type:
        raise UsageError("--until and --type go with --since")
    return _reread(stack, args)


def _reread(stack: Stack, args: Namespace) -> Result:
    progress(f"Reading the unparsed postbacks of {stack.name} again.")
    if not args.dry_run:
        confirm(stack, args, "Store and publish what can be read now?")
    now: Counter[str] = Counter()
    read: list[dict[str, Any]] = []
    lines: list[str] = []
    known = 0
    for one in republish.reread_unparsed(days=stack.days, write=not args.dry_run):
        found = [*one.types, *([f"{one.known} known already"] if one.known else [])]
        words = ", ".join(found) or f"still unreadable: {redact.words(one.error)}"
        lines.append(f"  {one.received_at:%Y-%m-%d %H:%M:%S}Z  {one.event_id}  {words}")
        read.append(
            {
                "event_id": one.event_id,
                "types": one.types,
                "known": one.known,
                "error": redact.words(one.error),
            }
        )
        now.update(one.types)
        known += one.known
    still = sum(not one["types"] and not one["known"] for one in read)
    lines += _counted("would become events" if args.dry_run else "became events", now)
    lines.append(f"{known} were known already; a copy of their postback had been read.")
    lines.append(f"{still} still unreadable; they stay listed (unparsed).")
    data = {
        "dry_run": args.dry_run,
        "read": read,
        "events": now,
        "known": known,
        "still_unreadable": still,
    }
    return Result(data, lines)


def _republish(stack: Stack, args: Namespace) -> Result:
    until = args.until or datetime.now(UTC)
    types = {name if "." in name else f"skycore.{name}" for name in args.type}
    found: Counter[str] = Counter()
    for page in republish.stored_names(args.since, until, types):
        found.update(type_ for type_, _ in page)
    lines = [
        f"Events of {stack.name} that arrived from {args.since:{MINUTE}} to {until:{MINUTE}},",
        f"of {'the types ' + ', '.join(sorted(types)) if types else 'all types'}:",
        *_counted("found", found),
    ]
    data = {"dry_run": args.dry_run, "found": found, "queued": Counter[str]()}
    if args.dry_run or not found:
        return Result(data, lines)
    for line in lines:
        progress(line)
    confirm(stack, args, "Every subscriber gets them again, under the same ids. Publish?")
    queued = data["queued"]
    try:
        for counts in republish.republish(
            args.since, until, types, retry_queue_url=stack.id_of("PublishRetryQueue")
        ):
            queued.update(counts)
    except RuntimeError as error:
        raise Refused(f"{queued.total()} or more queued, then: {error}") from None
    ending = "publish works through them: when the publish retry queue is empty, all are published."
    return Result(data, [*_counted("queued to be published again", queued), ending])


def _counted(what: str, counts: Mapping[str, int]) -> list[str]:
    rows = [f"  {number:>8}  {type_}" for type_, number in sorted(counts.items())]
    return [f"{sum(counts.values())} {what}", *rows]


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--since", type=moment, help="publish again what arrived since, such as 2026-11-22T08:00Z"
    )
    parser.add_argument("--until", type=moment, help="up to then (default: now)")
    parser.add_argument(
        "--type",
        action="append",
        default=[],
        help="only this type, such as sms_delivered; repeat it for more",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="show what would be done, and do nothing"
    )


COMMAND: Command = Command(
    "replay", "Read unparsed postbacks again, or publish events again", ABOUT, run, arguments
)

if __name__ == "__main__":  # as it was called before there was python -m ops
    from ops.__main__ import run_and_exit

    run_and_exit("replay")
