"""`replay`: unparsed postbacks read again after a fix, or a stretch of events published again."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ops.command import Command
from ops.output import Refused, Result, UsageError, confirm, progress
from ops.stack import MINUTE, moment
from skycore.receiving import republish

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Mapping

    from ops.stack import Stack

ABOUT = """\
Without --since it reads every postback again that could not be read; what is understood now is
stored and published as new events with ids of their own. Run it from the release with the fix.

With --since it publishes stored events again, under the ids they had, so that subscribers can
drop what they know. Every subscriber of the topic gets them.

  python -m ops replay --dry-run
  python -m ops replay --since 2026-11-22T08:00Z --until 2026-11-22T09:00Z --type sms_received
"""


def run(stack: Stack, args: Namespace) -> Result:
    """Does one or the other. Raises Refused."""
    if args.since:
        return _republish(stack, args)
    if args.until or args.type:
        raise UsageError("--until and --type go with --since")
    return _reread(stack, args)


def _reread(stack: Stack, args: Namespace) -> Result:
    progress(f"Reading the unparsed postbacks of {stack.name} again.")
    if not args.dry_run:
        confirm(stack, args, "Store and publish what is understood now?")
    now: Counter[str] = Counter()
    read: list[dict[str, Any]] = []
    lines: list[str] = []
    for one in republish.reread_unparsed(days=stack.days, write=not args.dry_run):
        told = ", ".join(one.types) or f"still unreadable: {one.error}"
        lines.append(f"  {one.received_at:%Y-%m-%d %H:%M:%S}Z  {one.event_id}  {told}")
        read.append({"event_id": one.event_id, "types": one.types, "error": one.error})
        now.update(one.types)
    still = sum(not one["types"] for one in read)
    lines += _counted("would become" if args.dry_run else "became", now)
    lines.append(f"{still} still unreadable; they stay listed (unparsed).")
    data = {"dry_run": args.dry_run, "read": read, "events": now, "still_unreadable": still}
    return Result(data, lines)


def _republish(stack: Stack, args: Namespace) -> Result:
    until = args.until or datetime.now(UTC)
    types = {name if "." in name else f"skycore.{name}" for name in args.type}
    found: Counter[str] = Counter()
    for envelopes in republish.iter_events(args.since, until, types, source=stack.source):
        found.update(republish.count_by_type(envelopes))
    lines = [
        f"Events of {stack.name} that came from {args.since:{MINUTE}} to {until:{MINUTE}},",
        f"of {'the types ' + ', '.join(sorted(types)) if types else 'all types'}:",
        *_counted("found", found),
    ]
    data = {"dry_run": args.dry_run, "found": found, "published": Counter[str]()}
    if args.dry_run or not found:
        return Result(data, lines)
    for line in lines:
        progress(line)
    confirm(stack, args, "Every subscriber gets them again, under the same ids. Publish?")
    sent = data["published"]
    try:
        for page in republish.republish(
            args.since, until, types, source=stack.source, topic_arn=stack.topic
        ):
            sent.update(page)
    except RuntimeError as error:
        raise Refused(f"{sent.total()} published, then: {error}") from None
    return Result(data, _counted("published", sent))


def _counted(what: str, counts: Mapping[str, int]) -> list[str]:
    rows = [f"  {number:>8}  {type_}" for type_, number in sorted(counts.items())]
    return [f"{sum(counts.values())} {what}", *rows]


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--since", type=moment, help="publish again what came since, such as 2026-11-22T08:00Z"
    )
    parser.add_argument("--until", type=moment, help="up to then (default: now)")
    parser.add_argument(
        "--type",
        action="append",
        default=[],
        help="only this type, such as sms_delivered; repeat it for more",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="say what would be done, and do nothing"
    )


COMMAND: Command = Command(
    "replay", "Read unparsed postbacks again, or publish events again", ABOUT, run, arguments
)

if __name__ == "__main__":  # as it was called before there was python -m ops
    from ops.__main__ import run_and_exit

    run_and_exit("replay")
