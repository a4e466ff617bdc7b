"""Each event is handled once; one that fails comes again, and only that one."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import botocore.session
import pytest
from botocore.stub import ANY, Stubber

from skycore_client import BeingHandled, DynamoDBStore, Event, MemoryStore, Subscriber

CONTEXT = SimpleNamespace(get_remaining_time_in_millis=lambda: 29_500)


def body(id_: str) -> str:
    return json.dumps({"id": id_, "type": "t", "time": "2026-11-22T18:17:25Z", "data": {}})


def batch(*bodies: str) -> dict[str, Any]:
    return {"Records": [{"messageId": f"r{n}", "body": body} for n, body in enumerate(bodies)]}


class Handler:
    """Remembers what it handled; fails for the ids in `failing`."""

    def __init__(self) -> None:
        self.handled: list[str] = []
        self.failing: set[str] = set()

    def __call__(self, event: Event) -> None:
        if event.id in self.failing:
            raise RuntimeError
        self.handled.append(event.id)


@pytest.fixture
def handler() -> Handler:
    return Handler()


@pytest.fixture
def subscriber(handler: Handler) -> Subscriber:
    return Subscriber(handler, MemoryStore())


def test_a_repeated_event_is_handled_once(handler: Handler, subscriber: Subscriber) -> None:
    given = batch(body("a"), body("b"), body("a"))
    assert subscriber.lambda_handler(given, CONTEXT) == {"batchItemFailures": []}
    assert subscriber.lambda_handler(given, CONTEXT) == {"batchItemFailures": []}
    assert handler.handled == ["a", "b"]


def test_only_what_fails_comes_again(handler: Handler, subscriber: Subscriber) -> None:
    handler.failing = {"b"}
    given = batch(body("a"), body("b"), "no event", body("c"))
    failed = {"batchItemFailures": [{"itemIdentifier": "r1"}, {"itemIdentifier": "r2"}]}
    assert subscriber.lambda_handler(given, CONTEXT) == failed
    assert handler.handled == ["a", "c"]
    handler.failing = set()
    assert subscriber.lambda_handler(batch(body("b")), CONTEXT) == {"batchItemFailures": []}
    assert handler.handled == ["a", "c", "b"]


class Queue:
    """An SQS client whose queue gives these bodies, then nothing."""

    def __init__(self, *bodies: str) -> None:
        self.waiting = dict(enumerate(bodies))
        self.polls = 0

    def receive_message(self, **asked: Any) -> dict[str, Any]:
        assert asked == {"QueueUrl": "q", "MaxNumberOfMessages": 10, "WaitTimeSeconds": 20}
        self.polls += 1
        if not self.waiting:
            return {}
        rows = self.waiting.items()
        return {"Messages": [{"Body": text, "ReceiptHandle": n} for n, text in rows]}

    def delete_message(self, QueueUrl: str, ReceiptHandle: int) -> None:  # noqa: N803 - botocore's
        del self.waiting[ReceiptHandle]


def test_the_loop_deletes_what_it_handled(handler: Handler, subscriber: Subscriber) -> None:
    queue = Queue(body("a"), body("b"), body("a"), "no event")
    handler.failing = {"b"}
    subscriber.run("q", client=queue, running=lambda: queue.polls < 1)
    assert sorted(queue.waiting) == [1, 3]
    handler.failing = set()
    subscriber.run("q", client=queue, running=lambda: queue.polls < 3)
    assert sorted(queue.waiting) == [3]
    assert handler.handled == ["a", "b"]


@pytest.fixture
def dynamodb() -> Any:
    session = botocore.session.get_session()
    return session.create_client(
        "dynamodb",
        region_name="eu-west-1",
        aws_access_key_id="k",
        aws_secret_access_key="s",
    )


def refuse(stubber: Stubber, item: dict[str, Any]) -> None:
    code = "ConditionalCheckFailedException"
    stubber.add_client_error("put_item", code, modeled_fields={"Item": item})


def test_a_claim_lasts_as_long_as_the_invocation_may(handler: Handler, dynamodb: Any) -> None:
    claimed: list[tuple[float, float]] = []

    def remember(params: dict[str, Any], **_: Any) -> None:
        if "ConditionExpression" in params:
            until = float(params["Item"]["claimed_until"]["N"])
            claimed.append((until, float(params["ExpressionAttributeValues"][":now"]["N"])))

    dynamodb.meta.events.register("provide-client-params.dynamodb.PutItem", remember)
    with Stubber(dynamodb) as stubber:
        stubber.add_response("put_item", {})
        stubber.add_response("put_item", {}, {"TableName": "seen", "Item": ANY})
        subscriber = Subscriber(handler, DynamoDBStore("seen", dynamodb))
        assert subscriber.lambda_handler(batch(body("a")), CONTEXT) == {"batchItemFailures": []}
        stubber.assert_no_pending_responses()
    ((until, now),) = claimed
    assert until - now == pytest.approx(29.5)


def test_an_event_that_another_process_handles_comes_again(handler: Handler, dynamodb: Any) -> None:
    with Stubber(dynamodb) as stubber:
        refuse(stubber, {"id": {"S": "a"}, "claimed_until": {"N": "9"}})
        refuse(stubber, {"id": {"S": "a"}})
        store = DynamoDBStore("seen", dynamodb)
        with pytest.raises(BeingHandled):
            store.claim("a", 1)
        assert not store.claim("a", 1)


DELETED = {
    "TableName": "seen",
    "Key": {"id": {"S": "a"}},
    "ConditionExpression": "attribute_exists(claimed_until)",
}


def test_a_slow_failure_does_not_forget_that_another_process_handled_the_event(
    handler: Handler, dynamodb: Any
) -> None:
    handler.failing = {"a"}
    with Stubber(dynamodb) as stubber:
        stubber.add_response("put_item", {})
        stubber.add_client_error(
            "delete_item", "ConditionalCheckFailedException", expected_params=DELETED
        )
        with pytest.raises(RuntimeError):
            Subscriber(handler, DynamoDBStore("seen", dynamodb)).handle_once(body("a"))
        stubber.assert_no_pending_responses()


def test_a_failed_event_is_released(handler: Handler, dynamodb: Any) -> None:
    handler.failing = {"a"}
    with Stubber(dynamodb) as stubber:
        stubber.add_response("put_item", {})
        stubber.add_response("delete_item", {}, DELETED)
        subscriber = Subscriber(handler, DynamoDBStore("seen", dynamodb))
        failed = subscriber.lambda_handler(batch(body("a")), CONTEXT)
        assert failed == {"batchItemFailures": [{"itemIdentifier": "r0"}]}
        stubber.assert_no_pending_responses()
