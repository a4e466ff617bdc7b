"""The deployed stack that a command works on: on AWS, or the local one."""

from __future__ import annotations

import json
import os
import re
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from ops import ROOT
from ops.output import Refused, UsageError
from skycore.http import split_arn
from skycore.phone_numbers import NumberError, parse_msisdn
from skycore.table import models
from skycore.table.limits import Limits

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

# An operator waits rather than tries again by hand.
PATIENT = Config(connect_timeout=5, read_timeout=30, retries={"mode": "standard"})
MINUTE = "%Y-%m-%d %H:%MZ"  # a time, for people
LIMITS = ("MaxCallsPerSecond", "MaxCallsPerMinute", "MaxCallsPerDay", "PriorityShare")


class Stack:
    """A deployed stack: its parameters, outputs and resources, and clients of its services."""

    def __init__(self, name: str, *, ask: bool) -> None:
        """Describe the stack `name`; `ask`: whether changes to it need confirmation.

        Raises Refused where there is none, and botocore's errors.
        """
        self.name = name
        self.ask = ask
        # boto3 reads AWS_DEFAULT_REGION alone; AWS_REGION comes first, as for the AWS CLI.
        self._session = boto3.Session(region_name=os.environ.get("AWS_REGION") or None)
        described = self._describe()
        self.parameters = {
            row["ParameterKey"]: row["ParameterValue"] for row in described.get("Parameters", [])
        }
        self.outputs = {
            row["OutputKey"]: row["OutputValue"] for row in described.get("Outputs", [])
        }
        if "TableName" not in self.outputs:
            raise Refused(f"{name} is not a Skycore on AWS stack (no TableName output)")
        self.status = str(described["StackStatus"])
        self.changed: datetime = described.get("LastUpdatedTime", described["CreationTime"])
        self.table = self.outputs["TableName"]
        self.topic = self.outputs["EventTopicArn"]
        self.days = self._whole("EventRetentionDays")
        # The domain's own clients and the table's model find the stack by these.
        os.environ["AWS_REGION"] = self.region
        # And postbacks that the tool reads are read as the stack reads them.
        os.environ["DEFAULT_REGION"] = self.parameters.get("DefaultRegion", "US")
        os.environ["STOP_WORDS"] = self.parameters.get("StopWords", "")
        models.use_table(self.table, self.region)

    @property
    def region(self) -> str:
        """The AWS region."""
        return str(self._session.region_name or "")

    @property
    def source(self) -> str:
        """The source of its events."""
        return f"urn:skycore:{self.name}"

    @property
    def limits(self) -> Limits:
        """The account's limits, as the stack's parameters have them. Raises Refused."""
        return Limits(*(self._whole(name) for name in LIMITS))

    @cached_property
    def resources(self) -> dict[str, tuple[str, str]]:
        """Type and physical id of each resource, by its logical id in template.yaml."""
        pages = self.client("cloudformation").get_paginator("list_stack_resources")
        return {
            row["LogicalResourceId"]: (row["ResourceType"], row["PhysicalResourceId"])
            for page in pages.paginate(StackName=self.name)
            for row in page["StackResourceSummaries"]
            if row.get("PhysicalResourceId")
        }

    def id_of(self, logical_id: str) -> str:
        """The physical id of a resource: a queue's URL, a secret's ARN. Raises Refused."""
        if logical_id not in self.resources:
            raise Refused(f"{self.name} has no {logical_id}: it is a different release")
        return self.resources[logical_id][1]

    @cached_property
    def local(self) -> dict[str, Any] | None:
        """The description in .local/stack.json if this is the stack of make up, otherwise None.

        The file decides, by the stack's name and the endpoint in use. Nothing is read into a host
        name: AWS has many (dual-stack, other partitions, a company's proxy).
        """
        known = _local_description()
        if known is None or known["stack_name"] != self.name:
            return None
        endpoint = self.client("cloudformation").meta.endpoint_url
        same = endpoint.rstrip("/") == str(known["endpoint_url"]).rstrip("/")
        return known if same else None

    def use_hash_secret(self) -> None:
        """Let the domain hash as the stack's functions do. Raises Refused for an older release."""
        os.environ["HASH_SECRET"] = self.id_of("HashSecret")

    @cached_property
    def operator(self) -> str:
        """The ARN of who uses the tool."""
        return str(self.client("sts").get_caller_identity()["Arn"])

    @property
    def identity(self) -> dict[str, str | None]:
        """Who uses the tool: `caller`, and the name of the `session`."""
        return split_arn(self.operator)

    @property
    def api_url(self) -> str:
        """The API with its stage, without a slash at the end."""
        url = self.local["api_url"] if self.local else self.outputs["ApiUrl"]
        return str(url).rstrip("/")

    @property
    def postback_url(self) -> str:
        """The secret URL for Skycore's API Settings."""
        secrets = self.client("secretsmanager")
        token = secrets.get_secret_value(SecretId=self.id_of("PostbackToken"))["SecretString"]
        return f"{self.api_url}/postbacks/{token}"

    def client(self, service: str) -> Any:
        """A client of an AWS service, with the operator's login."""
        return self._session.client(service, config=PATIENT)  # type: ignore[call-overload]

    def credentials(self) -> Any:
        """The operator's own key, to sign a request with."""
        return self._session.get_credentials()

    def _whole(self, name: str) -> int:
        """The value of a parameter that is a whole number. Raises Refused for another."""
        value = self.parameters[name]
        try:
            return int(value)
        except ValueError:
            why = f"parameter {name} of {self.name} is {value}, not a whole number"
            raise Refused(why) from None

    def _describe(self) -> Any:
        client = self.client("cloudformation")
        try:
            return client.describe_stacks(StackName=self.name)["Stacks"][0]
        except client.exceptions.ClientError as error:
            if error.response["Error"]["Code"] != "ValidationError":
                raise
            where = f"in {self.region}, in the account of your AWS login"
            raise Refused(f"there is no stack {self.name} {where}") from None


def parse_number(stack: Stack, text: str, name: str = "the number") -> str:
    """Return a number that an operator wrote, in digits. Raises UsageError, with `name`."""
    try:
        return parse_msisdn(text, default_region=stack.parameters["DefaultRegion"])
    except NumberError as error:
        raise UsageError(f"{name} {error.detail}") from None


def resolve_stack(args: argparse.Namespace) -> Stack:
    """Return the stack that --stack names, else the local one. Raises UsageError, Refused."""
    if args.stack and args.local:
        raise UsageError("pass either --stack or --local, not both")
    if args.stack:
        return Stack(args.stack, ask=True)
    return Stack(_use_local_stack(), ask=False)


def local_stack_changed(stack: Stack, **values: str) -> None:
    """Write new values into .local/stack.json, where clients of the local stack find them."""
    if not stack.ask:
        file = _local_stack_file()
        file.write_text(json.dumps({**json.loads(file.read_text()), **values}, indent=2) + "\n")


def _local_stack_file() -> Path:
    return ROOT / os.environ.get("LOCAL_DIR", ".local") / "stack.json"


def _local_description() -> dict[str, Any] | None:
    """What make up wrote about the local stack; None if none is up."""
    file = _local_stack_file()
    if not file.exists():
        return None
    described: dict[str, Any] = json.loads(file.read_text())
    return described


def _use_local_stack() -> str:
    """Act as the local stack's administrator; return the stack's name."""
    stack = _local_description()
    if stack is None:
        raise UsageError(
            "no local stack is running (start one with make up); for one on AWS, pass --stack NAME"
        )
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
        os.environ.pop(name, None)
    os.environ.update(
        AWS_ENDPOINT_URL=stack["endpoint_url"],
        AWS_ACCESS_KEY_ID=stack["admin_access_key_id"],
        AWS_SECRET_ACCESS_KEY=stack["admin_secret_access_key"],
        AWS_REGION=stack["region"],
        AWS_DEFAULT_REGION=stack["region"],
    )
    return str(stack["stack_name"])


def moment(text: str) -> datetime:
    """A time, in UTC unless it has an offset; or how long ago: 90m, 2h, 7d. Raises ValueError."""
    ago = re.fullmatch(r"(\d{1,6})([mhd])", text)
    if ago:
        unit = {"m": "minutes", "h": "hours", "d": "days"}[ago[2]]
        return datetime.now(UTC) - timedelta(**{unit: int(ago[1])})
    told = datetime.fromisoformat(text)
    return told.astimezone(UTC) if told.tzinfo else told.replace(tzinfo=UTC)
