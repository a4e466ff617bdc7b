"""The template as CloudFormation deploys it: transformed by SAM, for one account and region."""

from __future__ import annotations

import copy
import hashlib
import os
import re
from functools import cache
from typing import Any
from unittest import mock

from samtranslator.translator import arn_generator
from samtranslator.translator.transform import transform

from tests.template.conftest import Template

ACCOUNT = "123456789012"
SUFFIXES = {"aws": "amazonaws.com", "aws-cn": "amazonaws.com.cn", "aws-us-gov": "amazonaws.com"}
NO_VALUE = object()
# The most characters of a name that CloudFormation makes: stack, logical id and 12 of its own.
LONGEST_NAME = {
    "AWS::SQS::Queue": 80,
    "AWS::Lambda::Function": 64,
    "AWS::DynamoDB::Table": 255,
    "AWS::SNS::Topic": 256,
    "AWS::IAM::Role": 64,
    "AWS::S3::Bucket": 63,
}
ARNS = {
    "AWS::SQS::Queue": "sqs:{region}:{account}:{name}",
    "AWS::Lambda::Function": "lambda:{region}:{account}:function:{name}",
    "AWS::DynamoDB::Table": "dynamodb:{region}:{account}:table/{name}",
    "AWS::SNS::Topic": "sns:{region}:{account}:{name}",
    "AWS::S3::Bucket": "s3:::{name}",
    "AWS::IAM::Role": "iam::{account}:role/{name}",
    "AWS::SecretsManager::Secret": "secretsmanager:{region}:{account}:secret:{name}",
    "AWS::KMS::Key": "kms:{region}:{account}:key/{name}",
    "AWS::WAFv2::WebACL": "wafv2:{region}:{account}:regional/webacl/{name}/id",
    "AWS::Logs::LogGroup": "logs:{region}:{account}:log-group:{name}:*",
}


@cache
def transformed(region: str = "eu-west-1") -> dict[str, Any]:
    """Return the template after SAM's transformation, by the translator that AWS runs."""
    arn_generator._get_region_from_session.cache_clear()
    arn_generator._region_to_partition.cache_clear()
    body = copy.deepcopy(Template().body)
    for resource in body["Resources"].values():
        for key in ("CodeUri", "ContentUri"):
            if key in resource.get("Properties", {}):
                resource["Properties"][key] = "s3://bucket/key"
    defaults = {
        name: [item for item in entry["Default"].split(",") if item]
        if entry["Type"] == "CommaDelimitedList"
        else entry["Default"]
        for name, entry in body["Parameters"].items()
    }
    with mock.patch.dict(os.environ, {"AWS_DEFAULT_REGION": region}):
        made: dict[str, Any] = transform(body, defaults, None)
    return made


class Deployed:
    """A stack of the transformed template, with names as CloudFormation makes them."""

    def __init__(
        self, name: str, *, region: str = "eu-west-1", partition: str = "aws", **chosen: str
    ) -> None:
        self.name, self.region, self.partition = name, region, partition
        self.body = transformed(region)
        self.resources: dict[str, Any] = {}
        self.parameters = {
            key: self._parameter(entry["Type"], chosen.get(key, entry["Default"]))
            for key, entry in self.body["Parameters"].items()
        }
        for key, resource in self.body["Resources"].items():
            if "Condition" not in resource or self.holds(resource["Condition"]):
                self.resources[key] = resource

    def of_type(self, kind: str) -> list[str]:
        """Return the logical ids of the resources of a type."""
        return [name for name, row in self.resources.items() if row["Type"] == kind]

    def output(self, name: str) -> str:
        """Return an output's value."""
        value: str = self.value(self.body["Outputs"][name]["Value"])
        return value

    def properties(self, name: str) -> Any:
        """Return a resource's properties with every function resolved."""
        return self.value(self.resources[name].get("Properties", {}))

    def arn(self, name: str) -> str:
        """Return a resource's ARN."""
        form = ARNS[self.resources[name]["Type"]]
        rest = form.format(region=self.region, account=ACCOUNT, name=self.ref_name(name))
        return f"arn:{self.partition}:{rest}"

    def ref_name(self, name: str) -> str:
        """Return the physical name of a resource."""
        kind = self.resources[name]["Type"]
        unique = hashlib.sha256(f"{self.name}/{name}".encode()).hexdigest().upper()
        if kind == "AWS::SecretsManager::Secret":  # without the stack's name
            return f"{name}-{unique[:12]}-{unique[12:18]}"
        if kind == "AWS::Lambda::EventSourceMapping":
            return f"{unique[:8]}-{unique[8:12]}-{unique[12:16]}-{unique[16:20]}-{unique[20:32]}"
        if kind == "AWS::ApiGateway::RestApi":
            return unique[:10].lower()
        if kind == "AWS::Logs::LogGroup":
            group: str = self.properties(name)["LogGroupName"]
            return group
        if kind == "AWS::S3::Bucket":  # in lower case
            return f"{f'{self.name}-{name}'.lower()[:50]}-{unique[:12].lower()}"
        start = f"{self.name}-{name}"
        return f"{start[: LONGEST_NAME.get(kind, 255) - 13]}-{unique[:12]}"

    def holds(self, name: str) -> bool:
        """Return whether a condition is true."""
        return self._true(self.body["Conditions"][name])

    def value(self, node: Any) -> Any:
        """Return a part of the template with every function resolved."""
        if isinstance(node, list):
            return [one for one in map(self.value, node) if one is not NO_VALUE]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            ((function, argument),) = node.items()
            if function == "Ref":
                return self._ref(argument)
            if function == "Fn::GetAtt":
                return self._attribute(*argument)
            if function == "Fn::If":
                condition, yes, no = argument
                return self.value(yes if self.holds(condition) else no)
            if function == "Fn::Join":
                return argument[0].join(self.value(argument[1]))
            if function == "Fn::Sub":
                return self._sub(argument)
        values = {key: self.value(item) for key, item in node.items()}
        return {key: item for key, item in values.items() if item is not NO_VALUE}

    def _sub(self, argument: Any) -> str:
        text, names = argument if isinstance(argument, list) else (argument, {})
        known = {name: self.value(node) for name, node in names.items()}

        def replace(found: re.Match[str]) -> str:
            name, _, attribute = found[1].partition(".")
            if found[1] in known:
                return str(known[found[1]])
            return str(self._attribute(name, attribute) if attribute else self._ref(name))

        return re.sub(r"\$\{([^}]+)\}", replace, text)

    def _ref(self, name: str) -> Any:
        pseudo = {
            "AWS::Region": self.region,
            "AWS::AccountId": ACCOUNT,
            "AWS::Partition": self.partition,
            "AWS::StackName": self.name,
            "AWS::URLSuffix": SUFFIXES[self.partition],
            "AWS::NoValue": NO_VALUE,
        }
        if name in pseudo:
            return pseudo[name]
        if name in self.parameters:
            return self.parameters[name]
        if self.resources[name]["Type"] in {"AWS::SNS::Topic", "AWS::SecretsManager::Secret"}:
            return self.arn(name)
        return self.ref_name(name)

    def _attribute(self, name: str, attribute: str) -> Any:
        if attribute in {"Arn", "Id"}:
            return self.arn(name) if self.resources[name]["Type"] in ARNS else f"{name}.Arn"
        return f"{self.ref_name(name)}.{attribute}"

    def _true(self, node: Any) -> bool:
        ((function, argument),) = node.items()
        if function == "Fn::Not":
            return not self._true(argument[0])
        assert function == "Fn::Equals"
        left, right = (self.value(one) for one in argument)
        return str(left) == str(right)

    @staticmethod
    def _parameter(kind: str, value: Any) -> Any:
        if kind == "CommaDelimitedList":
            return [item.strip() for item in value.split(",")] if value else []
        return str(value)
