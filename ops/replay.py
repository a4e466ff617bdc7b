"""Reads unparsed postbacks again after a fix, or publishes a stretch of events again.

    python -m ops.replay --stack skycore                      what is understood now becomes events
    python -m ops.replay --stack skycore --since 2026-11-22T08:00Z --until 2026-11-22T09:00Z

Run it from the release that has the fix. AWS credentials and region are found as the AWS CLI finds
them (AWS_PROFILE, AWS_REGION); AWS_ENDPOINT_URL is followed. It needs to describe the stack, to
read the table and its indexes, and to write the table or to publish to the topic.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ops.stack import Stack, chosen, moment, sure

if TYPE_CHECKING:
    from collections.abc import Mapping


def main(arguments: list[str] | None = None) -> int:
    """Does what the command line says; 0 if all of it was done."""
    asked = _parser().parse_args(arguments)
    stack = chosen(asked)
    done = _republish(stack, asked) if asked.since else _reread(stack, asked)
    return 0 if done else 1


def _reread(stack: Stack, asked: argparse.Namespace) -> bool:
    from skycore.flows.replay import reread_unparsed  # noqa: PLC0415 - once it knows its table

    print(f"Reading the unparsed postbacks of {stack.name} again.")
    if not sure(asked, "Store and publish what is understood now?"):
        return False
    now: Counter[str] = Counter()
    still = 0
    for one in reread_unparsed(days=stack.days, write=not asked.dry_run):
        told = ", ".join(one.types) or f"still unreadable: {one.error}"
        print(f"  {one.received_at:%Y-%m-%d %H:%M:%S}Z  {one.event_id}  {told}")
        now.update(one.types)
        still += not one.types
    _say("would become" if asked.dry_run else "became", now)
    print(f"{still} still unreadable; they stay listed at GET /postbacks/unparsed.")
    return True


def _republish(stack: Stack, asked: argparse.Namespace) -> bool:
    from skycore.flows import replay  # noqa: PLC0415 - once it knows its table

    until = asked.until or datetime.now(UTC)
    types = {name if "." in name else f"skycore.{name}" for name in asked.type}
    print(f"Events of {stack.name} that came from {asked.since} to {until},")
    print(f"of {'the types ' + ', '.join(sorted(types)) if types else 'all types'}:")
    found: Counter[str] = Counter()
    for envelopes in replay.told(asked.since, until, types, source=stack.source):
        found.update(replay.count(envelopes))
    _say("found", found)
    if asked.dry_run or not found:
        return True
    if not sure(asked, "Every subscriber gets them again, under the same ids. Publish?"):
        return False
    sent: Counter[str] = Counter()
    pages = replay.republish(asked.since, until, types, source=stack.source, topic_arn=stack.topic)
    for page in pages:
        sent.update(page)
        print(f"  {sent.total()} published", end="\r")
    _say("published", sent)
    return True


def _say(what: str, counts: Mapping[str, int]) -> None:
    print(f"{sum(counts.values())} {what}")
    for type_, number in sorted(counts.items()):
        print(f"  {number:>8}  {type_}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m ops.replay",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--stack", default="", help="the stack's name")
    parser.add_argument("--local", action="store_true", help="the stack that make up brought up")
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
    parser.add_argument("--yes", action="store_true", help="do not ask")
    return parser


if __name__ == "__main__":
    sys.exit(main())
