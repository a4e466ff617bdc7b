"""Checks of the alarms, and of the topic that they notify."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ops.doctor.check import Check, Finding, NotChecked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ops.doctor.deployment import Deployment

AWS_KEY = "alias/aws/sns"  # AWS's own key; its policy cannot be changed to allow CloudWatch
AT_ONCE = 100  # alarms in a call, the most that CloudWatch takes
PENDING = {"PendingConfirmation", "Deleted"}  # in place of a subscription's ARN


def alarms(deployment: Deployment) -> Iterator[Finding]:
    """Each alarm of the template exists, is active and notifies the topic."""
    topic = deployment.parameters.get("AlarmTopicArn", "")
    expected = deployment.ids("AWS::CloudWatch::Alarm")
    client, names = deployment.client("cloudwatch"), list(expected.values())
    found = {
        row["AlarmName"]: row
        for start in range(0, len(names), AT_ONCE)
        for row in client.describe_alarms(
            AlarmNames=names[start : start + AT_ONCE], MaxRecords=AT_ONCE
        )["MetricAlarms"]
    }
    for logical_id, name in expected.items():
        if name not in found:
            fix = (
                f"change a parameter of {logical_id}, deploy, change it back and deploy again, so "
                f"that CloudFormation creates the alarm: {deployment.sam_deploy()}"
            )
            yield Finding(f"alarm {name} is missing", fix)
            continue
        if not found[name].get("ActionsEnabled"):
            fix = deployment.aws("cloudwatch", "enable-alarm-actions", "--alarm-names", name)
            yield Finding(f"actions of alarm {name} are disabled", fix)
        if topic and topic not in found[name].get("AlarmActions", []):
            fix = deployment.sam_deploy(AlarmTopicArn=topic)
            yield Finding(f"alarm {name} does not notify {topic}", fix)


def alarm_topic(deployment: Deployment) -> Iterator[Finding]:
    """CloudWatch can publish to the topic, and the topic has a confirmed subscription."""
    topic = deployment.parameters.get("AlarmTopicArn", "")
    if not topic:
        fix = f"{deployment.sam_deploy(AlarmTopicArn='ARN')} (docs/operations.md#alarms)"
        yield Finding("AlarmTopicArn is empty: alarms notify nobody", fix, warning=True)
        return
    account = topic.split(":")[4]
    if account != deployment.stack.topic.split(":")[4]:
        raise NotChecked(f"the topic belongs to account {account}, whose policy decides")
    client = deployment.client("sns")
    try:
        attributes = client.get_topic_attributes(TopicArn=topic)["Attributes"]
        pages = list(client.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=topic))
    except client.exceptions.NotFoundException:
        fix = "create the topic, or deploy with the ARN of another as AlarmTopicArn"
        yield Finding(f"the alarms' topic {topic} does not exist", fix)
        return
    if attributes.get("KmsMasterKeyId", "").endswith(AWS_KEY):
        words = ("--topic-arn", topic, "--attribute-name", "KmsMasterKeyId")
        fix = "encrypt it with a key of your own whose policy allows CloudWatch "
        fix += "kms:Decrypt and kms:GenerateDataKey*, or with none: "
        fix += deployment.aws("sns", "set-topic-attributes", *words, "--attribute-value", "")
        detail = f"the alarms' topic is encrypted with {AWS_KEY}, which CloudWatch may not use"
        yield Finding(f"{detail}: no notification arrives", fix)
    rows = [row for page in pages for row in page["Subscriptions"]]
    if all(row["SubscriptionArn"] in PENDING for row in rows):
        pending = len([row for row in rows if row["SubscriptionArn"] == "PendingConfirmation"])
        detail = f"the alarms' topic has no confirmed subscription ({pending} pending)"
        words = ("--topic-arn", topic, "--protocol", "email")
        fix = deployment.aws("sns", "subscribe", *words, "--notification-endpoint", "YOU@EXAMPLE")
        yield Finding(detail, f"confirm with the link in the email, or: {fix}")


CHECKS = (
    Check("alarms", "each alarm exists, and notifies AlarmTopicArn if it is set", alarms),
    Check("alarm-topic", "the alarms' topic can notify a confirmed subscriber", alarm_topic),
)
