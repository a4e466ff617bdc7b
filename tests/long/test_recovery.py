"""The commands of docs/recovery.md and docs/leaving.md, run as they stand, on a stack with data.

What the pages leave to the reader (names, and the deployment of a stack, which locally takes
`python -m local up`) is filled in; `--yes` answers what the tool asks.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import sys
import uuid
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from tests.integration.conftest import ROOT, Stack, free_port
from tests.patience import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.long, pytest.mark.timeout(1200)]

STATE = ".local/recovery"
PATIENCE = 180.0  # seconds for what starts functions first
NUMBER, OTHER, STOPPED = "17743197611", "17743197612", "17743197613"
FENCE = re.compile(r"^( *)```sh\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
# Version 1 of the AWS CLI has addresses of its own for SQS, which only this option replaces.
AWS = 'aws() { command aws --endpoint-url "$AWS_ENDPOINT_URL" "$@"; }'
HELPER = re.compile(r"^\w+\(\) \{.*\}$", re.MULTILINE)
BODY = {"to": f"+{NUMBER}", "from": "60856", "text": "Hello"}
ARRIVED = {"received_at": {"DataType": "String", "StringValue": "2026-11-22T10:41:15+00:00"}}


def commands(page: str, heading: str) -> list[str]:
    """The blocks of commands below a heading of a page."""
    text = (ROOT / page).read_text()
    part = re.split(r"^## ", text.split(f"\n## {heading}\n", 1)[1], flags=re.MULTILINE)[0]
    blocks = FENCE.findall(part)
    return [re.sub(f"^{indent}", "", block, flags=re.MULTILINE) for indent, block in blocks]


class Shell:
    """A shell of the operator's, with the AWS CLI and the project's Python."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / ".venv").symlink_to(ROOT / ".venv")
        helpers = HELPER.findall((ROOT / "README.md").read_text())
        self.helpers = "\n".join([AWS, *helpers])
        self.local = {
            **os.environ,
            "EMULATOR_PORT": str(free_port()),
            "SIMULATOR_PORT": str(free_port()),
            "LOCAL_DIR": STATE,
            "PARAMETERS": "",
            "PYTHONPATH": f"{ROOT}:{ROOT / 'layers' / 'skycore'}",
        }
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "TABLE_NAME", "SKYCORE_URL"):
            self.local.pop(name, None)

    def deploy(self) -> Stack:
        """Deploy the stack on the local emulator, as `make up` does."""
        self._python("-m", "local", "up")
        return Stack(json.loads((ROOT / STATE / "stack.json").read_text()))

    def stop(self) -> None:
        self._python("-m", "local", "down")

    def _python(self, *arguments: str) -> None:
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=self.local,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def run(self, block: str, stack: Stack, *, checked: bool = True, **names: str) -> str:
        """Run a block, with the placeholders that are its `names` replaced; what it prints.

        Unless `checked`, one of its commands may fail, and the next ones run all the same.
        """
        for name in sorted(names, key=len, reverse=True):
            assert re.search(rf"\b{name}\b", block), f"{name} is not in {block}"
            block = re.sub(rf"\b{name}\b", names[name], block)
        block = block.replace("-m ops --stack", "-m ops --yes --stack")
        known = stack.description
        done = subprocess.run(
            ["bash", *(["-eo", "pipefail"] if checked else []), "-c", f"{self.helpers}\n{block}"],
            cwd=self.folder,
            env={
                **self.local,
                "PATH": f"{ROOT / '.venv-awscli' / 'bin'}:{os.environ['PATH']}",
                "AWS_ENDPOINT_URL": known["endpoint_url"],
                "AWS_ACCESS_KEY_ID": known["admin_access_key_id"],
                "AWS_SECRET_ACCESS_KEY": known["admin_secret_access_key"],
                "AWS_DEFAULT_REGION": known["region"],
                "AWS_REGION": known["region"],
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert not checked or done.returncode == 0, f"{block}\n{done.stdout}{done.stderr}"
        return done.stdout


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    if not (ROOT / ".venv-awscli" / ".ready").exists():
        pytest.skip("the AWS CLI is not set up: make .venv-awscli/.ready")
    shutil.rmtree(ROOT / STATE, ignore_errors=True)
    made = Shell(tmp_path_factory.mktemp("operator"))
    yield made
    made.stop()


def status_of(stack: Stack, message_id: str) -> str:
    status: str = stack.get(f"/messages/{message_id}").json()["status"]
    return status


def refused(stack: Stack, number: str) -> bool:
    body = {"to": f"+{number}", "from": "60856", "text": "Hello", "dry_run": True}
    answer = stack.post("/messages", body).json()
    return bool(answer.get("code") == "recipient_opted_out")


def delivered(stack: Stack, body: dict[str, Any], **headers: str) -> str:
    sent = stack.post("/messages", body, **headers).json()
    message_id: str = sent["message_id"]
    assert until(lambda: status_of(stack, message_id) == "delivered", PATIENCE)
    return message_id


class Left(NamedTuple):
    """What a deleted stack left: the resources in kept.txt, by type, and a message of its."""

    stack: Stack
    kept: dict[str, list[str]]
    message_id: str
    key: dict[str, str]

    def one(self, kind: str, logical_id: str) -> str:
        (name,) = [name for name in self.kept[kind] if f"-{logical_id}-" in name]
        return name


def test_a_deleted_stack_comes_back_with_its_data(shell: Shell) -> None:
    left = _with_other_names(shell, _leave(shell, shell.deploy()))
    stack = _bring_back(shell, left)
    _delete_what_stayed(shell, left, stack)
    assert status_of(stack, left.message_id) == "delivered"
    _restore_lost_rows(shell, stack)


def _leave(shell: Shell, stack: Stack) -> Left:
    """docs/leaving.md, of a stack that has a message and an opt-out."""
    key = {"Idempotency-Key": uuid.uuid4().hex}
    message_id = delivered(stack, BODY, **key)
    stack.control("inbound", {"from": STOPPED, "to": BODY["from"], "text": "STOP"})
    assert until(lambda: refused(stack, STOPPED), PATIENCE)
    shell.run(commands("docs/leaving.md", "2. Wait until all queues are empty")[0], stack)
    export, to_bucket, files = commands("docs/leaving.md", "3. Export")
    shell.run(export, stack)
    assert message_id in (shell.folder / "skycore-export" / "messages.jsonl").read_text()
    stack.admin("s3").create_bucket(Bucket="exports")
    shell.run(to_bucket, stack, BUCKET="exports")
    shell.run(files, stack)
    shell.run(commands("docs/leaving.md", "4. Delete the stack")[0], stack)
    assert stack.get(f"/messages/{message_id}").status_code in {403, 404}
    lines = [line.split() for line in (shell.folder / "kept.txt").read_text().splitlines()]
    kept = {kind: [name for other, name in lines if other == kind] for kind, _ in lines}
    return Left(stack, kept, message_id, key)


def _with_other_names(shell: Shell, left: Left) -> Left:
    """Rename what stayed: on AWS a new stack's resources never have the names of the old ones.

    The emulator derives a name from the stack and the resource, so it would take them over.
    """
    dynamodb, sqs = left.stack.admin("dynamodb"), left.stack.admin("sqs")
    secrets = left.stack.admin("secretsmanager")
    kept = {kind: list(names) for kind, names in left.kept.items()}
    kept["AWS::DynamoDB::Table"] = []
    for table in left.kept["AWS::DynamoDB::Table"]:
        dynamodb.restore_table_to_point_in_time(
            SourceTableName=table, TargetTableName=f"{table}-old", UseLatestRestorableTime=True
        )
        dynamodb.delete_table(TableName=table)
        kept["AWS::DynamoDB::Table"].append(f"{table}-old")
    kept["AWS::SQS::Queue"] = []
    for url in left.kept["AWS::SQS::Queue"]:
        sqs.delete_queue(QueueUrl=url)
        name = url.rsplit("/", 1)[-1]
        kept["AWS::SQS::Queue"].append(sqs.create_queue(QueueName=f"{name}-old")["QueueUrl"])
    kept["AWS::SecretsManager::Secret"] = []
    for secret in left.kept["AWS::SecretsManager::Secret"]:
        described = secrets.describe_secret(SecretId=secret)
        value = secrets.get_secret_value(SecretId=secret)["SecretString"]
        secrets.delete_secret(SecretId=secret, ForceDeleteWithoutRecovery=True)
        renamed = secrets.create_secret(Name=f"{described['Name']}-old", SecretString=value)
        kept["AWS::SecretsManager::Secret"].append(renamed["ARN"])
    lines = [f"{kind}\t{name}" for kind, names in kept.items() for name in names]
    (shell.folder / "kept.txt").write_text("\n".join(lines) + "\n")
    return left._replace(kept=kept)


def _bring_back(shell: Shell, left: Left) -> Stack:
    """docs/recovery.md: the rows, the postbacks that waited, and the key, in a new stack."""
    find, deploy, rows, hashes, postbacks, dead_letters, set_key, show = commands(
        "docs/recovery.md", "Bring a deleted stack back"
    )
    table = left.one("AWS::DynamoDB::Table", "Table")
    queue = left.one("AWS::SQS::Queue", "PostbackQueue")
    dead = left.one("AWS::SQS::Queue", "PostbackDeadLetterQueue")
    secret = left.one("AWS::SecretsManager::Secret", "ApiKey")
    listed = shell.run(find, left.stack)
    for name in (table, queue, dead, secret):  # the emulator's URLs have another host
        assert name.rsplit("/", 1)[-1] in listed
    for url in (queue, dead):
        left.stack.admin("sqs").send_message(
            QueueUrl=url, MessageBody=f"waited in {url}", MessageAttributes=ARRIVED
        )

    assert deploy.splitlines()[-1] == "sam build && sam deploy"
    stack = shell.deploy()
    assert stack.description["table_name"] != table
    assert stack.get(f"/messages/{left.message_id}").status_code == 404
    shell.run(rows, stack, OLD_TABLE=table)
    old, new = left.one("AWS::SecretsManager::Secret", "HashSecret"), stack.resource("HashSecret")
    shell.run(hashes, stack, OLD_HASH_SECRET_ARN=old, NEW_HASH_SECRET_ARN=new)
    _start_senders_again(stack)
    shell.run(postbacks, stack, OLD_POSTBACK_QUEUE_URL=queue)
    shell.run(dead_letters, stack, OLD_POSTBACK_DEAD_LETTER_QUEUE_URL=dead)
    _use_a_wrong_key(stack)
    assert stack.post("/messages", {**BODY, "to": f"+{OTHER}"}).status_code == 502
    shell.run(set_key, stack, OLD_API_KEY_ARN=secret)
    assert stack.description["postback_url"] in shell.run(show, stack)

    again = stack.post("/messages", BODY, **left.key)
    assert (again.status_code, again.json()["message_id"]) == (201, left.message_id)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert refused(stack, STOPPED)
    for url in (queue, dead):
        raw = base64.b64encode(f"waited in {url}".encode()).decode()
        event = stack.event(lambda event, raw=raw: event["data"].get("raw") == raw)
        assert event["data"]["received_at"] == "2026-11-22T10:41:15Z"
    delivered(stack, {**BODY, "to": f"+{OTHER}"})
    return stack


def _delete_what_stayed(shell: Shell, left: Left, stack: Stack) -> None:
    """docs/leaving.md, after which nothing of the old stack is left."""
    (delete,) = commands("docs/leaving.md", "5. Delete what stayed")
    shell.run(delete, stack, checked=False)  # the stack took its log groups along
    assert not set(left.kept["AWS::DynamoDB::Table"]) & {
        *stack.admin("dynamodb").list_tables()["TableNames"]
    }
    queues = {url.rsplit("/", 1)[-1] for url in stack.admin("sqs").list_queues()["QueueUrls"]}
    assert not {url.rsplit("/", 1)[-1] for url in left.kept["AWS::SQS::Queue"]} & queues


def _restore_lost_rows(shell: Shell, stack: Stack) -> None:
    """docs/recovery.md: rows of a point in time, into the stack that lost them."""
    key = {"Idempotency-Key": uuid.uuid4().hex}
    lost = delivered(stack, BODY, **key)
    restore, copy, look = commands("docs/recovery.md", "Restore rows from a point in time")
    shell.run(restore, stack)
    stack.admin("dynamodb").delete_item(
        TableName=stack.description["table_name"],
        Key={"pk": {"S": f"message#{lost}"}, "sk": {"S": "message"}},
    )
    assert stack.get(f"/messages/{lost}").status_code == 404
    shell.run(copy, stack)
    assert lost in shell.run(look, stack)
    assert stack.post("/messages", BODY, **key).headers["Idempotency-Replayed"] == "true"
    assert "skycore-restored" not in stack.admin("dynamodb").list_tables()["TableNames"]


def _start_senders_again(stack: Stack) -> None:
    """They keep a secret for five minutes; an update stops their processes."""
    functions = stack.admin("lambda")
    for verb in ("Send", "Enqueue", "Dispatch"):
        name = stack.resource(f"{verb}Function")
        functions.update_function_configuration(FunctionName=name, Description="started again")


def _use_a_wrong_key(stack: Stack) -> None:
    """`local up` sets the simulator's key; after a deployment on AWS there is none."""
    stack.admin("secretsmanager").put_secret_value(
        SecretId=stack.resource("ApiKey"), SecretString=json.dumps({"api_key": "wrong0key"})
    )
