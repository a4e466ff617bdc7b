"""Fills in what no postback told, after an outage of over 25 minutes, from Skycore's report.

    python -m ops.reconcile --stack skycore --since 2026-11-22T08:00Z --until 2026-11-22T09:00Z

Statuses that are missing become events with `from_report` true, and move their messages. The
report costs one call of the account's limits, and Skycore gives only so many a day (E510). AWS
credentials and region are found as the AWS CLI finds them; they must read the stack, the table and
the Skycore key, and write the table.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from datetime import UTC, datetime

import boto3

from ops.stack import chosen, moment, sure

SECONDS = 120.0  # for the call and the file


def main(arguments: list[str] | None = None) -> int:
    """Does what the command line says; 0 if the report was read to its end."""
    asked = _parser().parse_args(arguments)
    stack = chosen(asked)
    key = (
        boto3.Session()
        .client("cloudformation")
        .describe_stack_resource(StackName=stack.name, LogicalResourceId="ApiKey")
    )
    from skycore.flows.gate import Gate  # noqa: PLC0415 - once the table is known
    from skycore.flows.reconcile import reconcile  # noqa: PLC0415
    from skycore.flows.skycore_client import client  # noqa: PLC0415
    from skycore.messages.limits import Limits  # noqa: PLC0415
    from skycore.problems import Problem  # noqa: PLC0415

    names = ("MaxCallsPerSecond", "MaxCallsPerMinute", "MaxCallsPerDay", "PriorityShare")
    until = asked.until or datetime.now(UTC)
    print(f"Skycore's report of {stack.name} from {asked.since} to {until}.")
    if not sure(asked, "Store and publish what no postback told?"):
        return 1
    try:
        found = reconcile(
            client(
                stack.parameters["SkycoreUrl"], key["StackResourceDetail"]["PhysicalResourceId"]
            ),
            Gate(Limits(*(int(stack.parameters[parameter]) for parameter in names))),
            asked.since,
            until,
            days=stack.days,
            deadline=time.monotonic() + SECONDS,
            write=not asked.dry_run,
        )
    except Problem as problem:
        code = problem.members.get("skycore_code", "")
        print(f"{problem.code} {code}: {problem.detail}", file=sys.stderr)
        return 1
    print(f"{found.rows} rows in the report{'' if found.complete else ', which was cut off'}")
    print(f"{len(found.missing)} {'would become' if asked.dry_run else 'became'} events")
    for type_, number in sorted(Counter(found.missing).items()):
        print(f"  {number:>8}  {type_}")
    return 0 if found.complete else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m ops.reconcile",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--stack", help="name of the deployed stack")
    parser.add_argument("--local", action="store_true", help="the stack that make up started")
    parser.add_argument(
        "--since", type=moment, required=True, help="a time, such as 2026-11-22T08:00Z"
    )
    parser.add_argument("--until", type=moment, help="a time; now if not given")
    parser.add_argument("--dry-run", action="store_true", help="say what is missing, store nothing")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    return parser


if __name__ == "__main__":
    sys.exit(main())
