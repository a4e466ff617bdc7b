"""The commands of docs/upgrade.md for a first deployment that fails, run as they stand.

The stack has the template's resources that hold data, and one that cannot be created. Functions
and API are left out: they need a build, and no rule keeps them when a deployment fails. MiniStack's
CloudFormation deletes a protected table in a rollback, where AWS's ends in ROLLBACK_FAILED; so the
commands for that table run on a table that the test protects itself.
"""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from local.paths import REGION
from tests.emulator import Emulator, running
from tests.integration.conftest import ROOT
from tests.long.test_recovery import AWS, PATIENCE, commands
from tests.patience import until
from tests.template.conftest import Template

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]

READ, DELETE, DELETE_TABLE = commands("docs/upgrade.md", "When it fails")
BODY = Template().body
DATA = {
    name: resource
    for name, resource in BODY["Resources"].items()
    if resource.get("DeletionPolicy", "").startswith("Retain") or name == "EventTopic"
}
BROKEN = {
    "Type": "AWS::SQS::Queue",
    "DependsOn": sorted(DATA.keys() - {"DataKey"}),  # there is no key by default
    "Properties": {"VisibilityTimeout": 43_201},  # seconds, one more than SQS takes
}


class Account:
    """An empty account on the emulator, and an operator with the AWS CLI."""

    def __init__(self, emulator: Emulator, folder: Path) -> None:
        self.url, self.folder = emulator.url, folder
        self.root = ("test", "test", emulator.secret)

    def client(self, service: Any) -> Any:
        """Return a client of an AWS service."""
        session = boto3.Session(*self.root, region_name=REGION)
        return session.client(service, endpoint_url=self.url)

    def deploy(self, resources: dict[str, Any], **parameters: str) -> str:
        """Create the stack `skycore`; return the status that it ends in."""
        body = {name: BODY[name] for name in ("Parameters", "Rules", "Conditions")}
        cloudformation = self.client("cloudformation")
        cloudformation.create_stack(
            StackName="skycore",
            TemplateBody=json.dumps({**body, "Resources": resources}),
            Parameters=[
                {"ParameterKey": name, "ParameterValue": value}
                for name, value in parameters.items()
            ],
        )

        def status() -> str:
            (stack,) = cloudformation.describe_stacks(StackName="skycore")["Stacks"]
            ended: str = stack["StackStatus"]
            return "" if ended.endswith("IN_PROGRESS") else ended

        assert until(status, PATIENCE)
        return status()

    def run(self, block: str) -> str:
        """Run a block of commands; return what it prints."""
        done = subprocess.run(
            ["bash", "-eo", "pipefail", "-c", f"{AWS}\n{block}"],
            cwd=self.folder,
            env={
                **os.environ,
                "PATH": f"{ROOT / '.venv-awscli' / 'bin'}:{os.environ['PATH']}",
                "AWS_ENDPOINT_URL": self.url,
                "AWS_ACCESS_KEY_ID": self.root[0],
                "AWS_SECRET_ACCESS_KEY": self.root[1],
                "AWS_SESSION_TOKEN": self.root[2],
                "AWS_DEFAULT_REGION": REGION,
                "AWS_REGION": REGION,
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}{done.stderr}"
        return done.stdout

    def left(self) -> list[str]:
        """Return the names of what an account holds after a stack is gone."""
        return [
            *self.client("dynamodb").list_tables()["TableNames"],
            *self.client("sqs").list_queues().get("QueueUrls", []),
            *(row["Name"] for row in self.client("secretsmanager").list_secrets()["SecretList"]),
            *(row["TopicArn"] for row in self.client("sns").list_topics()["Topics"]),
        ]


@pytest.fixture
def account(tmp_path: Path) -> Iterator[Account]:
    if not (ROOT / ".venv-awscli" / ".ready").exists():
        pytest.skip("the AWS CLI is not set up: make .venv-awscli/.ready")
    with running(tmp_path / "emulator") as emulator:
        yield Account(emulator, tmp_path)


def test_a_first_deployment_that_fails_leaves_nothing_and_can_be_repeated(account: Account) -> None:
    assert account.deploy({**DATA, "Broken": BROKEN}) == "ROLLBACK_COMPLETE"
    assert account.left() == []
    reason = account.run(READ)
    assert "Broken" in reason
    assert "VisibilityTimeout" in reason
    account.run(DELETE)
    assert account.client("cloudformation").list_stacks()["StackSummaries"][0]["StackStatus"] == (
        "DELETE_COMPLETE"
    )
    assert account.deploy(DATA) == "CREATE_COMPLETE"
    assert account.left()


def test_a_protected_table_is_deleted_by_the_commands_of_the_page(account: Account) -> None:
    account.deploy(DATA, DeletionProtection="on")
    dynamodb = account.client("dynamodb")
    (table,) = dynamodb.list_tables()["TableNames"]
    with pytest.raises(dynamodb.exceptions.ClientError, match="protected against deletion"):
        dynamodb.delete_table(TableName=table)
    account.run(DELETE_TABLE.replace("TABLE", table))
    assert dynamodb.list_tables()["TableNames"] == []
