"""`replay`: unparsed postbacks read again after a fix, or a stretch of events published again."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ops.command import Command
from ops.stack import MINUTE, moment
from ops.talk import Answer, Refused, WrongUse, confirm, note
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


def run(stack: Stack, asked: Namespace) -> Answer:
    """Does one or the other. Raises Refused."""
    if asked.since:
        return _republish(stack, asked)
    if asked.until or asked.type:
        raise WrongUse("--until and --type go with --since")
    return _reread(stack, asked)


def _reread(stack: Stack, asked: Namespace) -> Answer:
    note(f"Reading the unparsed postbacks of {stack.name} again.")
    if not asked.dry_run:
        confirm(stack, asked, "Store and publish what is understood now?")
    now: Counter[str] = Counter()
    read: list[dict[str, Any]] = []
    lines: list[str] = []
    for one in republish.reread_unparsed(days=stack.days, write=not asked.dry_run):
        told = ", ".join(one.types) or f"still unreadable: {one.error}"
        lines.append(f"  {one.received_at:%Y-%m-%d %H:%M:%S}Z  {one.event_id}  {told}")
        read.append({"event_id": one.event_id, "types": one.types, "error": one.error})
        now.update(one.types)
    still = sum(not one["types"] for one in read)
    lines += _counted("would become" if asked.dry_run else "became", now)
    lines.append(f"{still} still unreadable; they stay listed (unparsed).")
    data = {"dry_run": asked.dry_run, "read": read, "events": now, "still_unreadable": still}
    return Answer(data, lines)


def _republish(stack: Stack, asked: Namespace) -> Answer:
    until = asked.until or datetime.now(UTC)
    types = {name if "." in name else f"skycore.{name}" for name in asked.type}
    found: Counter[str] = Counter()
    for envelopes in republish.told(asked.since, until, types, source=stack.source):
        found.update(republish.count(envelopes))
    lines = [
        f"Events of {stack.name} that came from {asked.since:{MINUTE}} to {until:{MINUTE}},",
        f"of {'the types ' + ', '.join(sorted(types)) if types else 'all types'}:",
        *_counted("found", found),
    ]
    data = {"dry_run": asked.dry_run, "found": found, "published": Counter[str]()}
    if asked.dry_run or not found:
        return Answer(data, lines)
    for line in lines:
        note(line)
    confirm(stack, asked, "Every subscriber gets them again, under the same ids. Publish?")
    sent = data["published"]
    try:
        for page in republish.republish(
            asked.since, until, types, source=stack.source, topic_arn=stack.topic
        ):
            sent.update(page)
    except RuntimeError as error:
        raise Refused(f"{sent.total()} published, then: {error}") from None
    return Answer(data, _counted("published", sent))


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
