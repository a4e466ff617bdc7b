"""Correct from outside what the emulator drops or misreads: the only file that knows of it.

The template is written for AWS. `rewrite` changes the built copy before it is deployed;
`put_back` sets, through the public AWS APIs, what the emulator's CloudFormation drops.
"""

from __future__ import annotations

import json
import re
import string
from typing import TYPE_CHECKING, Any

import yaml

from local.paths import HOST

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def rewrite(built: Path) -> Path:
    """Writes the local copy of a built template next to it and returns its path."""
    text = built.read_text()
    # AWS wants the slash of a media type escaped; the emulator takes the pattern literally.
    text = text.replace("'*~1*'", "'*/*'").replace('"*~1*"', '"*/*"').replace("*~1*", "'*/*'")
    # In a condition the emulator does not join a list, which is one text to it: so every list of
    # the parameters seemed to be there.
    text = re.sub(r"Fn::Join:\s+- ''\s+- Ref: (\w+)", r"Ref: \1", text)
    # The emulator is reached over plain http, and says so: a value that is neither true nor false
    # keeps the TLS-only denials from ever applying.
    text = re.sub(r"(aws:SecureTransport: *)['\"]false['\"]", r"\1'none, locally'", text)
    copy = built.with_name("template.local.yaml")
    copy.write_text(text)
    return copy


def put_back(client: Callable[[str], Any], stack_name: str) -> None:
    """Sets what the emulator's CloudFormation dropped while it deployed `stack_name`."""
    stack = _Stack(client, stack_name)
    _reserved_concurrency(stack)
    _maximum_concurrency(stack)
    _recursive_loop(stack)
    _batch_actions(stack)
    _time_to_live(stack)
    _point_in_time_recovery(stack)
    _own_key(stack)
    _secrets_fit_for_urls(stack)
    _api_policy_and_gateway_responses(stack)
    _path_with_stage(stack)


class _Stack:
    """The deployed stack: its processed template, with what its references resolve to."""

    def __init__(self, client: Callable[[str], Any], name: str) -> None:
        self.client = client
        formation = client("cloudformation")
        body = formation.get_template(StackName=name, TemplateStage="Processed")["TemplateBody"]
        template: Any = yaml.safe_load(body) if isinstance(body, str) else body
        self.resources: dict[str, dict[str, Any]] = template["Resources"]
        self.conditions: dict[str, Any] = template.get("Conditions", {})
        described = formation.describe_stacks(StackName=name)["Stacks"][0]
        self.parameters = {
            row["ParameterKey"]: row["ParameterValue"] for row in described["Parameters"]
        }
        self.ids = {
            row["LogicalResourceId"]: row["PhysicalResourceId"]
            for row in formation.describe_stack_resources(StackName=name)["StackResources"]
        }

    def of_type(self, kind: str) -> dict[str, dict[str, Any]]:
        return {
            name: resource.get("Properties", {})
            for name, resource in self.resources.items()
            if resource["Type"] == kind and name in self.ids
        }

    def value(self, node: Any) -> Any:
        """`node` with Ref and Fn::If resolved, as far as the template uses them here."""
        if isinstance(node, list):
            values = [self.value(item) for item in node]
            return [value for value in values if value is not _NO_VALUE]
        if not isinstance(node, dict):
            return node
        if "Ref" in node:
            return self._ref(node["Ref"])
        if "Fn::If" in node:
            condition, yes, no = node["Fn::If"]
            return self.value(yes if self.holds({"Condition": condition}) else no)
        fields = {key: self.value(item) for key, item in node.items()}
        return {key: value for key, value in fields.items() if value is not _NO_VALUE}

    def holds(self, node: Any) -> bool:
        if "Condition" in node:
            return self.holds(self.conditions[node["Condition"]])
        if "Fn::Not" in node:
            return not self.holds(node["Fn::Not"][0])
        left, right = node["Fn::Equals"]
        return str(self._compared(left)) == str(self._compared(right))

    def _compared(self, node: Any) -> Any:
        if isinstance(node, dict) and "Fn::Join" in node:
            separator, parts = node["Fn::Join"]
            parts = self.value(parts)
            return separator.join(parts) if isinstance(parts, list) else parts
        return self.value(node)

    def _ref(self, name: str) -> Any:
        if name == "AWS::NoValue":
            return _NO_VALUE
        return self.parameters.get(name, self.ids.get(name))


_NO_VALUE = object()


def _reserved_concurrency(stack: _Stack) -> None:
    client = stack.client("lambda")
    for name, properties in stack.of_type("AWS::Lambda::Function").items():
        value = stack.value(properties.get("ReservedConcurrentExecutions", _NO_VALUE))
        if value is _NO_VALUE:
            client.delete_function_concurrency(FunctionName=stack.ids[name])
        else:
            client.put_function_concurrency(
                FunctionName=stack.ids[name], ReservedConcurrentExecutions=int(value)
            )


def _maximum_concurrency(stack: _Stack) -> None:
    """A parameter arrives as text, with which the emulator's poller cannot count."""
    client = stack.client("lambda")
    for name, properties in stack.of_type("AWS::Lambda::EventSourceMapping").items():
        scaling = stack.value(properties.get("ScalingConfig", {}))
        if scaling:
            client.update_event_source_mapping(
                UUID=stack.ids[name],
                ScalingConfig={"MaximumConcurrency": int(scaling["MaximumConcurrency"])},
            )


def _recursive_loop(stack: _Stack) -> None:
    """Set the property, which the emulator's CloudFormation drops, although its Lambda knows it."""
    client = stack.client("lambda")
    for name, properties in stack.of_type("AWS::Lambda::Function").items():
        if "RecursiveLoop" in properties:
            client.put_function_recursion_config(
                FunctionName=stack.ids[name], RecursiveLoop=properties["RecursiveLoop"]
            )


def _batch_actions(stack: _Stack) -> None:
    """On AWS the single action allows the batch call; the emulator wants a name of its own."""
    client = stack.client("iam")
    batches = {"sns:Publish": "sns:PublishBatch", "sqs:SendMessage": "sqs:SendMessageBatch"}
    for name in stack.of_type("AWS::IAM::Role"):
        role = stack.ids[name]
        added = []
        for policy in client.list_role_policies(RoleName=role)["PolicyNames"]:
            document = client.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]
            for statement in document["Statement"]:
                actions = statement["Action"]
                actions = [actions] if isinstance(actions, str) else actions
                batch = [batches[action] for action in actions if action in batches]
                if batch:
                    added.append({**statement, "Action": batch})
        if added:
            document = json.dumps({"Version": "2012-10-17", "Statement": added})
            client.put_role_policy(
                RoleName=role, PolicyName="emulator-batch-calls", PolicyDocument=document
            )


def _time_to_live(stack: _Stack) -> None:
    client = stack.client("dynamodb")
    for name, properties in stack.of_type("AWS::DynamoDB::Table").items():
        if "TimeToLiveSpecification" in properties:
            now = client.describe_time_to_live(TableName=stack.ids[name])
            if now["TimeToLiveDescription"]["TimeToLiveStatus"] != "ENABLED":
                client.update_time_to_live(
                    TableName=stack.ids[name],
                    TimeToLiveSpecification=properties["TimeToLiveSpecification"],
                )


def _point_in_time_recovery(stack: _Stack) -> None:
    client = stack.client("dynamodb")
    for name, properties in stack.of_type("AWS::DynamoDB::Table").items():
        wanted = stack.value(properties.get("PointInTimeRecoverySpecification", _NO_VALUE))
        if wanted is not _NO_VALUE:
            client.update_continuous_backups(
                TableName=stack.ids[name], PointInTimeRecoverySpecification=wanted
            )


def _own_key(stack: _Stack) -> None:
    """The topic's key and the table's are dropped; the queues', logs' and secrets' are not."""
    key = stack.ids.get("DataKey")
    if key is None:
        return
    for name in stack.of_type("AWS::SNS::Topic"):
        stack.client("sns").set_topic_attributes(
            TopicArn=stack.ids[name], AttributeName="KmsMasterKeyId", AttributeValue=key
        )
    for name in stack.of_type("AWS::DynamoDB::Table"):
        stack.client("dynamodb").update_table(
            TableName=stack.ids[name],
            SSESpecification={"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": key},
        )


def _secrets_fit_for_urls(stack: _Stack) -> None:
    """ExcludePunctuation is dropped, so a generated token may hold a slash."""
    client = stack.client("secretsmanager")
    for name, properties in stack.of_type("AWS::SecretsManager::Secret").items():
        options = properties.get("GenerateSecretString")
        if not options:
            continue
        value = client.get_secret_value(SecretId=stack.ids[name])["SecretString"]
        if set(value) - set(string.ascii_letters + string.digits):
            password = client.get_random_password(**options)["RandomPassword"]
            client.put_secret_value(SecretId=stack.ids[name], SecretString=password)


def _api_policy_and_gateway_responses(stack: _Stack) -> None:
    client = stack.client("apigateway")
    for name, properties in stack.of_type("AWS::ApiGateway::RestApi").items():
        api = stack.ids[name]
        body = properties.get("Body", {})
        for kind, answer in body.get("x-amazon-apigateway-gateway-responses", {}).items():
            status = {"statusCode": str(answer["statusCode"])} if "statusCode" in answer else {}
            client.put_gateway_response(
                restApiId=api,
                responseType=kind,
                responseParameters=answer.get("responseParameters", {}),
                responseTemplates=answer.get("responseTemplates", {}),
                **status,
            )
        policy = stack.value(body.get("x-amazon-apigateway-policy"))
        if policy:
            client.update_rest_api(
                restApiId=api,
                patchOperations=[{"op": "replace", "path": "/policy", "value": json.dumps(policy)}],
            )
        client.create_deployment(restApiId=api, stageName="v1")


def _path_with_stage(stack: _Stack) -> None:
    """Serve the API at `/v1/…` too, so that a caller can follow a Location header.

    On AWS the stage is the first part of every path. The emulator puts its own prefix before the
    stage and leaves that prefix out of `requestContext.path`. A domain name with a base path, as
    AWS has them, makes the path that the function sees one that works.
    """
    client = stack.client("apigateway")
    for name in stack.of_type("AWS::ApiGateway::RestApi"):
        if HOST not in [row["domainName"] for row in client.get_domain_names()["items"]]:
            client.create_domain_name(domainName=HOST)
        client.delete_base_path_mapping(domainName=HOST, basePath="v1")
        client.create_base_path_mapping(
            domainName=HOST, basePath="v1", restApiId=stack.ids[name], stage="v1"
        )
