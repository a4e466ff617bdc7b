"""A deployed stack for the checks of doctor, with botocore's stubs in place of AWS."""

from __future__ import annotations

from typing import Any
from uuid import NAMESPACE_OID, uuid5

import boto3
from botocore.stub import Stubber

from ops.doctor.deployment import Deployment, template
from skycore.table.limits import Limits

REGION, ACCOUNT = "us-east-1", "123456789012"
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:skycore-EventTopic-1"


def arn(service: str, rest: str) -> str:
    return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{rest}"


def queue_url(name: str) -> str:
    return f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/skycore-{name}-1"


class FakeStack:
    """What ops.stack.Stack is to a check."""

    def __init__(self, **parameters: str) -> None:
        self.name, self.region, self.status = "skycore", REGION, "CREATE_COMPLETE"
        self.topic, self.table = TOPIC, "skycore-Table-1"
        self.local: dict[str, Any] | None = None
        self.api_url = "https://api.example/v1"
        self.postback_url: str
        self.outputs: dict[str, str] = {}
        self.limits = Limits(1, 1, 1, 20)
        known = template()["Parameters"].items()
        defaults = {name: str(row.get("Default", "")) for name, row in known}
        self.parameters = {**defaults, **parameters}
        self.resources: dict[str, tuple[str, str]] = {"Api": ("AWS::ApiGateway::RestApi", "api1")}
        self.calls: dict[str, tuple[int, dict[str, Any]]] = {}  # the API's answers, by path
        self.stubs: dict[str, Stubber] = {}
        self._clients: dict[str, Any] = {}

    def client(self, service: Any) -> Any:
        if service not in self._clients:
            client = boto3.client(
                service, region_name=REGION, aws_access_key_id="k", aws_secret_access_key="s"
            )
            self._clients[service], self.stubs[service] = client, Stubber(client)
            self.stubs[service].activate()
        return self._clients[service]

    def answers(self, service: str, operation: str, answer: dict[str, Any]) -> None:
        """Let the next call of a service be `operation`, with this answer."""
        self.client(service)
        self.stubs[service].add_response(operation, answer)

    def refuses(self, service: str, operation: str, code: str) -> None:
        """Let the next call of a service be `operation`, which fails with this code."""
        self.client(service)
        self.stubs[service].add_client_error(operation, code)

    def id_of(self, logical_id: str) -> str:
        return self.resources[logical_id][1]

    def has_functions(self, *names: str, **configuration: Any) -> None:
        for name in names:
            self.resources[name] = ("AWS::Lambda::Function", f"skycore-{name}")
            found = {"FunctionName": f"skycore-{name}", "Timeout": 28, **configuration}
            self.answers("lambda", "get_function_configuration", found)

    def has_event_source(self, name: str, function: str, queue: str, **more: Any) -> None:
        uuid = str(uuid5(NAMESPACE_OID, name))
        self.resources[name] = ("AWS::Lambda::EventSourceMapping", uuid)
        found = {
            "UUID": uuid,
            "State": "Enabled",
            "FunctionArn": arn("lambda", f"function:skycore-{function}"),
            "EventSourceArn": arn("sqs", f"skycore-{queue}-1"),
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
            **more,
        }
        self.answers("lambda", "get_event_source_mapping", found)

    def has_queue(self, name: str, **attributes: str) -> None:
        self.resources[name] = ("AWS::SQS::Queue", queue_url(name))
        found = {"QueueArn": arn("sqs", f"skycore-{name}-1"), **attributes}
        self.answers("sqs", "get_queue_attributes", {"Attributes": found})

    def deployment(self) -> Deployment:
        return Deployment(self)  # type: ignore[arg-type] # what a check needs of a stack
