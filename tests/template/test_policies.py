"""The policies that the stack prints, and that no policy of one stack reaches another one."""

from __future__ import annotations

import json
import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import pytest

from tests.template.deployed import ACCOUNT, Deployed
from tests.template.test_api import events

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.template.conftest import Template

ROUTES = {
    "SenderPolicy": {"POST/messages", "POST/messages/batch"},
    "ReaderPolicy": {"GET/messages", "GET/messages/*"},
}
POLICIES = ["SenderPolicy", "ReaderPolicy", "AdminPolicy", "CallerPolicy", "OperatorPolicy"]
# Actions for which AWS knows no narrower resource (Service Authorization Reference), or for which
# the command lists by a prefix; or whose resources would not fit into a policy: an event source
# mapping holds nothing secret.
WITHOUT_RESOURCE = {
    "cloudwatch:DescribeAlarms",
    "cloudwatch:GetMetricData",
    "lambda:GetAccountSettings",
    "lambda:GetEventSourceMapping",
    "lambda:ListEventSourceMappings",
    "logs:DescribeLogGroups",
    "sns:GetSubscriptionAttributes",
    "sns:Unsubscribe",
    "sqs:ListQueues",
}
# Characters of the stack's name, and characters without spaces that a managed policy and a role's
# inline policies take ("IAM and AWS STS quotas"). CloudFormation states no limit for an output's
# value unless it is exported, and none here is.
SIZES = [(30, 6_144), (128, 10_240)]
EVERYTHING = {
    "CreateKmsKey": "on",
    "DomainName": "messages.example.com",
    "CertificateArn": "arn:aws:acm:eu-west-1:123456789012:certificate/1",
    "AlarmTopicArn": "arn:aws:sns:eu-west-1:123456789012:alarms-of-a-team-with-a-long-name",
    "PostbackRateLimit": "2000",
}
SIDE_BY_SIDE = [
    "skycore",
    "skycore-dev",
    "skycore-prod",
    "skycore-tail",
    "skycore-doctor",
    "sky",
    "core",
]


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def statements(stack: Deployed, output: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(stack.output(output))["Statement"]
    return rows


def routes(stack: Deployed, output: str) -> set[str]:
    (statement,) = statements(stack, output)
    assert (statement["Effect"], statement["Action"]) == ("Allow", "execute-api:Invoke")
    stage = f"arn:aws:execute-api:eu-west-1:{ACCOUNT}:{stack.ref_name('Api')}/v1/"
    assert all(row.startswith(stage) for row in statement["Resource"])
    return {row.removeprefix(stage) for row in statement["Resource"]}


@pytest.mark.parametrize("output", ROUTES)
def test_a_sender_and_a_reader_get_their_routes_and_no_other(output: str) -> None:
    assert routes(Deployed("skycore"), output) == ROUTES[output]


def test_an_administrator_gets_every_signed_route_and_nothing_else(template: Template) -> None:
    signed = {
        f"{event['Method'].upper()}{re.sub('{.*?}', '*', event['Path'])}"
        for _, event in events(template)
        if not event.get("Auth")
    }
    assert routes(Deployed("skycore"), "AdminPolicy") == signed
    assert not any(row.startswith("POST/postbacks") for row in signed)


def test_the_name_of_earlier_releases_stays(template: Template) -> None:
    outputs = template.body["Outputs"]
    assert outputs["CallerPolicy"]["Value"] == outputs["AdminPolicy"]["Value"]


@pytest.mark.parametrize(("length", "most"), SIZES)
@pytest.mark.parametrize("output", POLICIES)
def test_a_long_stack_name_leaves_no_policy_too_long_for_iam(
    template: Template, output: str, length: int, most: int
) -> None:
    stack = Deployed("s" * length, region="us-gov-west-1", partition="aws-us-gov", **EVERYTHING)
    text = stack.output(output)
    assert len(re.sub(r"\s", "", text)) <= most
    assert json.loads(text)["Version"] == "2012-10-17"
    assert "Export" not in template.body["Outputs"][output]


# --- The operator's -------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["off", "on"])
def test_an_operators_resources_are_this_stacks_or_have_a_reason(key: str) -> None:
    stack = Deployed("skycore", CreateKmsKey=key)
    for statement in statements(stack, "OperatorPolicy"):
        assert statement["Effect"] == "Allow"
        assert not any("*" in action for action in listed(statement["Action"]))
        if statement["Resource"] == ["*"]:
            assert set(statement["Action"]) == WITHOUT_RESOURCE


def test_an_operator_has_one_pattern_alone_and_that_names_the_stack() -> None:
    patterns = [
        resource
        for statement in statements(Deployed("skycore"), "OperatorPolicy")
        for resource in statement["Resource"]
        if resource.endswith(("-*", "_*"))
    ]
    assert patterns == [
        f"arn:aws:sqs:eu-west-1:{ACCOUNT}:skycore_{kind}_*" for kind in ("tail", "doctor")
    ]


def test_an_operator_sees_a_web_acl_of_yours() -> None:
    acl = f"arn:aws:wafv2:eu-west-1:{ACCOUNT}:regional/webacl/mine/1"
    stack = Deployed("skycore", WebAclArn=acl)
    (statement,) = [row for row in statements(stack, "OperatorPolicy") if acl in row["Resource"]]
    assert statement["Action"] == ["wafv2:GetLoggingConfiguration", "wafv2:GetWebACL"]


def test_an_operator_sees_the_domain_and_the_alarm_topic_if_there_are_any() -> None:
    plain, whole = Deployed("skycore"), Deployed("skycore", **EVERYTHING)
    added = {one for holder, one in reaches(whole) if holder == "OperatorPolicy"}
    added -= {one for holder, one in reaches(plain) if holder == "OperatorPolicy"}
    assert added == {
        "arn:aws:apigateway:eu-west-1::/domainnames/messages.example.com",
        EVERYTHING["AlarmTopicArn"],
        whole.arn("DataKey"),
        whole.arn("PostbackWebAcl"),
    }


def test_the_key_is_the_operators_only_if_there_is_one() -> None:
    assert "kms:" not in Deployed("skycore").output("OperatorPolicy")
    stack = Deployed("skycore", CreateKmsKey="on")
    (statement,) = [s for s in statements(stack, "OperatorPolicy") if "Condition" in s]
    assert statement["Action"] == ["kms:Decrypt", "kms:GenerateDataKey"]
    assert statement["Resource"] == [stack.arn("DataKey")]


def test_an_operator_changes_data_and_nothing_that_is_deployed() -> None:
    changes = re.compile(
        r":(Batch)?(Add|Change|Create|Delete|Invoke|Publish|Put|Remove|Send|Set|Subscribe|Tag"
        r"|Unsubscribe|Update|Write)"
    )
    allowed = {
        action
        for statement in statements(Deployed("skycore", CreateKmsKey="on"), "OperatorPolicy")
        for action in statement["Action"]
    }
    assert {action for action in allowed if changes.search(action)} == {
        "dynamodb:BatchWriteItem",
        "dynamodb:DeleteItem",  # of an erased number's opt-out, unless it changed meanwhile
        "dynamodb:PutItem",
        "dynamodb:UpdateItem",
        "execute-api:Invoke",
        "s3:DeleteObject",  # an erased person's files
        "secretsmanager:PutSecretValue",
        "sns:Publish",
        "sns:Subscribe",
        "sns:Unsubscribe",
        "sqs:ChangeMessageVisibility",
        "sqs:CreateQueue",
        "sqs:DeleteMessage",
        "sqs:DeleteQueue",
        "sqs:SendMessage",
    }


# --- Stacks side by side --------------------------------------------------------------------


def belongings(stack: Deployed) -> Iterator[str]:
    """What a policy of another stack must not reach."""
    kinds = ["SQS::Queue", "DynamoDB::Table", "SNS::Topic", "Lambda::Function", "IAM::Role"]
    for kind in [*kinds, "SecretsManager::Secret", "Logs::LogGroup", "KMS::Key"]:
        yield from (stack.arn(name) for name in stack.of_type(f"AWS::{kind}"))
    table, api = stack.arn("Table"), stack.ref_name("Api")
    here = f"{stack.region}:{ACCOUNT}"
    yield from (f"{table}/index/by_day", f"{table}/stream/2026-11-29T00:00:00.000")
    yield f"arn:aws:execute-api:{here}:{api}/v1/POST/messages"
    yield f"arn:aws:apigateway:{stack.region}::/restapis/{api}/stages/v1"
    yield f"arn:aws:cloudformation:{here}:stack/{stack.name}/0a1b2c3d-0000-0000-0000-000000000000"
    yield f"arn:aws:sqs:{here}:{stack.name}_tail_1764387600-0a1b2c3d"
    yield f"arn:aws:sqs:{here}:{stack.name}_doctor_1764387600-0a1b2c3d"
    for name in stack.of_type("AWS::Lambda::EventSourceMapping"):
        yield f"arn:aws:lambda:{here}:event-source-mapping:{stack.ref_name(name)}"
    for name in stack.of_type("AWS::Logs::LogGroup"):  # as a key's encryption context names it
        yield stack.arn(name).removesuffix(":*")


def reaches(stack: Deployed) -> Iterator[tuple[str, str]]:
    """Each resource that a policy of the stack names: outputs, roles, and its key's log groups."""
    for output in POLICIES:
        for statement in statements(stack, output):
            yield from ((output, one) for one in listed(statement["Resource"]) if one != "*")
    for role in stack.of_type("AWS::IAM::Role"):
        for policy in stack.properties(role)["Policies"]:
            for statement in policy["PolicyDocument"]["Statement"]:
                yield from ((role, one) for one in listed(statement["Resource"]) if one != "*")
    key = stack.properties("DataKey")["KeyPolicy"] if "DataKey" in stack.resources else {}
    for statement in key.get("Statement", []):
        for values in statement.get("Condition", {}).values():
            context = values.get("kms:EncryptionContext:aws:logs:arn", [])
            yield from (("DataKey", one) for one in context)


@pytest.mark.parametrize("ours", SIDE_BY_SIDE)
@pytest.mark.parametrize("theirs", SIDE_BY_SIDE)
def test_no_policy_of_a_stack_reaches_another_stack(ours: str, theirs: str) -> None:
    mine, other = (Deployed(name, CreateKmsKey="on") for name in (ours, theirs))
    reached = [
        (holder, pattern, thing)
        for holder, pattern in reaches(mine)
        for thing in belongings(other)
        if fnmatchcase(thing, pattern)
    ]
    if ours == theirs:
        assert reached  # so the check does see what a policy reaches
    else:
        assert reached == []


def test_operators_of_a_stack_can_read_back_each_of_its_parts() -> None:
    stack = Deployed("skycore", CreateKmsKey="on")
    patterns = [one for holder, one in reaches(stack) if holder == "OperatorPolicy"]
    kinds = ["SQS::Queue", "DynamoDB::Table", "SNS::Topic", "SecretsManager::Secret"]
    for kind in [*kinds, "Lambda::Function"]:
        for name in stack.of_type(f"AWS::{kind}"):
            assert stack.arn(name) in patterns, name
    assert stack.arn("MediaBucket") in patterns  # and event sources are listed, of all stacks
