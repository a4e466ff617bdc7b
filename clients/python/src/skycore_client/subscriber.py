"""Handle each event once, in a Lambda function or in a loop."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any, Protocol

import botocore.session
from botocore.config import Config
from botocore.exceptions import ClientError

from skycore_client.events import Event, parse_event

if TYPE_CHECKING:
    from collections.abc import Callable

KEPT_SECONDS = 15 * 24 * 3600  # queues keep an event for 14 days
LOOP_SECONDS = 60.0
_CONFIG = Config(connect_timeout=5, read_timeout=30)  # seconds; a long poll takes 20
logger = logging.getLogger("skycore_client")


class BeingHandled(Exception):
    """Another process handles this event right now; the queue delivers it again."""


class Store(Protocol):
    """Remembers which events were handled."""

    def claim(self, event_id: str, seconds: float) -> bool:
        """Claim an event for so long; return False if it was handled, raise BeingHandled."""

    def finish(self, event_id: str) -> None:
        """Remember the event as handled."""

    def release(self, event_id: str) -> None:
        """Forget the claim, so that the event can be handled again."""


class MemoryStore:
    """A store for tests and for a single process; it ends with the process."""

    def __init__(self) -> None:
        self._handled: set[str] = set()

    def claim(self, event_id: str, seconds: float) -> bool:  # noqa: ARG002 - one process
        return event_id not in self._handled

    def finish(self, event_id: str) -> None:
        self._handled.add(event_id)

    def release(self, event_id: str) -> None:
        pass


class DynamoDBStore:
    """A store in a table whose key is `id`, a string, and whose time to live is `expires_at`.

    It needs dynamodb:PutItem and dynamodb:DeleteItem. `client` is a botocore or boto3 client.
    """

    def __init__(self, table: str, client: Any = None) -> None:
        self._table = table
        self._client = client or _client("dynamodb")

    def claim(self, event_id: str, seconds: float) -> bool:
        now = time.time()
        try:
            self._client.put_item(
                TableName=self._table,
                Item=_item(event_id) | {"claimed_until": {"N": str(now + seconds)}},
                ConditionExpression="attribute_not_exists(id) OR claimed_until < :now",
                ExpressionAttributeValues={":now": {"N": str(now)}},
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ClientError as error:
            answer: Any = error.response
            if answer["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            if "claimed_until" in answer["Item"]:
                raise BeingHandled(event_id) from None
            return False
        return True

    def finish(self, event_id: str) -> None:
        self._client.put_item(TableName=self._table, Item=_item(event_id))

    def release(self, event_id: str) -> None:
        try:
            self._client.delete_item(
                TableName=self._table,
                Key={"id": {"S": event_id}},
                ConditionExpression="attribute_exists(claimed_until)",
            )
        except ClientError as error:  # handled meanwhile, after this claim had ended
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise


class Subscriber:
    """Calls `handle` once for each event. An event for which it raises is delivered again.

    If a process dies while it handles an event, the event is handled again: make `handle`
    idempotent, or write in the same transaction as your own data.
    """

    def __init__(self, handle: Callable[[Event], object], store: Store) -> None:
        self._handle = handle
        self._store = store

    def lambda_handler(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        """Handle a batch from SQS; needs FunctionResponseTypes: [ReportBatchItemFailures]."""
        failed = []
        for record in event["Records"]:
            seconds = context.get_remaining_time_in_millis() / 1000
            if not self._succeeds(record["body"], seconds):
                failed.append({"itemIdentifier": record["messageId"]})
        return {"batchItemFailures": failed}

    def run(
        self,
        queue_url: str,
        *,
        client: Any = None,
        seconds: float = LOOP_SECONDS,
        running: Callable[[], bool] = lambda: True,
    ) -> None:
        """Read a queue with long polls until `running` returns False.

        `seconds` is the most that handling one event takes.
        """
        sqs = client or _client("sqs")
        while running():
            answer = sqs.receive_message(
                QueueUrl=queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=20
            )
            for message in answer.get("Messages", []):
                if self._succeeds(message["Body"], seconds):
                    handle = message["ReceiptHandle"]
                    sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=handle)

    def handle_once(self, body: str, seconds: float = LOOP_SECONDS) -> bool:
        """Handle the event in a message's body; return False if it was handled before."""
        event = parse_event(body)
        if not self._store.claim(event.id, seconds):
            return False
        try:
            self._handle(event)
        except BaseException:
            self._store.release(event.id)
            raise
        self._store.finish(event.id)
        return True

    def _succeeds(self, body: str, seconds: float) -> bool:
        try:
            self.handle_once(body, seconds)
        except Exception:
            logger.exception("an event was not handled; the queue delivers it again")
            return False
        return True


def _item(event_id: str) -> dict[str, dict[str, str]]:
    return {"id": {"S": event_id}, "expires_at": {"N": str(int(time.time()) + KEPT_SECONDS)}}


def _client(service: str) -> Any:
    return botocore.session.get_session().create_client(service, config=_CONFIG)
