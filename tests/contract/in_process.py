"""Every function in this process: its handler, a table in memory, queues and topic as lists.

Skycore is the simulator, on a loopback port. A case costs milliseconds here, so the tables of cases
are walked here; tests/integration keeps one case for each path through the deployed stack.
"""

from __future__ import annotations

import base64
import contextlib
import importlib
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote

import pytest
from pynamodb.connection.base import Connection

from simulator_harness import KEY, Skycore
from tests.unit.aws.fake_s3 import FakeS3
from tests.unit.table.fake_dynamodb import FakeDynamoDB

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "token0123456789"
STACK_NAME = "skycore"
SETTINGS = {
    "TABLE_NAME": "table",
    "STACK_NAME": STACK_NAME,
    "POSTBACK_QUEUE_URL": "postbacks",
    "SEND_QUEUE_URL": "send",
    "SEND_DEAD_LETTER_QUEUE_URL": "dead",
    "PUBLISH_RETRY_QUEUE_URL": "retry",
    "MEDIA_QUEUE_URL": "media",
    "MEDIA_BUCKET": "bucket",
    "MEDIA_HOSTS": ".skycore.com",
    "EVENT_TOPIC_ARN": "topic",
    "TOKEN_SECRET": "token",
    "API_KEY_SECRET": "key",
    "EVENT_RETENTION_DAYS": "90",
    "DEFAULT_REGION": "US",
    "ALLOWED_COUNTRY_CODES": "",
    "MAX_CALLS_PER_SECOND": "0",
    "MAX_CALLS_PER_MINUTE": "0",
    "MAX_CALLS_PER_DAY": "0",
    "PRIORITY_SHARE": "20",
}
# As in template.yaml, which tests/template/test_api.py compares with the contract. First match.
ROUTES = (
    ("POST", "/messages/batch", "enqueue"),
    ("POST", "/messages", "send"),
    ("POST", "/actions/{action}", "send"),
    ("POST", "/postbacks/{item}", "ack"),
    ("GET", "/messages", "messages"),
    ("GET", "/messages/{message_id}", "messages"),
    ("DELETE", "/messages/{message_id}", "messages"),
    ("GET", "/postbacks/unparsed", "messages"),
    ("GET", "/postbacks/{item}", "messages"),
)
SAMPLE = json.loads((ROOT / "events/send/sms.json").read_text())


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of a route, with what tests read of a `requests.Response`."""

    status_code: int
    headers: dict[str, str]
    text: str

    def json(self) -> Any:
        return json.loads(self.text)


@dataclass(slots=True)
class Services:
    """SQS, SNS and Secrets Manager: what they were given, and the two secrets."""

    queued: list[dict[str, Any]] = field(default_factory=list)
    published: list[dict[str, Any]] = field(default_factory=list)

    def send_message(self, **message: Any) -> dict[str, Any]:
        self.queued.append(message)
        return {"MessageId": str(len(self.queued))}

    def send_message_batch(self, *, QueueUrl: str, Entries: list[Any]) -> dict[str, Any]:  # noqa: N803
        self.queued += [{"QueueUrl": QueueUrl, **entry} for entry in Entries]
        return {"Successful": [{"Id": entry["Id"]} for entry in Entries]}

    def publish_batch(
        self,
        *,
        TopicArn: str,  # noqa: N803
        PublishBatchRequestEntries: list[Any],  # noqa: N803
    ) -> dict[str, Any]:
        self.published += [json.loads(entry["Message"]) for entry in PublishBatchRequestEntries]
        return {"Successful": [{"Id": entry["Id"]} for entry in PublishBatchRequestEntries]}

    def get_secret_value(self, *, SecretId: str, **_: Any) -> dict[str, Any]:  # noqa: N803
        return {"SecretString": {"token": TOKEN, "key": KEY}[SecretId]}

    def take(self, queue: str) -> list[dict[str, Any]]:
        """Takes a queue's messages, as the records of an SQS event."""
        taken = [message for message in self.queued if message["QueueUrl"] == queue]
        self.queued = [message for message in self.queued if message["QueueUrl"] != queue]
        return [
            {
                "messageId": str(number),
                "body": message["MessageBody"],
                "attributes": {"SentTimestamp": "1795430475200", "ApproximateReceiveCount": "1"},
                "messageAttributes": {
                    name: {"dataType": value["DataType"], "stringValue": value["StringValue"]}
                    for name, value in message.get("MessageAttributes", {}).items()
                },
                "eventSource": "aws:sqs",
            }
            for number, message in enumerate(taken)
        ]


class InProcess:
    """The stack in this process, with the methods that tests of the deployed stack use."""

    def __init__(self, app: Callable[[str], Any], skycore: Skycore) -> None:
        self._app = app
        self.skycore = skycore
        self.table = FakeDynamoDB()
        self.services = Services()
        self._streamed = 0

    def post(self, path: str, body: Any, **headers: str) -> Answer:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.request("POST", path, body, names)

    def get(self, path: str) -> Answer:
        return self.request("GET", path)

    def postback(self, body: bytes, token: str = TOKEN) -> Answer:
        """Post what Skycore posts, as API Gateway passes bytes on."""
        return self.request("POST", f"/postbacks/{token}", body)

    def request(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Answer:
        """Call the function of a route; `body` goes as JSON, bytes as they are."""
        place, _, query = path.partition("?")
        resource, parameters, verb = _route(method, place)
        asked = parse_qs(query, keep_blank_values=True)
        data = (
            body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        )
        event = SAMPLE | {
            "resource": resource,
            "path": place,
            "httpMethod": method,
            "requestContext": SAMPLE["requestContext"] | {"path": f"/v1{place}"},
            "headers": {"Content-Type": "application/json", **(headers or {})},
            "pathParameters": parameters or None,
            "queryStringParameters": {name: last for name, (*_, last) in asked.items()} or None,
            "multiValueQueryStringParameters": asked or None,
            "body": base64.b64encode(data).decode() or None,
            "isBase64Encoded": bool(data),
        }
        answer = self.handle(verb, event)
        return Answer(answer["statusCode"], headers_of(answer), answer["body"])

    def handle(self, verb: str, event: dict[str, Any]) -> dict[str, Any]:
        """Call a function's handler."""
        answer: dict[str, Any] = self._app(verb).handler(event, None)
        return answer

    def events(self) -> list[dict[str, Any]]:
        """Let store and publish work off what waits; return every event published so far."""
        for start in range(0, len(records := self.services.take("postbacks")), 10):
            batch = records[start : start + 10]
            assert self.handle("store", {"Records": batch}) == {"batchItemFailures": []}
        changes = self.table.stream[self._streamed :]
        self._streamed = len(self.table.stream)
        wanted = [change for change in changes if reaches_publish(change)]
        for start in range(0, len(wanted), 100):
            batch = wanted[start : start + 100]
            assert self.handle("publish", {"Records": batch}) == {"batchItemFailures": []}
        return self.services.published

    def control(self, path: str, body: Any = None, method: str | None = None) -> Any:
        """Speak to the simulator's control routes."""
        return self.skycore.control(method or ("GET" if body is None else "POST"), path, body)


def headers_of(answer: dict[str, Any]) -> dict[str, str]:
    """Return the headers that API Gateway makes of a function's answer."""
    several = {
        name: ", ".join(values) for name, values in answer.get("multiValueHeaders", {}).items()
    }
    single: dict[str, str] = answer.get("headers", {})
    return single | several


def _route(method: str, path: str) -> tuple[str, dict[str, str], str]:
    """The route, its path parameters and its function's verb."""
    parts = path.strip("/").split("/")
    for route_method, route, verb in ROUTES:
        names = route.strip("/").split("/")
        if route_method == method and len(names) == len(parts):
            pairs = list(zip(names, parts, strict=True))
            if all(name == part or name.startswith("{") for name, part in pairs):
                found = {name[1:-1]: unquote(part) for name, part in pairs if name[0] == "{"}
                return route, found, verb
    raise LookupError(f"no route {method} {path}")


def reaches_publish(change: dict[str, Any]) -> bool:
    """As the filter of the stream's event source in template.yaml."""
    new = change["dynamodb"].get("NewImage", {})
    return (change["eventName"] == "INSERT" and new.get("kind") == {"S": "event"}) or "news" in new


@contextlib.contextmanager
def in_process(app: Callable[[str], Any]) -> Iterator[InProcess]:
    """Run the functions with these settings, table and services until the context ends."""
    clients = importlib.import_module("skycore.aws.clients")
    skycore = Skycore()
    stack = InProcess(app, skycore)
    with pytest.MonkeyPatch.context() as patched:
        for name, value in {**SETTINGS, "SKYCORE_URL": skycore.server.url}.items():
            patched.setenv(name, value)
        patched.setattr(Connection, "client", stack.table)
        for service in ("sqs", "sns", "secretsmanager"):
            patched.setattr(clients, service, lambda: stack.services)
        patched.setattr(clients, "s3", FakeS3)
        _forget()
        try:
            yield stack
        finally:
            _forget()
            skycore.close()


def _forget() -> None:
    """Forget what the functions keep for the life of a process: settings, clients, secrets."""
    for name, module in list(sys.modules.items()):
        kept = name.startswith("skycore.") and not name.startswith("skycore.catalogue")
        if kept or name.endswith("_app"):
            for value in list(vars(module).values()):
                if callable(clear := getattr(value, "cache_clear", None)):
                    clear()
