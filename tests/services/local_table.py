"""A table on DynamoDB Local, with the template's own schema."""

from __future__ import annotations

import base64
import secrets
import weakref
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import botocore.session
from botocore.config import Config

from tests.template.conftest import Template
from tests.unit.table.fake_dynamodb import Hooked

if TYPE_CHECKING:
    from tests.unit.table.fake_dynamodb import Item, Key

NAME = "table"
HOOKED = frozenset({"BatchGetItem", "BatchWriteItem"})  # a test may leave a part unprocessed


def client(service: str, url: str, access_key: str) -> Any:
    """Return a client for the database of `access_key`, which gives up at once."""
    return _session().create_client(
        service,
        "us-east-1",
        endpoint_url=url,
        aws_access_key_id=access_key,
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}),
    )


@cache
def _session() -> botocore.session.Session:
    return botocore.session.get_session()


@dataclass(frozen=True)
class Database:
    """What an access key sees of DynamoDB Local. A table that is no longer used leaves it free."""

    dynamodb: Any
    streams: Any

    @classmethod
    def take(cls, url: str) -> Database:
        if _free:
            return _free.pop()
        access_key = f"test{secrets.token_hex(8)}"
        return cls(client("dynamodb", url, access_key), client("dynamodbstreams", url, access_key))

    def give_back(self) -> None:
        self.dynamodb.delete_table(TableName=NAME)
        _free.append(self)


_free: list[Database] = []


@cache
def _schema() -> dict[str, Any]:
    """Return the table's properties in template.yaml, as CreateTable takes them."""
    table = Template().resources["Table"]["Properties"]
    names = ("BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes")
    stream = {"StreamEnabled": True, **table["StreamSpecification"]}
    return {name: table[name] for name in names} | {"StreamSpecification": stream}


def create_table(dynamodb: Any) -> str:
    """Create the template's table; return the ARN of its stream."""
    answer = dynamodb.create_table(TableName=NAME, **_schema())
    arn: str = answer["TableDescription"]["LatestStreamArn"]
    return arn


class Stream:
    """The records of a table's stream, as Lambda hands them to a function."""

    def __init__(self, streams: Any, arn: str) -> None:
        self._client = streams
        self._arn = arn
        self._next = ""

    def _first(self) -> str:
        described = self._client.describe_stream(StreamArn=self._arn)["StreamDescription"]
        (shard,) = described["Shards"]
        place = {"ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
        iterator: str = self._client.get_shard_iterator(StreamArn=self._arn, **place)[
            "ShardIterator"
        ]
        return iterator

    def new_records(self) -> list[dict[str, Any]]:
        """Return the records since the last call."""
        found: list[dict[str, Any]] = []
        while True:
            answer = self._client.get_records(ShardIterator=self._next or self._first())
            self._next = answer["NextShardIterator"]
            if not answer["Records"]:
                return found
            found += [_as_lambda_has_it(record) for record in answer["Records"]]


def _as_lambda_has_it(record: dict[str, Any]) -> dict[str, Any]:
    change = record["dynamodb"]
    change["ApproximateCreationDateTime"] = change["ApproximateCreationDateTime"].timestamp()
    for image in ("NewImage", "OldImage"):
        for field in change.get(image, {}).values():
            if "B" in field:
                field["B"] = base64.b64encode(field["B"]).decode()
    return record


class LocalTable(Hooked):
    """What the fake table is to a test, on DynamoDB Local. Each has a database of its own."""

    def __init__(self, url: str) -> None:
        super().__init__()
        database = Database.take(url)
        self._dynamodb = database.dynamodb
        self._stream = Stream(database.streams, create_table(self._dynamodb))
        weakref.finalize(self, database.give_back).atexit = False  # the server ends with the run
        self._records: list[dict[str, Any]] = []

    @property
    def items(self) -> dict[Key, Item]:
        """All items, by key. They are a copy: assign to it to replace what the table has."""
        pages = self._dynamodb.get_paginator("scan").paginate(TableName=NAME, ConsistentRead=True)
        items = [item for page in pages for item in page["Items"]]
        return {(item["pk"]["S"], item["sk"]["S"]): item for item in items}

    @items.setter
    def items(self, items: dict[Key, Item]) -> None:
        for pk, sk in self.items.keys() - items.keys():
            key = {"pk": {"S": pk}, "sk": {"S": sk}}
            self._dynamodb.delete_item(TableName=NAME, Key=key)
        for item in items.values():
            self._dynamodb.put_item(TableName=NAME, Item=item)

    @property
    def stream(self) -> list[dict[str, Any]]:  # type: ignore[override] # nobody assigns to it
        """The stream's records so far. A test may drop or change those that it has."""
        self._records += self._stream.new_records()
        return self._records

    def __getattr__(self, name: str) -> Any:
        """Return the operation of that name, which a test may replace: `_PutItem`."""
        if name[1:2].isupper():
            return partial(self._carry_out, name[1:])
        raise AttributeError(name)

    def _carry_out(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        if operation not in HOOKED:
            return self._send(operation, request)
        ((table, wanted),) = request["RequestItems"].items()
        read = operation == "BatchGetItem"
        entries = wanted["Keys"] if read else wanted
        now = len(entries) - self.unprocessed(operation, entries)

        def part(of_it: list[Any]) -> dict[str, Any]:
            return {table: {**wanted, "Keys": of_it} if read else of_it} if of_it else {}

        answer: dict[str, Any] = {}
        if now:
            answer = self._send(operation, {**request, "RequestItems": part(entries[:now])})
        if now < len(entries):
            answer["UnprocessedKeys" if read else "UnprocessedItems"] = part(entries[now:])
        return answer

    def _send(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = self._dynamodb._make_api_call(operation, request)
        return answer
