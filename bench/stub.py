"""The other side of every call that is measured: a server of its own process, as quick as can be.

It answers as DynamoDB, SQS, SNS, Secrets Manager and Skycore answer when all is well, keeps
only the last item put (an update answers with it), and counts: `GET /counts` gives the requests
since the last time, by service and operation.

    with running() as url: ...
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.types import TypeSerializer

from skycore.table.limiter import new_item

if TYPE_CHECKING:
    from collections.abc import Iterator

ACCEPTED = (
    "<RESPONSE><STATUS>Success</STATUS><TRACKINGID>U01TXzkwNDE3MzM=</TRACKINGID>"
    "<TO>17743199144</TO></RESPONSE>"
)
# By the operation in X-Amz-Target; what is not named here is answered with an empty object.
ANSWERS: dict[str, object] = {
    "BatchGetItem": {"Responses": {}, "UnprocessedKeys": {}},
    "BatchWriteItem": {"UnprocessedItems": {}},
    "GetSecretValue": {"SecretString": '{"api_key": "the-key"}', "VersionStages": ["AWSCURRENT"]},
    "SendMessage": {"MessageId": "059f36b4-87a3-44ab-83d2-661970a7a7d1"},
}
SERIALIZE = TypeSerializer().serialize
ENTRY = re.compile(rb"member\.\d+\.Id=(\d+)")
TABLE = "table"
# What an update answers with, until an item was put.
ROW = {
    "message_id": {"S": "059f36b487a344ab83d2661970a7a7d1"},
    "steps": {"L": [{"S": "2026-11-22T10:41:15.000000Z accepted"}]},
}


def _limiter() -> dict[str, Any]:
    """The limiter's item after an update: each lane is free from now on, so slots are at once."""
    free = dict.fromkeys(("shared", "kept", "bulk"), time.time_ns() // 1000)
    return {name: SERIALIZE(value) for name, value in (new_item() | free).items()}


def _pointers(asked: dict[str, Any]) -> list[dict[str, Any]]:
    """For every tracking id the message that it belongs to; no event is there yet."""
    keys = asked["RequestItems"][TABLE]["Keys"]
    return [
        key | {"message_id": ROW["message_id"]} for key in keys if key["sk"] == {"S": "message"}
    ]


def _published(sent: bytes) -> bytes:
    """SNS has every entry."""
    taken = b"".join(b"<member><Id>%s</Id></member>" % id_ for id_ in ENTRY.findall(sent))
    told = b"<PublishBatchResult><Successful>%s</Successful></PublishBatchResult>" % taken
    return b"<PublishBatchResponse>%s</PublishBatchResponse>" % told


class _Connection(asyncio.Protocol):
    def __init__(self, counts: Counter[str]) -> None:
        self._counts = counts
        self._item: object = ROW
        self._buffer = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            line, *headers = self._buffer[:end].decode("latin-1").split("\r\n")
            known = {
                name.lower(): value for name, _, value in (row.partition(": ") for row in headers)
            }
            whole = end + 4 + int(known.get("content-length", "0"))
            if len(self._buffer) < whole:
                if known.get("expect"):
                    self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                return
            sent, self._buffer = self._buffer[end + 4 : whole], self._buffer[whole:]
            kind, body = self._answer(line.split()[1], known.get("x-amz-target"), sent)
            head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
            self._transport.write(head.encode() + body)

    def _answer(self, path: str, target: str | None, sent: bytes) -> tuple[str, bytes]:
        if path == "/counts":
            told = json.dumps(dict(self._counts)).encode()
            self._counts.clear()
            return "application/json", told
        if sent.startswith(b"Action=PublishBatch"):  # SNS alone speaks the query protocol
            self._counts["SNS PublishBatch"] += 1
            return "text/xml", _published(sent)
        if target is None:
            self._counts["Skycore"] += 1
            return "text/xml", ACCEPTED.encode()
        service, _, operation = target.partition(".")
        self._counts[f"{service.split('_')[0]} {operation}"] += 1
        answer = ANSWERS.get(operation, {})
        if operation == "PutItem":
            self._item = json.loads(sent)["Item"]
        elif operation == "BatchGetItem" and b'{"S":"message"}' in sent.replace(b" ", b""):
            answer = {"Responses": {TABLE: _pointers(json.loads(sent))}}
        elif operation == "SendMessageBatch":
            answer = {"Successful": [{"Id": one["Id"]} for one in json.loads(sent)["Entries"]]}
        elif operation == "UpdateItem" and b'"limiter"' in sent:
            answer = {"Attributes": _limiter()}
        elif operation == "UpdateItem" and b'"ALL_NEW"' in sent:
            answer = {"Attributes": self._item}
        return "application/x-amz-json-1.0", json.dumps(answer).encode()


async def _serve() -> None:
    counts: Counter[str] = Counter()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(counts), "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


@contextmanager
def running() -> Iterator[str]:
    """The URL of a stub that runs meanwhile."""
    command = [sys.executable, "-m", "bench.stub"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def counts(url: str) -> dict[str, int]:
    """The requests that a stub has had since the last time, by service and operation."""
    with urllib.request.urlopen(f"{url}/counts", timeout=5) as answer:
        told: dict[str, int] = json.load(answer)
    return told


if __name__ == "__main__":
    asyncio.run(_serve())
