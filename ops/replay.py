"""Reads unparsed postbacks again after a fix, or publishes a stretch of events again.

    python -m ops.replay --stack skycore                      what is understood now becomes events
    python -m ops.replay --stack skycore --since 2026-11-22T08:00Z --until 2026-11-22T09:00Z

Run it from the release that has the fix. AWS credentials and region are found as the AWS CLI finds
them (AWS_PROFILE, AWS_REGION); AWS_ENDPOINT_URL is followed. It needs to describe the stack, to
read the table and its indexes, and to write the table or to publish to the topic.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import boto3

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).resolve().parents[1]


class Stack(NamedTuple):
    """What replaying needs to know of a deployed stack."""

    name: str
    table: str
    topic: str
    days: int

    @property
    def source(self) -> str:
        """The source of its events."""
        return f"urn:skycore:{self.name}"


def main(arguments: list[str] | None = None) -> int:
    """Does what the command line says; 0 if all of it was done."""
    asked = _parser().parse_args(arguments)
    stack_name = use_local_stack() if asked.local else asked.stack
    if not stack_name:
        print("name the stack: --stack NAME, or --local", file=sys.stderr)
        return 2
    stack = describe(stack_name)
    # The table's model reads these when it is imported.
    os.environ["TABLE_NAME"] = stack.table
    os.environ["AWS_REGION"] = boto3.Session().region_name or ""
    os.environ.setdefault("LOG_LEVEL", "WARNING")
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


def sure(asked: argparse.Namespace, question: str) -> bool:
    if asked.yes or asked.dry_run:
        return True
    return input(f"{question} [y/N] ").strip().lower() in {"y", "yes"}


def describe(name: str) -> Stack:
    (stack,) = boto3.Session().client("cloudformation").describe_stacks(StackName=name)["Stacks"]
    outputs = {row["OutputKey"]: row["OutputValue"] for row in stack["Outputs"]}
    parameters = {row["ParameterKey"]: row["ParameterValue"] for row in stack["Parameters"]}
    days = int(parameters["EventRetentionDays"])
    return Stack(name, outputs["TableName"], outputs["EventTopicArn"], days)


def use_local_stack() -> str:
    """Makes the local stack's administrator the one who acts; the stack's name."""
    described = ROOT / os.environ.get("LOCAL_DIR", ".local") / "stack.json"
    if not described.exists():
        raise SystemExit("no local stack is up (make up); for one on AWS: make replay STACK=name")
    stack = json.loads(described.read_text())
    os.environ.update(
        AWS_ENDPOINT_URL=stack["endpoint_url"],
        AWS_ACCESS_KEY_ID=stack["admin_access_key_id"],
        AWS_SECRET_ACCESS_KEY=stack["admin_secret_access_key"],
        AWS_REGION=stack["region"],
        AWS_DEFAULT_REGION=stack["region"],
    )
    name: str = stack["stack_name"]
    return name


def _moment(text: str) -> datetime:
    """A time; without an offset it is UTC."""
    moment = datetime.fromisoformat(text)
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m ops.replay",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--stack", default="", help="the stack's name")
    parser.add_argument("--local", action="store_true", help="the stack that make up brought up")
    parser.add_argument(
        "--since", type=_moment, help="publish again what came since, such as 2026-11-22T08:00Z"
    )
    parser.add_argument("--until", type=_moment, help="up to then (default: now)")
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
