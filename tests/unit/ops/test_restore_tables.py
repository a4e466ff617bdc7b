"""`restore` copies what a table lacks from another one, on moto's DynamoDB and SQS.

tests/integration/test_recovery.py has one case through the deployed stack.
"""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto import mock_aws

from ops.output import Refused
from ops.restore import restore_postbacks, restore_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_sqs.type_defs import MessageAttributeValueTypeDef

TABLE, COPY = "skycore-Table-1", "restored"
KEY = [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]
RECEIVED_AT: dict[str, MessageAttributeValueTypeDef] = {
    "received_at": {"DataType": "String", "StringValue": "2026-11-22T10:41:15+00:00"}
}
type Item = dict[str, Any]


def event(number: int = 1) -> Item:
    return row(f"event#{number}", "event", text={"S": "Hello"})


def opt_out(**times: str) -> Item:
    return row("opt_out#1", "opt_out", **{name: {"S": time} for name, time in times.items()})


def row(name: str, kind: str, **fields: Any) -> Item:
    return {"pk": {"S": name}, "sk": {"S": kind}, "kind": {"S": kind}, **fields}


class Stack:
    """A stack of one table and one queue."""

    name, ask, table = "skycore", False, TABLE

    def __init__(self) -> None:
        self.dynamodb = boto3.client("dynamodb")
        self.sqs = boto3.client("sqs")
        for name in (TABLE, COPY):
            self.create_table(name, KEY)
        self.queue = self.sqs.create_queue(QueueName="PostbackQueue")["QueueUrl"]

    def create_table(self, name: str, keys: Any) -> None:
        names = [key["AttributeName"] for key in keys]
        self.dynamodb.create_table(
            TableName=name,
            KeySchema=keys,
            AttributeDefinitions=[{"AttributeName": n, "AttributeType": "S"} for n in names],
            BillingMode="PAY_PER_REQUEST",
        )

    def client(self, service: str) -> Any:
        return {"dynamodb": self.dynamodb, "sqs": self.sqs}[service]

    def id_of(self, logical_id: str) -> str:
        assert logical_id == "PostbackQueue"
        return self.queue

    def put(self, table: str, *items: Item) -> None:
        for item in items:
            self.dynamodb.put_item(TableName=table, Item=item)

    def rows(self) -> list[Item]:
        found: list[Item] = self.dynamodb.scan(TableName=TABLE)["Items"]
        return found

    def restore(self, table: str = COPY) -> dict[str, dict[str, int]]:
        """Run `restore table`; return its counts."""
        asked = Namespace(table=table, yes=True)
        counts: dict[str, dict[str, int]] = restore_table(self, asked).data  # type: ignore[arg-type,assignment]
        return counts


@pytest.fixture
def stack() -> Iterator[Stack]:
    with mock_aws():
        yield Stack()


def test_missing_rows_come_back_and_a_second_run_finds_them(stack: Stack) -> None:
    rows = [event(), opt_out(stopped_at="2026-11-22T10:00:00Z")]
    stack.put(COPY, *rows)
    assert stack.restore()["event"] == {"restored": 1, "kept": 0, "expired": 0}
    assert sorted(stack.rows(), key=str) == sorted(rows, key=str)
    assert stack.restore()["event"] == {"restored": 0, "kept": 1, "expired": 0}


def test_a_row_that_the_stack_has_is_not_overwritten(stack: Stack) -> None:
    stack.put(COPY, event())
    newer = event() | {"text": {"S": "newer"}}
    stack.put(TABLE, newer)
    assert stack.restore()["event"]["kept"] == 1
    assert stack.rows() == [newer]


def test_an_expired_row_is_not_restored(stack: Stack) -> None:
    stack.put(COPY, event() | {"expires": {"N": "1"}})
    assert stack.restore()["event"]["expired"] == 1
    assert stack.rows() == []


@pytest.mark.parametrize(
    "left_out",
    [
        row("message#1", "message", status={"S": "released"}),
        row("pause", "pauses", pauses={"S": "{}"}),  # another table's pause would pause this stack
        row("sweep", "progress", parked={"S": "2026-11-22T10:41:00.000000Z"}),
    ],
    ids=lambda item: item["kind"]["S"],
)
def test_what_says_nothing_of_the_past_is_not_restored(stack: Stack, left_out: Item) -> None:
    stack.put(COPY, left_out)
    assert stack.restore() == {}
    assert stack.rows() == []


@pytest.mark.parametrize(
    ("own", "copied", "expected"),
    [
        # A start that came after the copy was made holds, and so does a stop that only it has.
        ({"stopped_at": "1", "started_at": "3"}, {"stopped_at": "1"}, ("1", "3")),
        ({"started_at": "1"}, {"stopped_at": "2", "started_at": "1"}, ("2", "1")),
        ({"stopped_at": "4"}, {"stopped_at": "2"}, ("4", None)),
    ],
)
def test_of_an_opt_out_the_later_times_count(
    stack: Stack, own: dict[str, str], copied: dict[str, str], expected: tuple[str, str | None]
) -> None:
    stack.put(TABLE, opt_out(**own))
    stack.put(COPY, opt_out(**copied))
    stack.restore()
    (found,) = stack.rows()
    times = (found.get(name, {}).get("S") for name in ("stopped_at", "started_at"))
    assert tuple(times) == expected


def test_an_interrupted_run_is_completed_by_the_next(stack: Stack) -> None:
    stack.put(COPY, event())
    stub = {name: event()[name] for name in ("pk", "sk")}
    stack.put(TABLE, stub | {"restoring": {"BOOL": True}})
    assert stack.restore()["event"]["restored"] == 1
    assert stack.rows() == [event()]


@pytest.mark.parametrize("name", [TABLE, "foreign"])
def test_another_kind_of_table_is_refused(stack: Stack, name: str) -> None:
    if name == "foreign":
        stack.create_table(name, [{"AttributeName": "id", "KeyType": "HASH"}])
    with pytest.raises(Refused, match="table of"):
        stack.restore(name)
    assert stack.rows() == []


def test_postbacks_of_an_older_queue_move_with_their_time(stack: Stack) -> None:
    older = stack.sqs.create_queue(QueueName="older")["QueueUrl"]
    stack.sqs.send_message(QueueUrl=older, MessageBody="a postback", MessageAttributes=RECEIVED_AT)
    asked = Namespace(queue_url=older, yes=True)
    assert restore_postbacks(stack, asked).data == {"moved": 1}  # type: ignore[arg-type]
    found = stack.sqs.receive_message(QueueUrl=stack.queue, MessageAttributeNames=["All"])
    (moved,) = found["Messages"]
    assert (moved["Body"], moved["MessageAttributes"]) == ("a postback", RECEIVED_AT)
    assert "Messages" not in stack.sqs.receive_message(QueueUrl=older)


def test_the_stacks_own_queue_is_refused(stack: Stack) -> None:
    with pytest.raises(Refused, match="is the postback queue of"):
        restore_postbacks(stack, Namespace(queue_url=stack.queue, yes=True))  # type: ignore[arg-type]
