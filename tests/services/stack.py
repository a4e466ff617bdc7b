"""The template's functions as processes, beside DynamoDB Local, moto and the Skycore simulator.

Everything is reached as on AWS: by the environment that the template gives each function. Here
the test invokes them, where AWS has event sources.
"""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from tests.services.local_table import NAME as TABLE
from tests.services.local_table import Stream, client, create_table
from tests.template.conftest import Template

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import ExitStack

ROOT = Path(__file__).resolve().parents[2]
PATHS = (ROOT, ROOT / "layers" / "skycore")
API_KEY = "key0123456789abcdef0123456789abcd"
TOKEN = "the-token"
CALLER = "arn:aws:sts::123456789012:assumed-role/shop/session"
QUEUES = (
    "PostbackQueue",
    "SendQueue",
    "SendDeadLetterQueue",
    "PublishRetryQueue",
    "PublishDeadLetterQueue",
    "EventQueue",
    "MediaQueue",
)


class Environment:
    """An execution environment of a function: a process that imported its app.py."""

    def __init__(self, verb: str, environment: Mapping[str, str], logs: IO[bytes]) -> None:
        command = [sys.executable, "-m", "tests.services.execution_environment"]
        self._process = subprocess.Popen(
            [*command, str(ROOT / "functions" / verb / "app.py")],
            env=environment,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=logs,
            text=True,
        )

    def invoke(self, event: Mapping[str, Any]) -> Any:
        """Return the handler's answer. Raises AssertionError if it raised."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(event), file=self._process.stdin, flush=True)
        told = json.loads(self._process.stdout.readline() or '{"error": "the process died"}')
        assert "error" not in told, told["error"]
        return told["answer"]

    def stop(self) -> None:
        """End the process and wait for it."""
        self._process.communicate()


class Stack:
    """Makes what the template declares and the functions use, and invokes the functions."""

    def __init__(
        self, urls: Mapping[str, str], name: str, ends: ExitStack, logs: IO[bytes]
    ) -> None:
        self._urls, self._name, self._ends, self._logs = urls, name, ends, logs
        self._template = Template()
        self._functions: dict[str, Environment] = {}
        self.parameters: dict[str, Any] = {
            key: value.get("Default", "")
            for key, value in self._template.body["Parameters"].items()
        } | {"SkycoreUrl": urls["skycore"]}
        self._dynamodb = client("dynamodb", urls["dynamodb"], name)
        arn = create_table(self._dynamodb)
        self._stream = Stream(client("dynamodbstreams", urls["dynamodb"], name), arn)
        self.sqs = client("sqs", urls["moto"], name)
        self._refs: dict[str, Any] = {
            "Table": TABLE,
            "MediaBucket": f"{name}-media",
            "AWS::StackName": name,
        }
        self._make_queues()
        self._make_topic()
        self._make_secrets()

    def _make_queues(self) -> None:
        for queue in QUEUES:
            made = self.sqs.create_queue(QueueName=f"{self._name}-{queue}")
            self._refs[queue] = made["QueueUrl"]

    def _make_topic(self) -> None:
        sns = client("sns", self._urls["moto"], self._name)
        topic = sns.create_topic(Name=self._name)["TopicArn"]
        queue = self._refs["EventQueue"]
        wanted = self.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
        sns.subscribe(
            TopicArn=topic,
            Protocol="sqs",
            Endpoint=wanted["Attributes"]["QueueArn"],
            Attributes={"RawMessageDelivery": "true"},
        )
        self._refs["EventTopic"] = topic

    def _make_secrets(self) -> None:
        secrets = client("secretsmanager", self._urls["moto"], self._name)
        made = secrets.create_secret(Name=f"{self._name}-token", SecretString=TOKEN)
        self._refs["PostbackToken"] = made["ARN"]
        made = secrets.create_secret(
            Name=f"{self._name}-hash", SecretString=f"hash of {self._name}"
        )
        self._refs["HashSecret"] = made["ARN"]
        self._refs["ApiKey"] = secrets.create_secret(Name=f"{self._name}-key")["ARN"]

    def ref(self, name: str) -> str:
        """Return what a Ref to a resource gives: the URL of a queue."""
        value: str = self._refs[name]
        return value

    def set_api_key(self) -> None:
        """Give the API key's secret its first value."""
        secrets = client("secretsmanager", self._urls["moto"], self._name)
        secrets.put_secret_value(SecretId=self._refs["ApiKey"], SecretString=API_KEY)

    # --- invoking -----------------------------------------------------------------------------

    def new_environment(self, verb: str) -> Environment:
        """Start another execution environment of a function."""
        made = Environment(verb, self._environment(verb), self._logs)
        self._ends.callback(made.stop)
        return made

    def invoke(self, verb: str, event: Mapping[str, Any]) -> Any:
        """Invoke a function in its first execution environment."""
        if verb not in self._functions:
            self._functions[verb] = self.new_environment(verb)
        return self._functions[verb].invoke(event)

    def _environment(self, verb: str) -> dict[str, str]:
        function = self._template.functions[f"{verb.capitalize()}Function"]
        shared = self._template.body["Globals"]["Function"]["Environment"]["Variables"]
        stated = shared | function.get("Environment", {}).get("Variables", {})
        return {name: self._resolve(value) for name, value in stated.items()} | {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(map(str, PATHS)),
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": self._name,
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL": self._urls["moto"],
            "AWS_ENDPOINT_URL_DYNAMODB": self._urls["dynamodb"],
        }

    def _resolve(self, value: Any) -> str:
        """Return a variable's value as CloudFormation resolves it."""
        match value:
            case {"Ref": name} | {"Fn::GetAtt": [name, _]}:
                known = self.parameters | self._refs
                return str(known[name])
            case {"Fn::If": ["KeepsMedia", kept, _]}:  # as KeepMedia's default has it
                return self._resolve(kept)
            case {"Fn::Join": [_, inner]}:
                return self._resolve(inner)
        assert not isinstance(value, dict), f"this file does not know {value}"
        return str(value)

    # --- what AWS does between the functions --------------------------------------------------

    def receive(self, queue: str) -> list[dict[str, Any]]:
        """Take the messages that a queue has to give now."""
        found: list[dict[str, Any]] = []
        while True:
            answer = self.sqs.receive_message(
                QueueUrl=self._refs[queue],
                MaxNumberOfMessages=10,
                MessageAttributeNames=["All"],
                AttributeNames=["All"],
            )
            if not answer.get("Messages"):
                return found
            for message in answer["Messages"]:
                handle = message["ReceiptHandle"]
                self.sqs.delete_message(QueueUrl=self._refs[queue], ReceiptHandle=handle)
            found += answer["Messages"]

    def run_queue(self, queue: str, verb: str, batch: int = 10) -> int:
        """Hand a queue's messages to its function; return how many there were."""
        records = [_record(message) for message in self.receive(queue)]
        for start in range(0, len(records), batch):
            answer = self.invoke(verb, {"Records": records[start : start + batch]})
            assert answer == {"batchItemFailures": []}
        return len(records)

    def run_stream(self) -> None:
        """Hand the stream's new records to publish, those that the template's filter lets pass."""
        records = [record for record in self._stream.new_records() if self._passes(record)]
        for start in range(0, len(records), 100):
            answer = self.invoke("publish", {"Records": records[start : start + 100]})
            assert answer == {"batchItemFailures": []}

    def _passes(self, record: Mapping[str, Any]) -> bool:
        source = self._template.functions["PublishFunction"]["Events"]["TableStream"]
        filters = source["Properties"]["FilterCriteria"]["Filters"]
        return any(_matches(json.loads(one["Pattern"]), record) for one in filters)

    def run(self) -> None:
        """Let everything that was put somewhere arrive."""
        self.run_queue("PostbackQueue", "store", 100)
        self.run_queue("SendQueue", "dispatch")
        self.run_stream()
        self.run_queue("PublishRetryQueue", "publish")

    def events(self) -> list[dict[str, Any]]:
        """Take the events that reached the subscriber's queue."""
        return [json.loads(message["Body"]) for message in self.receive("EventQueue")]


def _record(message: Mapping[str, Any]) -> dict[str, Any]:
    """Return a message of SQS as Lambda hands it to a function."""
    attributes = {
        name: {
            "stringValue": value.get("StringValue"),
            "dataType": value["DataType"],
            **(
                {"binaryValue": base64.b64encode(value["BinaryValue"]).decode()}
                if "BinaryValue" in value
                else {}
            ),
        }
        for name, value in message.get("MessageAttributes", {}).items()
    }
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message["Attributes"],
        "messageAttributes": attributes,
        "eventSource": "aws:sqs",
        "awsRegion": "us-east-1",
    }


def _matches(pattern: Any, value: Any) -> bool:
    """Return whether an event source's filter lets a value pass: equal words and `exists`."""
    if isinstance(pattern, dict):
        inside = value if isinstance(value, dict) else {}
        return all(_matches(part, inside.get(name)) for name, part in pattern.items())
    return any(
        (value is not None) == rule["exists"] if isinstance(rule, dict) else value == rule
        for rule in pattern
    )


def request(method: str, path: str, body: Any = None, **more: Any) -> dict[str, Any]:
    """Return the event of an API call: of its route, with `key`, `prefer` and `query`."""
    sample: dict[str, Any] = json.loads((ROOT / "events" / "send" / "sms.json").read_text())
    route = re.sub(r"^/(messages|actions|postbacks)/(?!batch|unparsed)[^/]+$", _variable, path)
    headers = {"Content-Type": "application/json"}
    headers |= {"Idempotency-Key": more["key"]} if "key" in more else {}
    headers |= {"Prefer": "respond-async"} if more.get("prefer_async") else {}
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    query = more.get("query") or None
    sample["requestContext"] |= {"resourcePath": route, "httpMethod": method, "path": f"/v1{path}"}
    sample["requestContext"]["identity"] |= {"userArn": CALLER}
    name = (re.findall(r"{(\w+)}", route) or [None])[0]
    return sample | {
        "resource": route,
        "path": path,
        "httpMethod": method,
        "headers": headers,
        "multiValueHeaders": {key: [value] for key, value in headers.items()},
        "queryStringParameters": query,
        "multiValueQueryStringParameters": query and {k: [v] for k, v in query.items()},
        "pathParameters": {name: path.rpartition("/")[2]} if name else None,
        "body": None if body is None else base64.b64encode(raw).decode(),
        "isBase64Encoded": body is not None,
    }


def _variable(found: re.Match[str]) -> str:
    variables = {"messages": "message_id", "actions": "action", "postbacks": "item"}
    return f"/{found[1]}/{{{variables[found[1]]}}}"
