"""How often each function calls AWS, by operation, as bench/requests.json states it.

With DynamoDB's units, as its documentation counts them (read and write request units): what
on-demand tables are paid by. One more call for a postback or message fails here. It is a cost
and a delay for every user: if it is worth that, change the statement, and docs/cost.md with it.
"""

from __future__ import annotations

import json
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bench.timed.receipts import queue_event, receipt
from tests.unit.table.fake_dynamodb import INDEXES, FakeDynamoDB, Item, _key, size_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

pytestmark = pytest.mark.in_memory("counts what the fake table writes")
ROOT = Path(__file__).resolve().parents[3]
STATED: dict[str, dict[str, int]] = json.loads((ROOT / "bench" / "requests.json").read_text())
TOKEN = "the-token"
VERBS = ("ack", "store", "publish", "send", "enqueue", "dispatch")
SETTINGS = {
    "STACK_NAME": "stack",
    "POSTBACK_QUEUE_URL": "postbacks",
    "TOKEN_SECRET": "token",
    "API_KEY_SECRET": "key",
    "HASH_SECRET": "hash",
    "SEND_QUEUE_URL": "send",
    "SKYCORE_URL": "https://skycore.example/",
    "EVENT_TOPIC_ARN": "topic",
    "PUBLISH_RETRY_QUEUE_URL": "retry",
    "SEND_DEAD_LETTER_QUEUE_URL": "dead",
    "EVENT_RETENTION_DAYS": "90",
    "DEFAULT_REGION": "US",
    "ALLOWED_COUNTRY_CODES": "",
    "MAX_CALLS_PER_SECOND": "1000",
    "MAX_CALLS_PER_MINUTE": "10000",
    "MAX_CALLS_PER_DAY": "100000",
    "PRIORITY_SHARE": "20",
}


def write_units(old: Item | None, new: Item, operation: str) -> int:
    """Of a put or update: each begun kilobyte of the table's row, and one for each index entry.

    The row counts twice in a transaction.
    """
    units = -(-max(size_of(new), size_of(old or {})) // 1024)
    units *= 2 if operation == "TransactWriteItems" else 1
    for attribute in INDEXES.values():
        before, after = ((item or {}).get(attribute) for item in (old, new))
        if before != after:
            units += (before is not None) + (after is not None)
    return units


class Account:
    """The functions, the table in memory, and clients that count."""

    def __init__(self, app: Callable[[str], Any], table: FakeDynamoDB) -> None:
        self.app, self.table = app, table
        self.others: Counter[str] = Counter()
        self.queued: list[str] = []  # bodies in the send queue
        self.told = 0  # records of the stream that publish has had
        table.before = self.count_reads
        written = table._write

        def write(item: Item, operation: str) -> None:
            old = table.items.get(_key(item))
            self.others["write units"] += write_units(old, item, operation)
            written(item, operation)

        table._write = write  # type: ignore[method-assign]

    def count_reads(self, _number: int, operation: str, request: dict[str, Any]) -> None:
        """Four kilobytes a unit, and no row of ours is so long; a key without a row costs one."""
        for asked in request.get("RequestItems", {}).values():
            self.others["read units"] += len(asked["Keys"]) if "Keys" in asked else 0
        self.others["read units"] += operation in {"GetItem", "Query"}

    def count(self, name: str, answer: dict[str, Any]) -> dict[str, Any]:
        self.others[name] += 1
        return answer

    def requests(self, verb: str, event: dict[str, Any]) -> dict[str, int]:
        """What one invocation asks of AWS and Skycore."""
        before = self.table.calls + self.others
        answer = self.app(verb).handler(event, None)
        assert answer == {"batchItemFailures": []} or answer["statusCode"] in {200, 201, 202}, (
            answer
        )
        return dict(self.table.calls + self.others - before)

    def outbox(self) -> list[dict[str, Any]]:
        """The stream's records since the last time, as the template's filter lets them through."""
        records, self.told = self.table.stream[self.told :], len(self.table.stream)
        return [
            one
            for one in records
            if one["dynamodb"]["NewImage"].get("kind") == {"S": "event"}
            or "news" in one["dynamodb"]["NewImage"]
        ]


@pytest.fixture
def account(
    app: Callable[[str], ModuleType], table: FakeDynamoDB, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Any]:
    from skycore import settings
    from skycore.aws import clients
    from skycore.client import client as api
    from skycore.client.transport import Answer
    from skycore.sending import delivery, rate_limit

    # On a busy machine a slot passes, and another one costs another request.
    monkeypatch.setattr(rate_limit, "usable", lambda *_: True)
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    known = Account(app, table)
    tracking_ids = iter(range(1_000))

    class Client:
        def send_message(self, **_: Any) -> Any:
            return known.count("SQS SendMessage", {})

        def send_message_batch(self, **asked: Any) -> Any:
            known.queued += [entry["MessageBody"] for entry in asked["Entries"]]
            return known.count("SQS SendMessageBatch", {"Successful": asked["Entries"]})

        def publish_batch(self, **asked: Any) -> Any:
            entries = asked["PublishBatchRequestEntries"]
            return known.count("SNS PublishBatch", {"Successful": entries})

        def get_secret_value(self, **_: Any) -> Any:
            return known.count("Secrets GetSecretValue", {"SecretString": TOKEN})

    @contextmanager
    def exchange(*_: Any, before_write: Any, **__: Any) -> Iterator[Any]:
        before_write()
        known.others["Skycore"] += 1
        tracking_id = receipt(next(tracking_ids)).decode().partition("<TRACKINGID>")[2]
        told = f"<TRACKINGID>{tracking_id.partition('<')[0]}</TRACKINGID>"
        yield Answer(200, f"<RESPONSE><STATUS>Success</STATUS>{told}</RESPONSE>".encode())

    for name in ("sqs", "sns", "secretsmanager"):
        monkeypatch.setattr(clients, name, Client)
    monkeypatch.setattr(api, "exchange", exchange)
    monkeypatch.setattr(api, "connect_ahead", lambda *asked: asked[-1])
    cached = [settings._load, app(VERBS[0]).secret]
    cached += [delivery.send_context, delivery.skycore_client]
    for one in cached:
        one.cache_clear()
    yield known
    for one in cached:
        one.cache_clear()


def sample(name: str) -> dict[str, Any]:
    event: dict[str, Any] = json.loads((ROOT / "events" / f"{name}.json").read_text())
    return event


def message(number: int) -> dict[str, Any]:
    """A send of its own, to the number of the receipt with the same `number`."""
    event = sample("send/sms")
    event["headers"]["Idempotency-Key"] = f"order-{number}"
    fields = {"to": f"+1774{3_190_000 + number}", "from": "60856", "text": "Hello"}
    return event | {"body": json.dumps(fields), "isBase64Encoded": False}


def test_ack(account: Any) -> None:
    event = sample("ack/postback_xml")
    event["pathParameters"]["item"] = TOKEN
    account.requests("ack", event)  # which reads the token, for five minutes
    assert account.requests("ack", event) == STATED["ack, a postback"]


def test_store(account: Any) -> None:
    event = queue_event([receipt(number) for number in range(10)])
    assert account.requests("store", event) == STATED["store, 10 postbacks"]


def test_a_message_and_its_receipts(account: Any) -> None:
    account.requests("send", message(0))  # which reads the key, for five minutes
    for number in range(1, 10):
        asked = account.requests("send", message(number))
    assert asked == STATED["send, a message"]
    accepted = account.outbox()
    assert len(accepted) == 10
    asked = account.requests("publish", {"Records": accepted})
    assert asked == STATED["publish, 10 accepted messages"]
    account.requests("store", queue_event([receipt(number) for number in range(10)]))
    told = account.outbox()
    assert len(told) == 10
    asked = account.requests("publish", {"Records": told})
    assert asked == STATED["publish, 10 receipts of known messages"]


def test_queued_messages(account: Any) -> None:
    """The second ten, by a process that has the key and the limiter's item as it is."""
    for name in ("first", "second"):
        event = sample("enqueue/batch")
        event["headers"]["Idempotency-Key"] = name
        fields = [json.loads(message(number)["body"]) for number in range(10)]
        body = json.dumps({"messages": fields})
        event |= {"body": body, "isBase64Encoded": False}
        taken = account.requests("enqueue", event)
        records = [{"messageId": str(n), "body": body} for n, body in enumerate(account.queued)]
        account.queued.clear()
        sent = account.requests("dispatch", {"Records": records})
    assert taken == STATED["enqueue, 10 messages"]
    assert sent == STATED["dispatch, 10 messages"]
