"""The Python client against the deployed stack: the gateway, its signatures and its problems."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import uuid
from typing import TYPE_CHECKING, Any

import botocore.session
import pytest
from botocore.credentials import Credentials

from skycore_client import (
    BeingHandled,
    Client,
    DynamoDBStore,
    Event,
    Forbidden,
    InboundMessage,
    InvalidRequest,
    Message,
    MessageEvent,
    NotCancellable,
    OutcomeUnknown,
    SkycoreRejected,
    Subscriber,
)
from tests.integration.conftest import ROOT, Stack
from tests.integration.test_subscribers import inbound
from tests.patience import PATIENCE_SECONDS, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def credentials_of(stack: Stack) -> Credentials:
    return Credentials(stack.description["access_key_id"], stack.description["secret_access_key"])


@pytest.fixture(scope="module")
def client(stack: Stack) -> Client:
    return Client(
        stack.description["api_url"],
        region=stack.description["region"],
        credentials=credentials_of(stack),
        read_seconds=PATIENCE_SECONDS,
        retry_seconds=PATIENCE_SECONDS,
    )


def number() -> str:
    return f"+1774{uuid.uuid4().int % 10**7:07d}"


def test_a_message_is_sent_once_and_followed(client: Client, sms: dict[str, Any]) -> None:
    key, to = uuid.uuid4().hex, number()
    first = client.send({**sms, "to": to, "client_reference": key}, idempotency_key=key)
    again = client.send({**sms, "to": to, "client_reference": key}, idempotency_key=key)
    assert (first.status, first.to, first.client_reference) == ("accepted", to[1:], key)
    assert (first.replayed, again.replayed) == (False, True)
    assert again.message_id == first.message_id
    assert first.message_id
    message_id = first.message_id
    assert until(lambda: client.message(message_id).status == "delivered")
    assert [one.message_id for one in client.messages(to=to)] == [first.message_id]
    with pytest.raises(NotCancellable):
        client.cancel(message_id)


def test_problems_are_raised(client: Client, sms: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest) as raised:
        client.send({**sms, "from": "no such sender!"})
    assert raised.value.errors[0]["field"] == "from"
    with pytest.raises(SkycoreRejected) as rejected:
        client.send({**sms, "text": "skycore-error-E714"})
    assert rejected.value.skycore_code == "E714"
    with pytest.raises(OutcomeUnknown) as unknown:
        client.send({**sms, "text": "skycore-mode-reset_after"})
    assert unknown.value.message_id
    assert client.message(unknown.value.message_id).status == "unknown"


def test_what_was_not_sent_is_tried_again(client: Client, sms: dict[str, Any]) -> None:
    """The simulator refuses this number the first time: E106, a limit."""
    message = client.send({**sms, "to": "+19980000106"})
    assert message.status == "accepted"


def test_a_wrong_key_is_forbidden(stack: Stack) -> None:
    stranger = Client(
        stack.description["api_url"],
        region=stack.description["region"],
        credentials=Credentials(stack.description["access_key_id"], "wrong"),
    )
    with pytest.raises(Forbidden):
        stranger.message("m")


def test_a_batch_of_more_than_one_call_has_a_result_for_each(
    client: Client, sms: dict[str, Any]
) -> None:
    messages = [{"to": f"+1774{n:07d}"} for n in range(3_190_000, 3_191_001)]
    messages[1000] = {"to": "nobody"}
    results = client.send_batch(messages, template={**sms, "dry_run": True})
    assert len(results) == 1001
    assert all(isinstance(result, Message) for result in results[:1000])
    assert isinstance(results[1000], InvalidRequest)


def test_other_routes(stack: Stack, client: Client) -> None:
    stack.postback(uuid.uuid4().bytes)
    assert until(lambda: next(client.unparsed(limit="1"), None) is not None)
    reply = client.act("subscribe", mobile=number(), campaign_ref="club")
    assert reply["status"] == "Success"


@pytest.fixture
def table(stack: Stack) -> Iterator[Any]:
    dynamodb = stack.admin("dynamodb")
    name = f"handled-{uuid.uuid4().hex}"
    dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    )
    yield name
    dynamodb.delete_table(TableName=name)


def test_a_subscriber_handles_each_event_of_the_queue_once(
    stack: Stack, client: Client, sms: dict[str, Any], table: Any
) -> None:
    handled: list[Event] = []

    def handle(event: Event) -> None:
        stack.events[event.id] = event.envelope  # for other tests
        handled.append(event)

    description = stack.description
    sqs = botocore.session.get_session().create_client(
        "sqs",
        region_name=description["region"],
        endpoint_url=description["endpoint_url"],
        aws_access_key_id=description["access_key_id"],
        aws_secret_access_key=description["secret_access_key"],
    )
    store = DynamoDBStore(table, stack.admin("dynamodb"))
    subscriber = Subscriber(handle, store)
    mark = uuid.uuid4().hex
    message = client.send({**sms, "to": number(), "client_reference": mark})
    stack.postback(inbound(mark))

    def all_came() -> bool:
        mine = [e for e in handled if isinstance(e, MessageEvent) and e.client_reference == mark]
        replies = [e for e in handled if isinstance(e, InboundMessage) and e.text == mark]
        return {e.status for e in mine} >= {"accepted", "sent", "delivered"} and len(replies) == 1

    polls = iter(range(int(PATIENCE_SECONDS)))
    subscriber.run(
        description["event_queue_url"],
        client=sqs,
        running=lambda: not all_came() and next(polls, None) is not None,
    )
    assert all_came()
    assert message.message_id
    assert client.message(message.message_id).status == "delivered"
    ids = [event.id for event in handled]
    assert len(ids) == len(set(ids))
    assert not store.claim(ids[0], 30)


def test_a_claim_holds_until_it_runs_out_or_is_released(stack: Stack, table: Any) -> None:
    store = DynamoDBStore(table, stack.admin("dynamodb"))
    assert store.claim("a", 1000)
    with pytest.raises(BeingHandled):
        store.claim("a", 1000)
    store.release("a")
    assert store.claim("a", -1)  # of a process that died
    assert store.claim("a", 1000)
    store.finish("a")
    assert not store.claim("a", 1000)


def test_the_readmes_python_works_as_printed(stack: Stack, tmp_path: Path) -> None:
    send, receive = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (tmp_path / ".local").mkdir()
    (tmp_path / ".local" / "stack.json").write_text(json.dumps(stack.description))
    with subprocess.Popen(
        [sys.executable, "-u", "-c", send + receive],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        try:
            assert running.stdout is not None
            lines = iter(running.stdout.readline, "")
            assert next(lines) == "accepted\n"
            assert "skycore.sms_delivered order-4712\n" in lines
        finally:
            running.kill()
