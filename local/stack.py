"""Builds the template, deploys it to the emulator and writes .local/stack.json."""

from __future__ import annotations

import fcntl
import json
import platform
import shutil
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
import yaml

from local import adjust, emulator, sam, simulator_process
from local.paths import (
    EMULATOR_URL,
    REGION,
    ROOT,
    STACK_FILE,
    STACK_NAME,
    STATE,
    LocalError,
    open_private,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

OUTPUTS = {
    "event_queue_url": "EventQueueUrl",
    "event_topic_arn": "EventTopicArn",
    "table_name": "TableName",
    "media_bucket": "MediaBucketName",
    "postback_queue_url": "PostbackQueueUrl",
    "postback_dlq_url": "PostbackDeadLetterQueueUrl",
    "send_queue_url": "SendQueueUrl",
}
CALLER, ADMIN = "caller", "admin"


def parse_parameters(text: str) -> dict[str, str]:
    """`Name=value Name=value` as a map. Raises LocalError where a word is not of that form."""
    pairs = [word.partition("=") for word in text.split()]
    wrong = [name for name, equals, _ in pairs if not (name and equals)]
    if wrong:
        raise LocalError(f'PARAMETERS="{text}": write Name=value, separated by spaces')
    return {name: value for name, _, value in pairs}


def build() -> Path:
    """Runs `sam build`; returns the built template, rewritten for the emulator."""
    build, made = STATE / "build", ROOT / ".local" / "sam-build"
    folders = ["--cache-dir", str(made / "cache"), "--build-dir", str(made / "build")]
    made.mkdir(parents=True, exist_ok=True)
    # One at a time, for all stacks of a checkout: the second one finds the code built.
    with (made / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        sam.build("--parallel", "--cached", *folders)
        shutil.rmtree(build, ignore_errors=True)
        shutil.copytree(made / "build", build)
    return adjust.rewrite(build / "template.yaml")


def deploy(template: Path, parameters: Mapping[str, str], skycore_url: str) -> dict[str, Any]:
    """Runs `sam deploy` against the emulator, makes the local users and the key.

    Returns what .local/stack.json holds (and writes it). Raises LocalError with the end of the
    deployment's log when it fails.
    """
    machine = "arm64" if platform.machine() in {"arm64", "aarch64"} else "x86_64"
    chosen = {"SkycoreUrl": skycore_url, "Architecture": machine, **parameters}
    # All of them, because an update would keep what an earlier one chose.
    defaults = _defaults(template)
    unknown = ", ".join(sorted(set(chosen) - set(defaults)))
    if unknown:
        raise LocalError(f"PARAMETERS: template.yaml has no parameter {unknown}")
    every = {**defaults, **chosen}
    overrides = [f'{name}="{value}"' for name, value in every.items()]
    arguments = ["--template-file", str(template), "--stack-name", STACK_NAME]
    arguments += ["--resolve-s3", "--capabilities", "CAPABILITY_IAM", "--no-confirm-changeset"]
    arguments += ["--no-fail-on-empty-changeset", "--no-progressbar"]
    arguments += ["--parameter-overrides", *overrides]
    sam.run("deploy", arguments, emulator.root_environment())
    adjust.put_back(client, STACK_NAME)
    return _write_stack_file()


def _defaults(template: Path) -> dict[str, str]:
    """The template's parameters with their defaults."""
    parameters = yaml.safe_load(template.read_text())["Parameters"]
    return {name: str(parameter["Default"]) for name, parameter in parameters.items()}


def client(service: str) -> Any:
    """Return a client of the emulator's `service` as root, which is for set-up alone."""
    root = emulator.root_environment()
    session = boto3.Session(
        root["AWS_ACCESS_KEY_ID"],
        root["AWS_SECRET_ACCESS_KEY"],
        root["AWS_SESSION_TOKEN"],
        region_name=REGION,
    )
    made: Any = session.client(service, endpoint_url=EMULATOR_URL)  # type: ignore[call-overload]
    return made


def _write_stack_file() -> dict[str, Any]:
    formation = client("cloudformation")
    described = formation.describe_stacks(StackName=STACK_NAME)["Stacks"][0]
    outputs = {row["OutputKey"]: row["OutputValue"] for row in described["Outputs"]}
    resources = formation.describe_stack_resources(StackName=STACK_NAME)["StackResources"]
    ids = {row["LogicalResourceId"]: row["PhysicalResourceId"] for row in resources}
    secrets = client("secretsmanager")
    _set_key_once(secrets, ids["ApiKey"])
    token = secrets.get_secret_value(SecretId=ids["PostbackToken"])["SecretString"]
    api_url = f"{EMULATOR_URL}/_aws/execute-api/{ids['Api']}/v1"
    users = _users(outputs["AdminPolicy"], outputs["EventQueueArn"])
    stack = {
        "endpoint_url": EMULATOR_URL,
        "region": REGION,
        "stack_name": STACK_NAME,
        **users,
        "api_url": api_url,
        "postback_url": f"{api_url}/postbacks/{token}",
        **{name: _reachable(outputs[output]) for name, output in OUTPUTS.items()},
        "simulator_url": simulator_process.URL,
        "parameters": {
            row["ParameterKey"]: row["ParameterValue"] for row in described["Parameters"]
        },
    }
    with open_private(STACK_FILE) as output:
        output.write(f"{json.dumps(stack, indent=2)}\n".encode())
    return stack


def _reachable(output: str) -> str:
    """A queue's URL with the address that the emulator listens on."""
    return EMULATOR_URL + urlsplit(output).path if output.startswith("http") else output


def _set_key_once(secrets: Any, secret_id: str) -> None:
    versions = secrets.describe_secret(SecretId=secret_id).get("VersionIdsToStages") or {}
    has_value = any("AWSCURRENT" in stages for stages in versions.values())
    if not has_value or not _has_string(secrets, secret_id):
        value = json.dumps({"api_key": simulator_process.API_KEY})
        secrets.put_secret_value(SecretId=secret_id, SecretString=value)


def _has_string(secrets: Any, secret_id: str) -> bool:
    try:
        return bool(secrets.get_secret_value(SecretId=secret_id).get("SecretString"))
    except secrets.exceptions.ResourceNotFoundException:
        return False


def _users(routes: str, event_queue_arn: str) -> dict[str, str]:
    """Make the local caller, who has the policy `routes` and reads the event queue, and an admin.

    Return their keys, as .local/stack.json holds them.
    """
    iam = client("iam")
    rights = {
        CALLER: [
            *json.loads(routes)["Statement"],
            {
                "Effect": "Allow",
                "Action": ["sqs:ReceiveMessage", "sqs:DeleteMessage"],
                "Resource": event_queue_arn,
            },
        ],
        ADMIN: [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
    }
    old = json.loads(STACK_FILE.read_text()) if STACK_FILE.exists() else {}
    keys: dict[str, str] = {}
    for user, prefix in ((CALLER, ""), (ADMIN, "admin_")):
        names = [row["UserName"] for row in iam.list_users()["Users"]]
        if user not in names:
            iam.create_user(UserName=user)
        iam.put_user_policy(
            UserName=user,
            PolicyName="local",
            PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": rights[user]}),
        )
        key_id = old.get(f"{prefix}access_key_id", "")
        secret = old.get(f"{prefix}secret_access_key", "")
        rows = iam.list_access_keys(UserName=user)["AccessKeyMetadata"]
        if not key_id or key_id not in [row["AccessKeyId"] for row in rows]:
            made = iam.create_access_key(UserName=user)["AccessKey"]
            key_id, secret = made["AccessKeyId"], made["SecretAccessKey"]
        keys[f"{prefix}access_key_id"], keys[f"{prefix}secret_access_key"] = key_id, secret
    return keys
