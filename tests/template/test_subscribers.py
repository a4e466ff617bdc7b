"""Who may subscribe to the events, and that what is documented for them fits the topic."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from skycore.postbacks.cloudevent import message_attributes
from tests.contract.test_postback_corpus import BODIES, expected
from tests.template.conftest import ROOT, Template, _Loader
from tests.template.test_words import NUMBER

EVENTS_PAGE = (ROOT / "docs" / "events.md").read_text()
EXAMPLES = ROOT / "examples"


def test_only_named_accounts_may_subscribe_and_only_queues(template: Template) -> None:
    policy = template.resources["EventTopicPolicy"]["Properties"]["PolicyDocument"]
    conditional = [row for row in policy["Statement"] if "Fn::If" in row]
    assert [row["Effect"] for row in policy["Statement"] if row not in conditional] == ["Deny"]
    subscribe, read = (row["Fn::If"][1] for row in conditional)
    for row in conditional:
        condition, statement, otherwise = row["Fn::If"]
        assert (condition, otherwise) == ("HasSubscriberAccounts", {"Ref": "AWS::NoValue"})
        assert statement["Effect"] == "Allow"
        assert statement["Principal"] == {"AWS": {"Ref": "SubscriberAccountIds"}}
        assert statement["Resource"] == {"Ref": "EventTopic"}
    assert subscribe["Action"] == "sns:Subscribe"
    assert subscribe["Condition"] == {"StringEquals": {"sns:Protocol": "sqs"}}
    # CloudFormation reads the topic before it subscribes. sns:Protocol is a key of Subscribe alone:
    # under that condition the right would never apply.
    assert read["Action"] == "sns:GetTopicAttributes"
    assert "Condition" not in read
    assert template.body["Parameters"]["SubscriberAccountIds"]["Default"] == ""


def test_the_event_queue_gets_everything(template: Template) -> None:
    subscription = template.resources["EventSubscription"]["Properties"]
    assert "FilterPolicy" not in subscription
    assert subscription["RawMessageDelivery"] is True


def documented_resources() -> Any:
    section = EVENTS_PAGE.split("\n## A queue of your own", 1)[1]
    return yaml.load(section.split("```yaml\n", 1)[1].split("```", 1)[0], _Loader)


def example(name: Any) -> Any:
    return yaml.load((EXAMPLES / name / "template.yaml").read_text(), _Loader)["Resources"]


NAMES = ["subscriber", "order-service", "eventbridge"]


@pytest.mark.parametrize(
    "resources", [documented_resources(), *map(example, NAMES)], ids=["docs", *NAMES]
)
def test_a_documented_queue_is_whole(resources: Any) -> None:
    kinds = {
        resource["Type"]: resource["Properties"]
        for resource in resources.values()
        if "Properties" in resource
    }
    subscription = kinds["AWS::SNS::Subscription"]
    assert subscription["RawMessageDelivery"] is True
    assert subscription["Protocol"] == "sqs"
    (statement,) = kinds["AWS::SQS::QueuePolicy"]["PolicyDocument"]["Statement"]
    assert statement["Condition"] == {"ArnEquals": {"aws:SourceArn": {"Ref": "EventTopicArn"}}}
    attributes = [message_attributes(event) for name in BODIES for event in expected(name)]
    for name, values in subscription["FilterPolicy"].items():
        assert all(any(one.get(name) == value for one in attributes) for value in values)


def test_the_attributes_that_are_documented_are_those_that_events_have() -> None:
    table = EVENTS_PAGE.split("| attribute |", 1)[1].split("\n\n", 1)[0]
    named = set(
        re.findall(r"`(\w+)`", " ".join(row.split("|")[1] for row in table.splitlines()[2:]))
    )
    had = {name for one in BODIES for event in expected(one) for name in message_attributes(event)}
    assert named == had


@pytest.mark.parametrize("name", NAMES)
def test_every_number_of_an_example_carries_its_reason(name: str) -> None:
    text = (EXAMPLES / name / "template.yaml").read_text()
    assert [line for line in text.splitlines() if NUMBER.match(line)] == []


@pytest.mark.parametrize("name", NAMES)
def test_an_event_that_fails_reaches_an_examples_dead_letter_queue(name: str) -> None:
    queue = example(name)["Queue"]["Properties"]
    assert queue["RedrivePolicy"]["deadLetterTargetArn"] == {
        "Fn::GetAtt": ["DeadLetterQueue", "Arn"]
    }
    for function in example(name).values():
        if "Events" in function["Properties"]:
            assert queue["VisibilityTimeout"] == 6 * function["Properties"]["Timeout"]
            (source,) = function["Properties"]["Events"].values()
            assert source["Properties"]["FunctionResponseTypes"] == ["ReportBatchItemFailures"]


@pytest.mark.parametrize("name", ["subscriber", "order-service"])
def test_an_example_takes_the_client_from_this_repository(name: str) -> None:
    client = example(name)["Client"]["Properties"]["ContentUri"]
    assert (EXAMPLES / name / client / "skycore_client" / "__init__.py").exists()


def test_the_order_service_may_call_two_routes_and_no_more() -> None:
    allowed = {
        name: [
            row["Resource"]["Fn::Sub"].rpartition("}/v1/")[2]
            for row in example("order-service")[name]["Properties"]["Policies"][0]["Statement"]
            if row["Action"] == "execute-api:Invoke"
        ]
        for name in ("Notify", "OnEvents")
    }
    assert allowed == {"Notify": ["POST/messages"], "OnEvents": ["GET/messages/*"]}


def test_the_pipe_puts_whole_events_on_the_bus_under_their_type() -> None:
    resources = example("eventbridge")
    assert not [row for row in resources.values() if "Function" in row["Type"]]
    pipe = resources["Pipe"]["Properties"]
    assert pipe["Source"] == {"Fn::GetAtt": ["Queue", "Arn"]}
    target = pipe["TargetParameters"]
    assert target["InputTemplate"] == "<$.body>"
    assert target["EventBridgeEventBusParameters"] == {
        "Source": "skycore", "DetailType": "$.body.type", "Time": "$.body.time",
    }  # fmt: skip
    role = resources["PipeRole"]["Properties"]
    assert pipe["RoleArn"] == {"Fn::GetAtt": ["PipeRole", "Arn"]}
    read, put = role["Policies"][0]["PolicyDocument"]["Statement"]
    assert read["Resource"] == pipe["Source"]
    assert set(read["Action"]) == {
        "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes",
    }  # fmt: skip
    assert (put["Action"], put["Resource"]) == ("events:PutEvents", pipe["Target"])


@pytest.mark.parametrize("name", NAMES)
def test_cfn_lint_accepts_an_example(name: str) -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("cfn-lint"), EXAMPLES / name / "template.yaml"],
        cwd=EXAMPLES,  # without the rules of the stack's own template
        env=os.environ | {"AWS_DEFAULT_REGION": "us-east-1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_readers_of_the_stacks_own_queue_are_told_how_to_get_the_key(template: Template) -> None:
    section = EVENTS_PAGE.split("\n## Read the stack's own queue\n", 1)[1].split("\n## ", 1)[0]
    blocks = re.findall(r"```yaml\n(.*?)```", section, re.DOTALL)
    (policies,) = [yaml.load(text, _Loader)["Policies"] for text in blocks if "kms:" in text]
    (statement,) = policies[0]["Statement"]
    assert statement["Action"] == "kms:Decrypt"
    assert statement["Resource"] == {"Ref": "DataKeyArn"}
    assert template.body["Outputs"]["DataKeyArn"]["Condition"] == "WithKey"
