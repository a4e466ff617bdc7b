"""Encryption, TLS, protection of data, and who may reach the API."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.template.conftest import ROOT, Template
from tests.template.deployed import Deployed

OWN_KEY = {"Fn::If": ["WithKey", {"Fn::GetAtt": ["DataKey", "Arn"]}, {"Ref": "AWS::NoValue"}]}
TLS_ONLY = {"Bool": {"aws:SecureTransport": "false"}}
SWITCHES = {
    "CreateKmsKey": ("WithKey", "off"),
    "PointInTimeRecovery": ("WithPointInTimeRecovery", "on"),
    "DeletionProtection": ("WithDeletionProtection", "off"),
}


@pytest.mark.parametrize("parameter", SWITCHES)
def test_a_switch_is_on_or_off(template: Template, parameter: str) -> None:
    condition, default = SWITCHES[parameter]
    assert template.body["Parameters"][parameter]["AllowedValues"] == ["off", "on"]
    assert template.body["Parameters"][parameter]["Default"] == default
    assert template.body["Conditions"][condition] == {"Fn::Equals": [{"Ref": parameter}, "on"]}


# --- At rest --------------------------------------------------------------------------------


def test_every_queue_is_encrypted_by_sqs_or_by_the_key_and_never_by_both(
    template: Template,
) -> None:
    for name, properties in template.of_type("AWS::SQS::Queue").items():
        managed = properties["SqsManagedSseEnabled"]["Fn::If"]
        assert managed == ["WithKey", {"Ref": "AWS::NoValue"}, True], name
        assert properties["KmsMasterKeyId"] == OWN_KEY, name


def test_the_topic_is_encrypted_by_what_its_subscribers_can_use(template: Template) -> None:
    for name, properties in template.of_type("AWS::SNS::Topic").items():
        condition, own, otherwise = properties["KmsMasterKeyId"]["Fn::If"]
        assert (condition, own) == ("WithKey", {"Fn::GetAtt": ["DataKey", "Arn"]}), name
    topic = template.resources["EventTopic"]["Properties"]["KmsMasterKeyId"]["Fn::If"]
    otherwise = topic[2]["Fn::If"]
    assert otherwise == ["HasSubscriberAccounts", {"Ref": "AWS::NoValue"}, "alias/aws/sns"]


@pytest.mark.parametrize("kind", ["AWS::Logs::LogGroup", "AWS::SecretsManager::Secret"])
def test_logs_and_secrets_use_the_key_if_there_is_one(template: Template, kind: str) -> None:
    found = template.of_type(kind)
    assert found
    for name, properties in found.items():
        assert properties["KmsKeyId"] == OWN_KEY, name


def test_the_table_uses_the_key_if_there_is_one(template: Template) -> None:
    condition, with_key, without = template.resources["Table"]["Properties"]["SSESpecification"][
        "Fn::If"
    ]
    assert condition == "WithKey"
    assert with_key == {
        "SSEEnabled": True,
        "SSEType": "KMS",
        "KMSMasterKeyId": {"Fn::GetAtt": ["DataKey", "Arn"]},
    }
    assert without == {"Ref": "AWS::NoValue"}


# --- The key --------------------------------------------------------------------------------


@pytest.fixture
def key(template: Template) -> Any:
    return template.resources["DataKey"]


@pytest.fixture
def key_statements(key: Any) -> Any:
    """The key's statements by Sid; conditional ones without their condition."""
    rows = key["Properties"]["KeyPolicy"]["Statement"]
    rows = [row["Fn::If"][1] if "Fn::If" in row else row for row in rows]
    return {row["Sid"]: row for row in rows}


def test_the_key_turns_and_exists_only_on_request(key: Any) -> None:
    assert key["Condition"] == "WithKey"
    assert key["Properties"]["EnableKeyRotation"] is True
    assert key["Properties"]["PendingWindowInDays"] == 30


def test_the_key_serves_exactly_these(key_statements: Any) -> None:
    assert set(key_statements) == {
        "AccountByItsPolicies",
        "TopicIntoQueuesAndAlarmsIntoTopics",
        "LogGroups",
        "WhoeverMayUseTheTable",
        "SubscriberAccounts",
    }
    assert all(row["Effect"] == "Allow" for row in key_statements.values())


def test_everyone_but_the_account_itself_has_a_condition(key_statements: Any) -> None:
    for name, row in key_statements.items():
        assert ("Condition" in row) != (name == "AccountByItsPolicies"), name


def test_services_use_the_key_for_this_account_alone(key_statements: Any) -> None:
    row = key_statements["TopicIntoQueuesAndAlarmsIntoTopics"]
    services = {"sns.amazonaws.com", "cloudwatch.amazonaws.com"}
    assert set(row["Principal"]["Service"]) == services
    account = {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
    assert row["Condition"] == {"StringEquals": account}
    # What AWS asks for encrypted queues of a topic, and for alarms into an encrypted topic.
    assert set(row["Action"]) == {"kms:Decrypt", "kms:GenerateDataKey*"}


def test_the_key_serves_every_log_group_of_the_stack_and_no_other(
    template: Template, key_statements: Any
) -> None:
    condition = key_statements["LogGroups"]["Condition"]["ArnEquals"]
    allowed = [
        row["Fn::Sub"].rpartition(":log-group:")[2]
        for row in condition["kms:EncryptionContext:aws:logs:arn"]
    ]
    names = [
        properties["LogGroupName"]["Fn::Sub"]
        for properties in template.of_type("AWS::Logs::LogGroup").values()
    ]
    assert sorted(allowed) == sorted(names)


def test_the_tables_users_have_what_dynamodb_asks_and_through_it_alone(key_statements: Any) -> None:
    row = key_statements["WhoeverMayUseTheTable"]
    assert row["Condition"] == {
        "StringEquals": {"kms:CallerAccount": {"Ref": "AWS::AccountId"}},
        "StringLike": {"kms:ViaService": {"Fn::Sub": "dynamodb.${AWS::Region}.*"}},
    }


def test_subscriber_accounts_use_the_key_for_queues_alone(key: Any, key_statements: Any) -> None:
    (conditional,) = [r for r in key["Properties"]["KeyPolicy"]["Statement"] if "Fn::If" in r]
    assert conditional["Fn::If"][0] == "HasSubscriberAccounts"
    row = key_statements["SubscriberAccounts"]
    assert row["Principal"] == {"AWS": {"Ref": "SubscriberAccountIds"}}
    assert row["Condition"] == {
        "StringLike": {"kms:ViaService": {"Fn::Sub": "sqs.${AWS::Region}.*"}}
    }


# --- On the way -----------------------------------------------------------------------------


def tls_only(statement: Any) -> bool:
    return bool(
        statement.get("Effect") == "Deny"
        and statement["Principal"] == "*"
        and statement["Condition"] == TLS_ONLY
    )


def test_every_queue_is_reached_over_tls_alone(template: Template) -> None:
    closed = [
        queue["Ref"]
        for policy in template.of_type("AWS::SQS::QueuePolicy").values()
        for queue in policy["Queues"]
        if any(
            tls_only(row) and row["Action"] == "sqs:*" and row["Resource"] == "*"
            for row in policy["PolicyDocument"]["Statement"]
        )
    ]
    # A queue has one policy: a second one would take the place of the first.
    assert sorted(closed) == sorted(template.of_type("AWS::SQS::Queue"))


def test_every_topic_is_reached_over_tls_alone(template: Template) -> None:
    closed = [
        topic["Ref"]
        for policy in template.of_type("AWS::SNS::TopicPolicy").values()
        for topic in policy["Topics"]
        for row in policy["PolicyDocument"]["Statement"]
        if tls_only(row) and "sns:Publish" in row["Action"] and row["Resource"] == topic
    ]
    assert sorted(closed) == sorted(template.of_type("AWS::SNS::Topic"))


def test_the_api_has_a_modern_tls_under_a_name_of_ones_own(template: Template) -> None:
    assert template.resources["ApiDomain"]["Properties"]["SecurityPolicy"] == "TLS_1_2"


# --- The table ------------------------------------------------------------------------------


def test_the_table_can_be_restored_and_not_be_deleted_by_mistake(template: Template) -> None:
    table = template.resources["Table"]["Properties"]
    recovery = table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"]
    assert recovery == {"Fn::If": ["WithPointInTimeRecovery", True, False]}
    protection = {"Fn::If": ["WithDeletionProtection", True, False]}
    assert table["DeletionProtectionEnabled"] == protection


# --- Who may call ---------------------------------------------------------------------------


def test_a_web_acl_stands_before_the_stage_if_there_is_one(template: Template) -> None:
    association = template.resources["ApiWebAcl"]
    assert association["Type"] == "AWS::WAFv2::WebACLAssociation"
    assert association["Condition"] == "WithWebAcl"
    assert association["Properties"]["WebACLArn"] == {"Ref": "WebAclArn"}
    text, names = association["Properties"]["ResourceArn"]["Fn::Sub"]
    assert text.endswith("::/restapis/${Api}/stages/${Stage}")
    assert names == {"Stage": {"Ref": "Api.Stage"}}
    assert template.body["Parameters"]["WebAclArn"]["Default"] == ""


def rate_limited() -> Any:
    return Deployed("skycore", PostbackRateLimit="2000")


def test_there_is_no_web_acl_of_the_stacks_own_by_default() -> None:
    kinds = {row["Type"] for row in Deployed("skycore").resources.values()}
    assert not [kind for kind in kinds if kind.startswith("AWS::WAFv2::")]


def test_the_stacks_own_web_acl_blocks_an_address_that_posts_too_much() -> None:
    stack = rate_limited()
    acl = stack.properties("PostbackWebAcl")
    assert (acl["Scope"], acl["DefaultAction"]) == ("REGIONAL", {"Allow": {}})
    (rule,) = acl["Rules"]
    assert rule["Action"] == {"Block": {}}
    limit = rule["Statement"]["RateBasedStatement"]
    assert limit["AggregateKeyType"] == "IP"
    assert (limit["Limit"], limit["EvaluationWindowSec"]) == ("2000", 300)
    match = limit["ScopeDownStatement"]["ByteMatchStatement"]
    assert (match["FieldToMatch"], match["SearchString"]) == ({"UriPath": {}}, "/postbacks/")
    assert [row["Type"] for row in match["TextTransformations"]] == ["URL_DECODE"]
    association = stack.properties("PostbackWebAclAssociation")
    assert association["WebACLArn"] == stack.arn("PostbackWebAcl")
    (stage,) = stack.of_type("AWS::ApiGateway::Stage")
    assert association["ResourceArn"].endswith(f"/stages/{stack.ref_name(stage)}")


def test_the_stacks_own_web_acl_keeps_no_path_because_it_holds_the_token() -> None:
    stack = rate_limited()
    acl = stack.properties("PostbackWebAcl")
    for row in (acl, *acl["Rules"]):
        assert row["VisibilityConfig"]["SampledRequestsEnabled"] is False
    logging = stack.properties("PostbackWebAclLogging")
    assert logging["RedactedFields"] == [{"UriPath": {}}]
    (group,) = logging["LogDestinationConfigs"]
    assert f"{group}:*" == stack.arn("PostbackWebAclLogs")
    assert "log-group:aws-waf-logs-" in group


@pytest.mark.parametrize(
    ("arn", "fits"),
    [
        ("arn:aws:wafv2:eu-west-1:123456789012:regional/webacl/name/1234-5678", True),
        ("arn:aws:wafv2:us-east-1:123456789012:global/webacl/name/1234-5678", False),
        ("arn:aws:wafv2:eu-west-1:123456789012:regional/rulegroup/name/1", False),
        ("", True),
    ],
)
def test_a_web_acl_is_regional(template: Template, arn: str, fits: bool) -> None:
    pattern = template.body["Parameters"]["WebAclArn"]["AllowedPattern"]
    assert bool(re.fullmatch(pattern, arn)) is fits


# --- Skips of the checkers ------------------------------------------------------------------


@pytest.mark.parametrize("name", [".checkov.yaml", ".cfnlintrc.yaml"])
def test_every_skipped_check_says_why_in_its_line(name: str) -> None:
    text = (ROOT / name).read_text()
    skipped = re.findall(r"^  - (\S+)(.*)$", text, re.MULTILINE)
    assert skipped
    for check, reason in skipped:
        assert len(reason.partition(" # ")[2]) > 15, check


def test_every_test_that_the_threat_table_names_is_there() -> None:
    table = (ROOT / "docs" / "security.md").read_text().split("\n## Threats\n", 1)[1]
    named = re.findall(r"`(\w+/[\w/]+\.py)`", table.split("\n## ", 1)[0])
    assert len(named) > 10
    assert [name for name in named if not (ROOT / "tests" / name).exists()] == []
