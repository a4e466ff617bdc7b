"""What SQS asks of a queue's policy, which neither the linters nor the emulator check."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.template.deployed import Deployed, transformed

if TYPE_CHECKING:
    from collections.abc import Iterator

POLICIES = [
    name
    for name, resource in transformed()["Resources"].items()
    if resource["Type"] == "AWS::SQS::QueuePolicy"
]


def statements(stack: Deployed, policy: str) -> Iterator[dict[str, Any]]:
    yield from stack.properties(policy)["PolicyDocument"]["Statement"]


@pytest.mark.parametrize("policy", POLICIES)
def test_a_statement_names_one_queue(policy: Any) -> None:
    # SQS Developer Guide, "Special information for Amazon SQS policies".
    stack = Deployed("skycore")
    queues = stack.resources[policy]["Properties"]["Queues"]
    for statement in statements(stack, policy):
        assert isinstance(statement["Resource"], str), statement["Sid"]
        if statement["Resource"] != "*":  # in a queue's policy: that queue
            assert [stack.arn(queue["Ref"]) for queue in queues] == [statement["Resource"]]


@pytest.mark.parametrize("policy", POLICIES)
def test_a_statement_has_a_name_of_its_own(policy: Any) -> None:
    names = [statement["Sid"] for statement in statements(Deployed("skycore"), policy)]
    assert len(names) == len(set(names))


def test_every_queue_has_one_policy_and_refuses_plain_http() -> None:
    stack = Deployed("skycore")
    closed = [
        queue
        for policy in POLICIES
        for queue in stack.properties(policy)["Queues"]
        for row in statements(stack, policy)
        if row["Effect"] == "Deny"
        and (row["Principal"], row["Action"], row["Resource"]) == ("*", "sqs:*", "*")
        and row["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    ]
    assert sorted(closed) == sorted(
        stack.ref_name(name) for name in stack.of_type("AWS::SQS::Queue")
    )


def test_the_topic_delivers_to_its_queue_and_to_the_dead_letter_queue() -> None:
    stack = Deployed("skycore")
    subscription = stack.properties("EventSubscription")
    targets = {subscription["Endpoint"], subscription["RedrivePolicy"]["deadLetterTargetArn"]}
    topic = {"ArnEquals": {"aws:SourceArn": stack.arn("EventTopic")}}
    opened = {
        row["Resource"]
        for policy in POLICIES
        for row in statements(stack, policy)
        if row["Effect"] == "Allow" and row["Condition"] == topic
    }
    assert opened == targets


def test_an_upgrade_takes_the_old_policy_off_before_it_sets_the_new_one() -> None:
    """Earlier releases set both queues' policy with EventQueuePolicy."""
    policy = transformed()["Resources"]["EventDeadLetterQueuePolicy"]
    assert policy["DependsOn"] == "EventQueuePolicy"
    # Going back to such a release sets the old policy, then deletes this resource.
    assert policy["DeletionPolicy"] == "RetainExceptOnCreate"
