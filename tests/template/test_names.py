"""Two stacks in one account, and one stack name in two regions, do not collide."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.template.deployed import Deployed, transformed

# Kinds whose names are unique in an account, or in the world, and not in a region: the property.
ACCOUNT_WIDE = {
    "AWS::CloudWatch::Dashboard": "DashboardName",
    "AWS::IAM::Group": "GroupName",
    "AWS::IAM::InstanceProfile": "InstanceProfileName",
    "AWS::IAM::ManagedPolicy": "ManagedPolicyName",
    "AWS::IAM::Role": "RoleName",
    "AWS::IAM::User": "UserName",
    "AWS::S3::Bucket": "BucketName",
}
# Kinds with a name of ours that is unique in a region: the property.
REGIONAL = {
    "AWS::ApiGateway::RestApi": "Name",
    "AWS::Logs::LogGroup": "LogGroupName",
}
# Names that AWS does not keep unique, or that another resource of the stack owns.
ELSEWHERE = {
    "AWS::ApiGateway::BasePathMapping": "DomainName",  # of ApiDomain
    "AWS::ApiGateway::DomainName": "DomainName",  # the user's own
    "AWS::ApiGateway::Stage": "StageName",  # within the API
    "AWS::Lambda::EventSourceMapping": "FunctionName",  # of the function
    "AWS::Lambda::LayerVersion": "LayerName",  # SAM's; stacks share the name, each has its versions
    "AWS::Lambda::Permission": "FunctionName",  # of the function
}
KINDS = {row["Type"] for row in transformed()["Resources"].values()}
ALL = {
    "PostbackRateLimit": "2000",
    "AccessLogs": "on",
    "CreateKmsKey": "on",
    "DomainName": "sms.example.com",
    "WebAclArn": "arn:aws:wafv2:eu-west-1:123456789012:regional/webacl/name/1",
}


def names(region: str, stack: str) -> dict[str, str]:
    """Return the names that the template gives, by logical id."""
    deployed = Deployed(stack, region=region, **ALL)
    given = ACCOUNT_WIDE | REGIONAL
    return {
        name: deployed.properties(name)[given[row["Type"]]]
        for name, row in deployed.resources.items()
        if given.get(row["Type"]) in row.get("Properties", {})
    }


def test_two_stacks_share_no_name() -> None:
    one, other = names("eu-west-1", "skycore"), names("eu-west-1", "skycore-dev")
    assert "Dashboard" in one
    assert not set(one.values()) & set(other.values())


def test_an_account_wide_name_carries_stack_and_region() -> None:
    kinds = transformed()["Resources"]
    one, other = names("eu-west-1", "skycore"), names("us-east-1", "skycore")
    wide = {name for name in one if kinds[name]["Type"] in ACCOUNT_WIDE}
    assert wide == {"Dashboard"}
    for name in wide:
        assert one[name] != other[name]
        assert "skycore" in one[name]


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_name_of_ours_is_one_that_this_page_knows(kind: Any) -> None:
    known = {**ELSEWHERE, **ACCOUNT_WIDE, **REGIONAL}
    for name, row in transformed()["Resources"].items():
        if row["Type"] != kind:
            continue
        given = {key for key in row.get("Properties", {}) if key.endswith("Name")}
        given -= {"MetricName"}  # of an alarm: what it watches
        assert given <= {known.get(kind)}, name


def test_no_alarm_and_no_role_has_a_name_of_ours() -> None:
    for name, row in transformed()["Resources"].items():
        if row["Type"] in {"AWS::CloudWatch::Alarm", "AWS::IAM::Role"}:
            assert not set(row["Properties"]) & {"AlarmName", "RoleName"}, name
    assert json.loads(Deployed("skycore").properties("Dashboard")["DashboardBody"])["widgets"]
