"""The stack that an operator's command works on, and how the command asks before it writes."""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import boto3

if TYPE_CHECKING:
    import argparse

ROOT = Path(__file__).resolve().parents[1]


class Stack(NamedTuple):
    """What an operator's command needs to know of a deployed stack."""

    name: str
    table: str
    topic: str
    days: int
    parameters: dict[str, str]

    @property
    def source(self) -> str:
        """The source of its events."""
        return f"urn:skycore:{self.name}"


def chosen(asked: argparse.Namespace) -> Stack:
    """The stack that --stack or --local names, with the environment set for its table.

    The table's model reads the environment when it is imported: import it after this. Ends the
    command with exit code 2 where no stack is named.
    """
    name = _use_local_stack() if asked.local else asked.stack
    if not name:
        print("name the stack: --stack NAME, or --local", file=sys.stderr)
        raise SystemExit(2)
    stack = _describe(name)
    os.environ["TABLE_NAME"] = stack.table
    os.environ["AWS_REGION"] = boto3.Session().region_name or ""
    os.environ.setdefault("LOG_LEVEL", "WARNING")
    return stack


def sure(asked: argparse.Namespace, question: str) -> bool:
    if asked.yes or asked.dry_run:
        return True
    return input(f"{question} [y/N] ").strip().lower() in {"y", "yes"}


def _describe(name: str) -> Stack:
    (stack,) = boto3.Session().client("cloudformation").describe_stacks(StackName=name)["Stacks"]
    outputs = {row["OutputKey"]: row["OutputValue"] for row in stack["Outputs"]}
    parameters = {row["ParameterKey"]: row["ParameterValue"] for row in stack["Parameters"]}
    days = int(parameters["EventRetentionDays"])
    return Stack(name, outputs["TableName"], outputs["EventTopicArn"], days, parameters)


def _use_local_stack() -> str:
    """Makes the local stack's administrator the one who acts; the stack's name."""
    described = ROOT / os.environ.get("LOCAL_DIR", ".local") / "stack.json"
    if not described.exists():
        raise SystemExit("no local stack is up (make up); for one on AWS: STACK=name")
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


def moment(text: str) -> datetime:
    """A time; without an offset it is UTC."""
    told = datetime.fromisoformat(text)
    return told.astimezone(UTC) if told.tzinfo else told.replace(tzinfo=UTC)
