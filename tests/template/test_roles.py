"""Roles: each function's own, its actions and resources named, the key only if there is one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.template.test_functions import VERBS

if TYPE_CHECKING:
    from tests.template.conftest import Template

# Actions for which AWS has no resource to name, and the condition under which they are there.
ANYWHERE = {
    "ec2:": "InVpc",  # network interfaces of a VPC have no ARN beforehand
    "xray:": "WithTracing",  # AWS X-Ray has no resource for what a function tells it
}
# The services through which a function meets data that the key encrypts. The table's way to the
# key is in the key's own policy.
THROUGH_KEY = {
    "ack": {"secretsmanager", "sqs"},
    "store": {"sqs"},
    "publish": {"sns", "sqs"},
    "fetch": {"s3", "sqs"},
    "send": {"secretsmanager", "sqs"},
    "enqueue": {"secretsmanager", "sqs"},  # the key of the fingerprints
    "dispatch": {"secretsmanager", "sqs"},
    "messages": {"s3"},
    "sweep": {"sqs"},
}


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def statements(template: Template, verb: str) -> list[tuple[str | None, dict[str, Any]]]:
    """The role's statements, each with the condition under which it is there."""
    found = []
    for row in template.statements(f"{verb.title()}Role"):
        if "Fn::If" in row:
            condition, statement, otherwise = row["Fn::If"]
            assert otherwise == {"Ref": "AWS::NoValue"}
            found.append((condition, statement))
        else:
            found.append((None, row))
    return found


def test_a_role_is_for_lambda_and_has_statements_of_ours_alone(template: Template) -> None:
    for name, role in template.of_type("AWS::IAM::Role").items():
        assert "ManagedPolicyArns" not in role, name
        (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
        assert trust["Principal"] == {"Service": "lambda.amazonaws.com"}, name
        assert len(role["Policies"]) == 1, name
    for name, function in template.functions.items():
        assert not set(function) & {"Policies", "Connectors"}, name  # templates, wider than the use


@pytest.mark.parametrize("verb", VERBS)
def test_a_role_names_its_actions_and_resources(template: Template, verb: Any) -> None:
    for condition, statement in statements(template, verb):
        assert statement["Effect"] == "Allow"
        actions = listed(statement["Action"])
        assert all("*" not in action for action in actions)
        if "*" in listed(statement["Resource"]):
            for prefix, needs in ANYWHERE.items():
                if actions[0].startswith(prefix):
                    assert condition == needs
                    assert all(action.startswith(prefix) for action in actions)
                    break
            else:
                pytest.fail(f"{actions} on *")


def test_network_interfaces_are_for_the_lambda_service_and_not_for_our_code(
    template: Template,
) -> None:
    in_vpc = [
        statement
        for verb in VERBS
        for condition, statement in statements(template, verb)
        if condition == "InVpc"
    ]
    assert len(in_vpc) == 3  # send, dispatch and fetch call Skycore
    for statement in in_vpc:
        # The key is there when the function's own code calls, with its credentials.
        assert statement["Condition"] == {"Null": {"lambda:SourceFunctionArn": "true"}}


@pytest.mark.parametrize("verb", VERBS)
def test_the_key_is_used_only_through_the_services_that_the_function_calls(
    template: Template, verb: Any
) -> None:
    rows = [row for condition, row in statements(template, verb) if condition == "WithKey"]
    found: set[str] = set()
    for row in rows:
        assert row["Resource"] == {"Fn::GetAtt": ["DataKey", "Arn"]}
        assert set(listed(row["Action"])) <= {"kms:Decrypt", "kms:GenerateDataKey"}
        for service in listed(row["Condition"]["StringLike"]["kms:ViaService"]):
            name, _, rest = service["Fn::Sub"].partition(".")
            assert rest == "${AWS::Region}.*"  # its end differs by partition
            found.add(name)
    assert found == THROUGH_KEY[verb]


@pytest.mark.parametrize("verb", VERBS)
def test_what_goes_through_the_key_is_what_the_role_does(template: Template, verb: Any) -> None:
    called = {
        action.partition(":")[0]
        for condition, statement in statements(template, verb)
        for action in listed(statement["Action"])
        if condition is None
    }
    assert called & {"s3", "sqs", "sns", "secretsmanager"} == THROUGH_KEY[verb]


def test_what_strangers_post_can_reach_no_message_no_opt_out_and_no_limit(
    template: Template,
) -> None:
    keys = [
        key
        for _, statement in statements(template, "store")
        if any(action.startswith("dynamodb:") for action in listed(statement["Action"]))
        for key in statement["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"]
    ]
    assert sorted(keys) == ["event#*", "raw#*", "token#*", "tracking#*", "window#*"]


def test_nobody_scans_the_table_or_changes_what_is_deployed(template: Template) -> None:
    for verb in VERBS:
        for _, statement in statements(template, verb):
            for action in listed(statement["Action"]):
                assert action.partition(":")[2] not in {"Scan", "DeleteTable", "UpdateTable"}
                assert action.partition(":")[0] not in {"iam", "sts", "lambda", "cloudformation"}
