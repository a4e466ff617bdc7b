"""Who may subscribe to the events, and that what is documented for them fits the topic."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml

from skycore.postbacks.cloudevent import message_attributes
from tests.contract.test_postback_corpus import BODIES, expected
from tests.template.conftest import ROOT, Template, _Loader

EVENTS_PAGE = (ROOT / "docs" / "events.md").read_text()
EXAMPLE = ROOT / "examples" / "subscriber" / "template.yaml"


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


@pytest.mark.parametrize(
    "resources",
    [documented_resources(), yaml.load(EXAMPLE.read_text(), _Loader)["Resources"]],
    ids=["docs", "example"],
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


def test_the_examples_schema_is_the_one_that_is_shipped() -> None:
    name = "postback-event-v1.json"
    copy = (EXAMPLE.parent / "src" / name).read_text()
    assert copy == (ROOT / "events" / "schema" / name).read_text()
    json.loads(copy)


def test_readers_of_the_stacks_own_queue_are_told_how_to_get_the_key(template: Template) -> None:
    section = EVENTS_PAGE.split("\n## Read the stack's own queue\n", 1)[1].split("\n## ", 1)[0]
    blocks = re.findall(r"```yaml\n(.*?)```", section, re.DOTALL)
    (policies,) = [yaml.load(text, _Loader)["Policies"] for text in blocks if "kms:" in text]
    (statement,) = policies[0]["Statement"]
    assert statement["Action"] == "kms:Decrypt"
    assert statement["Resource"] == {"Ref": "DataKeyArn"}
    assert template.body["Outputs"]["DataKeyArn"]["Condition"] == "WithKey"
