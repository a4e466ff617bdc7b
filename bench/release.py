"""Measure how long `sweep` takes to queue many due messages on its share of a processor.

    .venv/bin/python -m bench.release 10000

DynamoDB and SQS are a process of their own that answers at once. So this is the processor's time of
sweep's code, PynamoDB's and boto3's, and the share of a vCPU that Lambda gives the function's
memory says how long that takes there. SHARDS_AT_ONCE threads wait for the network meanwhile.
"""

from __future__ import annotations

import base64
import json
import multiprocessing
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

SHARDS = 16
MINUTE = f"{datetime.now(UTC):%Y-%m-%dT%H:%M}"
TEXT = base64.b64encode(os.urandom(250)).decode()  # a request with a text, compressed


class Server(BaseHTTPRequestHandler):
    """DynamoDB and SQS as sweep needs them: `rows` parked messages are due in this minute."""

    protocol_version = "HTTP/1.1"
    rows = 0

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        operation = self.headers["X-Amz-Target"].split(".")[1]
        body = json.dumps(getattr(self, f"_{operation}", lambda _: {})(request)).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _Query(self, request: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        partition = next(iter(request["ExpressionAttributeValues"].values()))["S"]
        if MINUTE not in partition:
            return {"Items": [], "Count": 0, "ScannedCount": 0}
        shard = int(partition.rsplit("#", 1)[1])
        keys = [
            {"pk": {"S": f"message#{shard}#{n:032x}"}, "sk": {"S": "message"}}
            | {"state": {"S": partition}, "at": {"S": "message#2026-11-29T00:00:00.000000Z"}}
            for n in range(self.rows // SHARDS)
        ]
        return {"Items": keys, "Count": len(keys), "ScannedCount": len(keys)}

    def _BatchGetItem(self, request: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        keys = request["RequestItems"]["table"]["Keys"]
        return {"Responses": {"table": [_row(key) for key in keys]}, "UnprocessedKeys": {}}

    def _UpdateItem(self, request: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"Attributes": request["Key"]}

    def _SendMessageBatch(self, request: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"Successful": [{"Id": entry["Id"]} for entry in request["Entries"]], "Failed": []}

    def log_message(self, *_: object) -> None:
        pass


def _row(key: dict[str, Any]) -> dict[str, Any]:
    id_ = key["pk"]["S"].removeprefix("message#")
    texts = {
        "kind": "message",
        "message_id": id_,
        "status": "queued",
        "attempt": "0123456789abcdef",
        "action": "sendSMS",
        "to": "17743199144",
        "sender": "60856",
        "created_at": "2026-11-29T00:00:00.000000Z",
        "deadline": "2026-12-13T00:00:00.000000Z",
        "fingerprint": "0" * 64,
        "state": f"state#parked#{MINUTE}#{id_.split('#')[0]}",
        "at": "message#2026-11-29T00:00:00.000000Z",
    }
    numbers = {"rank": "0", "tries": "0", "expires": "1800000000"}
    return (
        key
        | {name: {"S": value} for name, value in texts.items()}
        | {name: {"N": value} for name, value in numbers.items()}
        | {"steps": {"L": [{"S": "2026-11-29T00:00:00.000000Z queued"}]}, "request": {"B": TEXT}}
    )


def _serve(rows: int, ready: Connection) -> None:
    Server.rows = rows
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    ready.send(server.server_port)
    server.serve_forever()


def seconds(rows: int = 10_000) -> float:
    """Return the processor's time of a run, in a process of its own."""
    command = [sys.executable, "-m", "bench.release", str(rows)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.rsplit("\n", 2)[-2])


def main(rows: int) -> None:
    """Queue so many due messages; print the processor's time, in seconds."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.Process(target=_serve, args=(rows, theirs), daemon=True)
    process.start()
    url = f"http://127.0.0.1:{ours.recv()}"
    os.environ |= {
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_ENDPOINT_URL": url,
        "TABLE_NAME": "table",
    }
    from skycore.sending.sweep import sweep  # noqa: PLC0415 - reads the environment

    cpu = time.process_time()
    released = sweep(time.monotonic() + 600, queue_url=f"{url}/000000000000/send")["released"]
    cpu = time.process_time() - cpu
    process.terminate()
    assert released == rows, released
    print(cpu)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
