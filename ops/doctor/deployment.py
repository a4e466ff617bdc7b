"""What the checks read: the deployed resources, and the template that they were made from."""

from __future__ import annotations

import json
import shlex
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

import yaml

from ops import ROOT
from ops.address import try_address

if TYPE_CHECKING:
    from ops.stack import Stack

OVERRIDES = "--parameter-overrides"
LAMBDA, QUEUE = "AWS::Lambda::Function", "AWS::SQS::Queue"


class Deployment:
    """The deployed stack, read through the AWS APIs. Each answer is read once."""

    def __init__(self, stack: Stack, *, wait: int = 60) -> None:
        """Describe `stack`; `wait` is how long a probe may take to arrive, in seconds."""
        self.stack, self.wait = stack, wait
        self.name, self.parameters = stack.name, stack.parameters
        self.local = stack.local is not None
        self.client = cache(stack.client)

    def ids(self, kind: str) -> dict[str, str]:
        """Physical id by logical id, of the resources of a CloudFormation type."""
        return {name: id_ for name, (type_, id_) in self.stack.resources.items() if type_ == kind}

    @cached_property
    def functions(self) -> dict[str, dict[str, Any]]:
        """Configuration of each function, by logical id."""
        client = self.client("lambda")
        return {
            name: client.get_function_configuration(FunctionName=id_)
            for name, id_ in self.ids(LAMBDA).items()
        }

    @cached_property
    def event_sources(self) -> dict[str, dict[str, Any]]:
        """Each event source mapping, by logical id."""
        client = self.client("lambda")
        mappings = self.ids("AWS::Lambda::EventSourceMapping")
        return {name: client.get_event_source_mapping(UUID=id_) for name, id_ in mappings.items()}

    @cached_property
    def queues(self) -> dict[str, dict[str, str]]:
        """Attributes of each queue, by logical id."""
        client = self.client("sqs")
        return {
            name: client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
            for name, url in self.ids(QUEUE).items()
        }

    @cached_property
    def subscriptions(self) -> list[dict[str, str]]:
        """The subscriptions of the event topic."""
        pages = self.client("sns").get_paginator("list_subscriptions_by_topic")
        return [
            row
            for page in pages.paginate(TopicArn=self.stack.topic)
            for row in page["Subscriptions"]
        ]

    @cached_property
    def stage(self) -> dict[str, Any]:
        """The API's stage."""
        answer: dict[str, Any] = self.client("apigateway").get_stage(
            restApiId=self.stack.id_of("Api"), stageName="v1"
        )
        return answer

    @cached_property
    def address_remark(self) -> str | None:
        """What `try_address` remarks on the API's address, tried once. Raises Refused."""
        return try_address(self.stack)

    def function_of(self, arn: str) -> str:
        """The logical id of a function, by its ARN."""
        id_ = arn.split(":")[6]
        return next((name for name, own in self.ids(LAMBDA).items() if own == id_), id_)

    def queue_of(self, arn: str) -> str:
        """The logical id of a queue, by its ARN; empty if it is not this stack's."""
        return next((name for name, own in self.queues.items() if own["QueueArn"] == arn), "")

    def aws(self, *words: object) -> str:
        """An AWS CLI command for this stack's region, as one line for a shell."""
        return shlex.join(("aws", *map(str, words), "--region", self.stack.region))

    def sam_deploy(self, **parameters: object) -> str:
        """A `sam deploy` of this stack, which otherwise would be the default of samconfig.toml."""
        words = ["sam", "deploy", "--stack-name", self.name, "--region", self.stack.region]
        if parameters:
            words += [OVERRIDES, *(f"{name}={value}" for name, value in parameters.items())]
        return shlex.join(words)


@cache
def template() -> dict[str, Any]:
    """The checkout's template.yaml, with CloudFormation's short tags spelt out."""
    loaded: dict[str, Any] = yaml.load((ROOT / "template.yaml").read_text(), _Loader)  # noqa: S506 - a SafeLoader
    return loaded


def document(text: str | None) -> list[dict[str, Any]]:
    """The statements of a policy; none if there is no policy."""
    if not text:
        return []
    statements = json.loads(text)["Statement"]
    return statements if isinstance(statements, list) else [statements]


def listed(value: Any) -> list[Any]:
    """A policy's element, which may be one value or a list, as a list."""
    return value if isinstance(value, list) else [value]


class _Loader(yaml.SafeLoader):
    """Reads `!Ref X` as {"Ref": "X"} and `!GetAtt A.B` as {"Fn::GetAtt": "A.B"}."""


def _tag(loader: Any, suffix: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    return {suffix if suffix in {"Ref", "Condition"} else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _tag)
