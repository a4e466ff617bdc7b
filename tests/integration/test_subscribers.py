"""Queues of other services: filters, an outage of the topic, and replay."""

from __future__ import annotations

import json
import os
import re
import uuid
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from skycore.postbacks.event import unparsed_event
from skycore.table import events, models
from tests.integration.conftest import LOCAL_DIR, ROOT, Stack
from tests.integration.operators import as_operator, run_ops
from tests.patience import PATIENCE_SECONDS, until

if TYPE_CHECKING:
    from collections.abc import Iterator


def inbound(text: str, to: str = "60856") -> bytes:
    return (
        f"<POSTBACK><ORIGIN>SMS_MO</ORIGIN><CODE>N211</CODE><FROM>17743199144</FROM><TO>{to}</TO>"
        f"<TEXT>{text}</TEXT><TRANSACTIONID>{uuid.uuid4()}</TRANSACTIONID></POSTBACK>"
    ).encode()


def receipt(tracking_id: str, code: str = "N202") -> bytes:
    return (
        f"<POSTBACK><ORIGIN>SMS_MT</ORIGIN><CODE>{code}</CODE><TO>17743199144</TO>"
        f"<TRACKINGID>{tracking_id}</TRACKINGID></POSTBACK>"
    ).encode()


class Queue:
    """A queue, read as its owner reads it."""

    def __init__(self, stack: Stack, url: str) -> None:
        self.sqs, self.url = stack.admin("sqs"), url
        self.seen: dict[str, dict[str, Any]] = {}

    def read(self) -> dict[str, dict[str, Any]]:
        answer = self.sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10)
        for message in answer.get("Messages", []):
            event = json.loads(message["Body"])
            self.seen[event["id"]] = event
            self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
        return self.seen

    def texts(self) -> set[str | None]:
        return {event["data"]["text"] for event in self.read().values()}


def documented_yaml() -> str:
    """The YAML that the documentation gives for a queue with a filter, as a template."""
    page = (ROOT / "docs" / "events.md").read_text()
    section = page.split("\n## A queue of your own", 1)[1]
    snippet = section.split("```yaml\n", 1)[1].split("```", 1)[0]
    assert len(snippet.splitlines()) <= 14
    outputs = "Outputs: { Url: { Value: !Ref Replies } }\n"
    parameters = "Parameters: { EventTopicArn: { Type: String } }\n"
    return f"{parameters}Resources:\n{snippet}{outputs}"


def test_the_documented_queue_gets_what_its_filter_lets_through(stack: Stack) -> None:
    formation = stack.admin("cloudformation")
    name, mark = f"replies-{uuid.uuid4().hex[:8]}", uuid.uuid4().hex
    formation.create_stack(
        StackName=name,
        TemplateBody=documented_yaml(),
        Parameters=[
            {
                "ParameterKey": "EventTopicArn",
                "ParameterValue": stack.description["event_topic_arn"],
            }
        ],
    )
    formation.get_waiter("stack_create_complete").wait(
        StackName=name, WaiterConfig={"Delay": 1, "MaxAttempts": int(PATIENCE_SECONDS)}
    )
    (described,) = formation.describe_stacks(StackName=name)["Stacks"]
    queue = Queue(stack, described["Outputs"][0]["OutputValue"])
    stack.postback(receipt(f"F-{mark}"))
    stack.postback(inbound(mark))
    assert until(lambda: mark in queue.texts())
    stack.event(lambda event: event["data"]["tracking_id"] == f"F-{mark}")
    assert {event["type"] for event in queue.read().values()} <= {
        "skycore.sms_received",
        "skycore.mms_received",
    }
    formation.delete_stack(StackName=name)


@contextmanager
def denied(stack: Stack, role: str, action: str) -> Iterator[None]:
    iam, name = stack.admin("iam"), stack.resource(role)
    statement = {"Effect": "Deny", "Action": action, "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_role_policy(RoleName=name, PolicyName="outage", PolicyDocument=document)
    try:
        yield
    finally:
        iam.delete_role_policy(RoleName=name, PolicyName="outage")


def waiting(stack: Stack, url: str) -> int:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    names.append("ApproximateNumberOfMessagesDelayed")
    answer = stack.admin("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names)
    return sum(int(answer["Attributes"][name]) for name in names)


def test_what_the_topic_refuses_waits_in_the_retry_queue_and_is_told(stack: Stack) -> None:
    url = stack.resource("PublishRetryQueue")
    sqs = stack.admin("sqs")
    hidden = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout"])
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "2"})
    mark = uuid.uuid4().hex
    try:
        with denied(stack, "PublishRole", "sns:*"):
            for n in range(12):
                stack.postback(receipt(f"{mark}-{n}"))
            assert until(lambda: waiting(stack, url) >= 12)
        for n in range(12):
            stack.event(lambda event, n=n: event["data"]["tracking_id"] == f"{mark}-{n}")
        assert until(lambda: waiting(stack, url) == 0)
    finally:
        sqs.set_queue_attributes(QueueUrl=url, Attributes=hidden["Attributes"])


def administrator(stack: Stack) -> dict[str, str]:
    """Return the environment of the local stack's administrator."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        "LOCAL_DIR": LOCAL_DIR,
        "PYTHONPATH": f"{ROOT}:{ROOT / 'layers' / 'skycore'}",
        "TABLE_NAME": stack.description["table_name"],
        "AWS_ENDPOINT_URL": stack.description["endpoint_url"],
        "AWS_ACCESS_KEY_ID": stack.description["admin_access_key_id"],
        "AWS_SECRET_ACCESS_KEY": stack.description["admin_secret_access_key"],
        "AWS_REGION": stack.description["region"],
        "AWS_DEFAULT_REGION": stack.description["region"],
    }


def in_stack(stack: Stack, *arguments: str, codes: tuple[int, ...] = (0,)) -> str:
    """Run a command of the operator's tool, which ends with one of `codes`; return its output."""
    done = run_ops(administrator(stack), *arguments)
    assert done.returncode in codes, done.stdout + done.stderr
    return done.stdout


def kept_unread(stack: Stack, body: bytes) -> str:
    """Store a postback as a release that did not understand it; return its event's id."""
    event = unparsed_event(body, datetime.now(UTC), "an older release did not know it")
    with as_operator(administrator(stack)):
        models.use_table(stack.description["table_name"], stack.description["region"])
        assert not events.put_all([(body, [event])], 90, set())
    return event.id


def test_what_a_new_release_understands_is_told_as_a_new_event(stack: Stack) -> None:
    mark = uuid.uuid4().hex
    old = kept_unread(stack, receipt(mark))
    assert until(
        lambda: old in [e["event_id"] for e in stack.get("/postbacks/unparsed").json()["events"]]
    )
    dry = in_stack(stack, "replay", "--local", "--dry-run")
    assert f"{old}  skycore.sms_delivered" in dry
    assert "1 would become" in dry
    told = in_stack(stack, "replay", "--local", "--yes")
    assert f"{old}  skycore.sms_delivered" in told
    event = stack.event(lambda event: event["data"]["tracking_id"] == mark)
    assert event["replaces"] == old
    assert until(
        lambda: (
            old not in [e["event_id"] for e in stack.get("/postbacks/unparsed").json()["events"]]
        )
    )
    assert stack.get(f"/postbacks/{old}").json()["type"] == "skycore.unparsed"
    assert old not in in_stack(stack, "replay", "--stack", stack.description["stack_name"], "--yes")


def test_a_stretch_of_events_is_told_again_under_the_same_ids(stack: Stack) -> None:
    mark = uuid.uuid4().hex
    since = datetime.now(UTC)
    for n in range(3):
        stack.postback(receipt(f"{mark}-{n}", code="N201"))
        stack.postback(inbound(f"{mark}-{n}"))
    first = {
        stack.event(lambda event, n=n: event["data"]["tracking_id"] == f"{mark}-{n}")["id"]
        for n in range(3)
    }
    until_now = ["--since", since.isoformat(), "--until", datetime.now(UTC).isoformat()]
    stretch = ["replay", "--local", *until_now]
    dry = in_stack(stack, *stretch, "--type", "sms_sent", "--dry-run")
    assert re.search(r"3\s+skycore.sms_sent", dry)
    for id_ in first:
        del stack.events[id_]
    out = in_stack(stack, *stretch, "--type", "sms_sent", "--yes")
    assert "3 queued to be published again" in out
    for id_ in first:
        stack.event(lambda event, id_=id_: event["id"] == id_)
