"""A stack whose data a key of its own encrypts: the whole way of a message works with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.conftest import Stack, brought_up
from tests.patience import until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def with_key() -> Iterator[Stack]:
    chosen = "CreateKmsKey=on SubscriberAccountIds=111122223333"
    with brought_up(".local/own-key", chosen) as made:
        yield made


def test_a_message_is_sent_told_and_read(with_key: Stack, sms: dict[str, Any]) -> None:
    sent = with_key.post("/messages", sms).json()
    queued = with_key.post("/messages", sms, Prefer="respond-async").json()
    for one in (sent, queued):
        assert until(
            lambda one=one: (
                with_key.get(f"/messages/{one['message_id']}").json()["status"] == "delivered"
            )
        )
    event = with_key.event(lambda event: event["type"] == "skycore.sms_delivered")
    assert event["data"]["to"] == "17743199144"


def test_everything_that_keeps_data_uses_the_key(with_key: Stack) -> None:
    key = with_key.resource("DataKey")
    sqs, formation = with_key.admin("sqs"), with_key.admin("cloudformation")
    rows = formation.describe_stack_resources(StackName=with_key.description["stack_name"])
    ids: dict[str, list[str]] = {}
    for row in rows["StackResources"]:
        ids.setdefault(row["ResourceType"], []).append(row["PhysicalResourceId"])
    for url in ids["AWS::SQS::Queue"]:
        attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        assert attributes["KmsMasterKeyId"].endswith(key), url
        assert attributes.get("SqsManagedSseEnabled") != "true", url
    topic = with_key.admin("sns").get_topic_attributes(TopicArn=ids["AWS::SNS::Topic"][0])
    assert topic["Attributes"]["KmsMasterKeyId"].endswith(key)
    table = with_key.admin("dynamodb").describe_table(TableName=ids["AWS::DynamoDB::Table"][0])
    assert table["Table"]["SSEDescription"]["KMSMasterKeyArn"].endswith(key)
    for secret in ids["AWS::SecretsManager::Secret"]:
        described = with_key.admin("secretsmanager").describe_secret(SecretId=secret)
        assert described["KmsKeyId"].endswith(key)
    groups = with_key.admin("logs").describe_log_groups()["logGroups"]
    assert groups
    assert all(group["kmsKeyId"].endswith(key) for group in groups)
    kms = with_key.admin("kms")
    assert kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"] is True
    assert "111122223333" in kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"]
