"""What holds data: keys, encryption, dead-letter queues, and that no deploy deletes it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from skycore.receiving.ack import MAX_BYTES
from skycore.table.models import Row
from tests.template.deployed import Deployed, transformed

if TYPE_CHECKING:
    from tests.template.conftest import Template

QUEUES = ["PostbackQueue", "SendQueue", "EventQueue", "PublishRetryQueue", "MediaQueue"]


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
        "AWS::S3::Bucket",
        "AWS::SecretsManager::Secret",
        "AWS::KMS::Key",  # without it nothing that it encrypted can be read
    }
    held = [name for name, row in template.resources.items() if row["Type"] in kinds]
    assert len(held) >= 16
    for name in held:
        assert template.resources[name]["DeletionPolicy"] == "RetainExceptOnCreate", name
        assert template.resources[name]["UpdateReplacePolicy"] == "Retain", name


def test_no_deploy_sets_the_api_key(template: Template) -> None:
    assert set(template.resources["ApiKey"]["Properties"]) == {"Description", "KmsKeyId"}
    assert "ApiKey" not in template.body["Parameters"]


def test_no_deploy_generates_another_secret_of_the_hashes(template: Template) -> None:
    """Secrets Manager generates a new value if an option changes: erased opt-outs would be lost."""
    options = template.resources["HashSecret"]["Properties"]["GenerateSecretString"]
    assert options == {"PasswordLength": 64, "ExcludePunctuation": True}


def test_the_token_fits_into_a_url(template: Template) -> None:
    options = template.resources["PostbackToken"]["Properties"]["GenerateSecretString"]
    assert options["ExcludePunctuation"] is True
    assert options["PasswordLength"] >= 32


# --- The bucket of kept media -------------------------------------------------------------------


def bucket(**parameters: Any) -> Any:
    return Deployed("skycore", **parameters).properties("MediaBucket")


def test_no_file_of_an_mms_is_public() -> None:
    assert bucket()["PublicAccessBlockConfiguration"] == {
        "BlockPublicAcls": True,
        "BlockPublicPolicy": True,
        "IgnorePublicAcls": True,
        "RestrictPublicBuckets": True,
    }
    rules = bucket()["OwnershipControls"]["Rules"]
    assert rules == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    assert not set(bucket()) & {"AccessControl", "WebsiteConfiguration", "CorsConfiguration"}


@pytest.mark.parametrize("key", ["off", "on"])
def test_files_are_encrypted_with_the_stacks_key_if_there_is_one(key: str) -> None:
    stack = Deployed("skycore", CreateKmsKey=key)
    encryption = stack.properties("MediaBucket")["BucketEncryption"]
    (rule,) = encryption["ServerSideEncryptionConfiguration"]
    chosen = rule["ServerSideEncryptionByDefault"]
    if key == "on":
        assert chosen == {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": stack.arn("DataKey")}
    else:
        assert chosen == {"SSEAlgorithm": "AES256"}


def test_what_is_deleted_from_the_bucket_is_gone_and_the_rest_expires() -> None:
    assert "VersioningConfiguration" not in bucket()
    assert "ObjectLockConfiguration" not in bucket()
    rules = bucket(EventRetentionDays="30")["LifecycleConfiguration"]["Rules"]
    assert [rule["ExpirationInDays"] for rule in rules if "ExpirationInDays" in rule] == ["30"]
    assert all(rule["Status"] == "Enabled" and "Prefix" not in rule for rule in rules)


def test_the_bucket_takes_tls_only(template: Template) -> None:
    policy = template.resources["MediaBucketPolicy"]["Properties"]["PolicyDocument"]
    (statement,) = policy["Statement"]
    assert (statement["Effect"], statement["Principal"], statement["Action"]) == (
        "Deny",
        "*",
        "s3:*",
    )
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert len(statement["Resource"]) == 2  # the bucket and its objects


def test_without_media_nothing_is_queued_or_fetched() -> None:
    for keep in ("on", "off"):
        stack = Deployed("skycore", KeepMedia=keep)
        queue = stack.properties("PublishFunction")["Environment"]["Variables"]["MEDIA_QUEUE_URL"]
        assert bool(queue) is (keep == "on")
        assert stack.properties("FetchFunctionMedia")["Enabled"] is (keep == "on")
        assert {"MediaBucket", "MediaQueue"} <= set(stack.resources)


@pytest.mark.parametrize(
    ("host", "fits"),
    [
        (".skycore.com", True),
        ("cdn.example.com", True),
        ("localhost", False),
        ("127.0.0.1", False),
        ("*.skycore.com", False),
        ("https://skycore.com", False),
        ("skycore.com:8080", False),
        (".com", False),
    ],
)
def test_a_media_host_is_a_name(template: Template, host: str, fits: bool) -> None:
    pattern = template.body["Parameters"]["MediaHosts"]["AllowedPattern"]
    assert bool(re.fullmatch(pattern, host)) is fits
