"""What holds data: keys, encryption, dead-letter queues, and that no deploy deletes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from skycore.receiving.ack import MAX_BYTES
from skycore.table.models import Row
from tests.template.deployed import transformed

if TYPE_CHECKING:
    from tests.template.conftest import Template

QUEUES = ["PostbackQueue", "SendQueue", "EventQueue", "PublishRetryQueue"]


def test_the_key_and_the_indexes_are_the_ones_of_the_first_release(template: Template) -> None:
    table = template.resources["Table"]["Properties"]
    keys = [(row["AttributeName"], row["KeyType"]) for row in table["KeySchema"]]
    assert keys == [("pk", "HASH"), ("sk", "RANGE")]
    indexes = {
        index["IndexName"]: [row["AttributeName"] for row in index["KeySchema"]]
        for index in table["GlobalSecondaryIndexes"]
    }
    assert indexes == {
        "by_number": ["number", "at"],
        "by_day": ["day", "at"],
        "by_state": ["state", "at"],
    }
    assert all(
        index["Projection"] == {"ProjectionType": "KEYS_ONLY"}
        for index in table["GlobalSecondaryIndexes"]
    )


@pytest.mark.parametrize("name", ["by_number", "by_day", "by_state"])
def test_the_models_know_the_same_indexes(template: Template, name: str) -> None:
    table = template.resources["Table"]["Properties"]
    index = getattr(Row, name)
    (declared,) = [row for row in table["GlobalSecondaryIndexes"] if row["IndexName"] == name]
    in_model = index._get_schema()["key_schema"]
    assert sorted(in_model, key=str) == sorted(declared["KeySchema"], key=str)


def test_old_rows_leave_by_themselves(template: Template) -> None:
    table = template.resources["Table"]["Properties"]
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expires", "Enabled": True}
    assert hasattr(Row, "expires")


@pytest.mark.parametrize("queue", QUEUES)
def test_a_queue_has_a_dead_letter_queue_that_keeps_as_long(template: Template, queue: str) -> None:
    properties = template.resources[queue]["Properties"]
    target = properties["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"][0]
    dead = template.resources[target]["Properties"]
    assert dead["MessageRetentionPeriod"] == 1209600
    assert properties["MessageRetentionPeriod"] == 1209600


def test_the_postback_queues_take_the_largest_postback(template: Template) -> None:
    largest = MAX_BYTES * 4 // 3 + 4  # as base64, where SQS cannot carry the bytes
    for queue in ("PostbackQueue", "PostbackDeadLetterQueue"):
        assert template.resources[queue]["Properties"]["MaximumMessageSize"] >= largest


def test_a_failed_first_deployment_leaves_nothing_behind(template: Template) -> None:
    """Of `Retain` a rolled back creation keeps everything: a table that refuses deletion, too."""
    for name, row in transformed()["Resources"].items():
        assert row.get("DeletionPolicy") in {None, "Delete", "RetainExceptOnCreate"}, name
    assert "DeletionPolicy: Retain\n" not in template.text


def test_no_deploy_and_no_delete_loses_data(template: Template) -> None:
    kinds = {
        "AWS::SQS::Queue",
        "AWS::DynamoDB::Table",
        "AWS::SecretsManager::Secret",
        "AWS::KMS::Key",  # without it nothing that it encrypted can be read
    }
    held = [name for name, row in template.resources.items() if row["Type"] in kinds]
    assert len(held) >= 13
    for name in held:
        assert template.resources[name]["DeletionPolicy"] == "RetainExceptOnCreate", name
        assert template.resources[name]["UpdateReplacePolicy"] == "Retain", name


def test_no_deploy_sets_the_api_key(template: Template) -> None:
    assert set(template.resources["ApiKey"]["Properties"]) == {"Description", "KmsKeyId"}
    assert "ApiKey" not in template.body["Parameters"]


def test_the_token_fits_into_a_url(template: Template) -> None:
    options = template.resources["PostbackToken"]["Properties"]["GenerateSecretString"]
    assert options["ExcludePunctuation"] is True
    assert options["PasswordLength"] >= 32
