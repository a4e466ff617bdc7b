"""The examples, deployed beside the stack with the SAM CLI, do what they say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from tests.integration.calls import session_keys
from tests.integration.conftest import LOCAL_DIR, ROOT, Stack
from tests.integration.test_subscribers import Queue, inbound, waiting
from tests.patience import until

if TYPE_CHECKING:
    from collections.abc import Iterator

HIDDEN = "3"  # seconds between tries, of which there are five: long enough for a call to end


def sam(stack: Stack, folder: Path, *arguments: str) -> None:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "AWS_ENDPOINT_URL": stack.description["endpoint_url"],
        **stack.admin_environment(),
        "AWS_DEFAULT_REGION": stack.description["region"],
        "SAM_CLI_TELEMETRY": "0",
    }
    done = subprocess.run(
        [Path(sys.executable).with_name("sam"), *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@contextmanager
def deployed(stack: Stack, name: str, **parameters: str) -> Iterator[dict[str, str]]:
    """Build and deploy an example for as long as a test needs it; yield its outputs."""
    folder, built = ROOT / "examples" / name, ROOT / LOCAL_DIR / name
    overrides = {"EventTopicArn": stack.description["event_topic_arn"], **parameters}
    sam(stack, folder, "build", f"--build-dir={built}")
    bucket = f"{name}-{uuid.uuid4().hex[:8]}"
    stack.admin("s3").create_bucket(Bucket=bucket)
    sam(
        stack,
        folder,
        *("deploy", "--template-file", f"{built}/template.yaml", "--s3-bucket", bucket),
        *("--stack-name", name, "--capabilities", "CAPABILITY_IAM", "--no-confirm-changeset"),
        *("--parameter-overrides", *(f"{key}={value}" for key, value in overrides.items())),
    )
    formation = stack.admin("cloudformation")
    functions = stack.admin("lambda").list_functions(MaxItems=50)["Functions"]
    stack.example_keys |= set(session_keys(functions, stack.emulator_secret))
    try:
        (described,) = formation.describe_stacks(StackName=name)["Stacks"]
        yield {row["OutputKey"]: row["OutputValue"] for row in described["Outputs"]}
    finally:
        formation.delete_stack(StackName=name)


@pytest.mark.long  # tests/template/test_subscribers.py checks its template
def test_the_subscriber_reads_its_queue(stack: Stack) -> None:
    with deployed(stack, "subscriber") as outputs:
        mark = uuid.uuid4().hex
        stack.postback(inbound(mark))
        event = stack.event(lambda event: event["data"]["text"] == mark)
        logs = stack.admin("logs")

        def handled() -> bool:
            try:
                rows = logs.filter_log_events(logGroupName=f"/aws/lambda/{outputs['FunctionName']}")
            except logs.exceptions.ResourceNotFoundException:  # until it has run
                return False
            return any(event["id"] in row["message"] for row in rows["events"])

        assert until(handled)
        # What is not an event fails alone, and comes again until it is set aside.
        sqs = stack.admin("sqs")
        hidden = {"VisibilityTimeout": HIDDEN}
        sqs.set_queue_attributes(QueueUrl=outputs["QueueUrl"], Attributes=hidden)
        sqs.send_message(QueueUrl=outputs["QueueUrl"], MessageBody='{"id": "no-event"}')
        dead = Queue(stack, outputs["DeadLetterQueueUrl"])
        assert until(lambda: bool(dead.read()))
        assert list(dead.seen) == ["no-event"]


class OrderService:
    """The deployed example: its function, and the rows of its table."""

    def __init__(self, stack: Stack, outputs: dict[str, str]) -> None:
        self.stack, self.outputs = stack, outputs
        session = boto3.Session(
            stack.description["admin_access_key_id"],
            stack.description["admin_secret_access_key"],
            region_name=stack.description["region"],
        )
        dynamodb: Any = session.resource("dynamodb", endpoint_url=stack.description["endpoint_url"])
        self.table = dynamodb.Table(outputs["TableName"])

    def notify(self, order: str, to: str, text: str = "It is on its way.") -> None:
        answer = self.stack.admin("lambda").invoke(
            FunctionName=self.outputs["NotifyName"],
            Payload=json.dumps({"id": order, "to": to, "text": text}),
        )
        assert "FunctionError" not in answer, answer["Payload"].read()

    def row(self, row_id: str) -> dict[str, Any]:
        row: dict[str, Any] = self.table.get_item(Key={"id": row_id}).get("Item", {})
        return row

    def status(self, order: str) -> str | None:
        return self.row(f"order#{order}").get("status")

    def replies(self, person: str) -> list[dict[str, Any]]:
        return [row for row in self.table.scan()["Items"] if row.get("person") == person]

    def opted_out(self, person: str) -> bool | None:
        return self.row(f"person#{person}").get("opted_out")


def test_the_order_service_texts_follows_and_listens(stack: Stack) -> None:
    alice, bob = f"1774{uuid.uuid4().int % 10**7:07d}", f"1774{uuid.uuid4().int % 10**7:07d}"
    order = uuid.uuid4().hex[:12]
    api = stack.description["api_url"]
    with deployed(
        stack,
        "order-service",
        SkycoreApiUrl=api,
        SkycoreApiId=api.split("/")[-2],
        Sender="60856",
    ) as outputs:
        service = OrderService(stack, outputs)
        # One message for an order, however often the function is invoked for it.
        service.notify(order, f"+{alice}")
        service.notify(order, f"+{alice}")
        assert until(lambda: service.status(order) == "delivered")
        assert len(stack.get(f"/messages?to={alice}").json()["messages"]) == 1
        # A reply, and a picture with its text, which come again once the stack kept them.
        stack.control("inbound", {"from": alice, "to": "60856", "text": "Thank you!"}, "POST")
        picture = {"from": alice, "to": "60856", "text": "Look at this", "files": ["cat.png"]}
        files = stack.control("inbound", picture, "POST")["files"]
        assert until(lambda: len(service.replies(alice)) == 3)
        told = {row["text"]: row for row in service.replies(alice)}
        assert (told["Thank you!"]["files"], told[None]["files"]) == ([], files)
        media = told["Look at this"]["media"]
        assert [(file["url"], "key" in file) for file in media] == [(url, True) for url in files]
        # STOP, also on file at the stack: the next order's text is refused.
        stack.control("inbound", {"from": alice, "to": "60856", "text": "Stop"}, "POST")
        assert until(lambda: service.opted_out(alice) is True)
        assert until(lambda: refused(service, alice))
        stack.control("inbound", {"from": alice, "to": "60856", "text": "START"}, "POST")
        assert until(lambda: service.opted_out(alice) is False)
        # What nobody can know stays unknown, and is not sent again.
        service.notify(f"{order}-b", f"+{bob}", "skycore-mode-reset_after")
        assert service.status(f"{order}-b") == "unknown"
        # An event that comes late, or again, changes nothing.
        sent = stack.event(
            lambda event: (
                event["type"] == "skycore.sms_sent" and event["data"]["client_reference"] == order
            )
        )
        for late in (sent, {**sent, "id": uuid.uuid4().hex}):
            queue = outputs["QueueUrl"]
            stack.admin("sqs").send_message(QueueUrl=queue, MessageBody=json.dumps(late))
        assert until(lambda: waiting(stack, queue) == 0)
        assert service.status(order) == "delivered"
        assert waiting(stack, outputs["DeadLetterQueueUrl"]) == 0


def refused(service: OrderService, person: str) -> bool:
    """Try another order's text; return whether it was refused for the opt-out."""
    order = uuid.uuid4().hex[:12]
    service.notify(order, f"+{person}")
    row = service.row(f"order#{order}")
    return (row["status"], row["why"]) == ("refused", "recipient_opted_out")
