"""What a million postbacks and a million sends cost, beside a plain sample of the same path.

From the calls in requests.json (held by a test), the prices in prices.json, and CPU times as
`make bench` measured them. Waiting for a service is billed like computing, so each call brings its
usual latency. The plain sample is a REST API, a Lambda function, a queue, and a second function
that puts one row for each message: it drops no repeats, keeps no limits, and notifies nobody.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.table import markdown

if TYPE_CHECKING:
    from bench.measured import Measured

HERE = Path(__file__).parent
MILLION = 1_000_000
BATCH = 10  # messages of an invocation behind a queue or stream
INDEXES = 2  # that a row is in, and that a plain sample needs too to find it by number and day

SERVICES = {
    "API Gateway": ("api request",),
    "Lambda": ("lambda request", "lambda GB-s"),
    "SQS": ("sqs request",),
    "SNS": ("sns publish",),
    "DynamoDB": ("write unit", "read unit"),
    "Logs": ("log GB",),
}
LATENCY = {"SQS": "sqs_ms", "SNS": "sns_ms", "Skycore": "skycore_ms"}  # all others: DynamoDB


type Used = dict[str, float]  # amounts, by the name of their price


def _data(name: str) -> Any:
    return json.loads((HERE / name).read_text())


REQUESTS: dict[str, dict[str, int]] = _data("requests.json")
_PRICES = _data("prices.json")
ASSUMED: dict[str, float] = {name: row["value"] for name, row in _PRICES["assumed"].items()}
DOLLARS: dict[str, float] = {
    name: row["price"] / row["per"] for name, row in _PRICES["dollars"].items()
}
AS_OF: str = _PRICES["as_of"]


def seconds(cpu: float, calls: dict[str, float]) -> float:
    """Duration of an invocation: its CPU at the function's share of one, and its waits."""
    share = ASSUMED["memory_mb"] / ASSUMED["mb_per_vcpu"]
    waits = sum(
        count * ASSUMED[LATENCY.get(name.split()[0], "dynamodb_ms")]
        for name, count in calls.items()
        if not name.endswith("units")
    )
    return cpu / share + waits / 1000


def invocation(cpu: float, calls: dict[str, float], *, items: int, logged: float) -> Used:
    """What one item costs of an invocation for `items`; `cpu` and `logged` are of one item."""
    used: Used = {}
    used["lambda request"] = 1 / items
    used["lambda GB-s"] = seconds(cpu * items, calls) * ASSUMED["memory_mb"] / 1024 / items
    used["log GB"] = logged / 1e9
    used["write unit"] = calls.get("write units", 0) / items
    used["read unit"] = calls.get("read units", 0) / items
    used["sqs request"] = calls.get("SQS SendMessage", 0) / items
    used["sns publish"] = calls.get("SNS PublishBatch", 0) / items
    return used


POLLED: Used = {"sqs request": 2 / BATCH}  # Lambda receives and deletes a batch
STORED = "postback: received and stored"
PLAIN_STORED = "the same in a plain sample"
PUBLISHED = "postback: status moved, event published"
SENT = "send: POST /messages"
PLAIN_SENT = "a send in a plain sample"
API: Used = {"api request": 1}


def paths(known: Measured) -> dict[str, Used]:
    """What one item uses on each path, by the name of its price."""

    def ours(name: str, cpu: str, items: int) -> Used:
        logged = known.logged.get(cpu, 0.0)
        return invocation(known.cpu[cpu], dict(REQUESTS[name]), items=items, logged=logged)

    def sample(cpu: float, calls: dict[str, float], items: int) -> Used:
        # Default logging: Lambda's own lines for each invocation. Ours are left out while it works.
        return invocation(cpu, calls, items=items, logged=ASSUMED["lambda_log_bytes"] / items)

    put: Used = {"PutItem": BATCH, "write units": BATCH * (1 + INDEXES)}
    bare = put | {"write units": BATCH}
    queued = sample(known.cpu["send_message"], {"SQS SendMessage": 1}, 1)
    save, post = known.cpu["save"], known.cpu["post"]
    front = (API, queued, POLLED)
    return {
        STORED: _sum(
            API,
            ours("ack, a postback", "ack", 1),
            POLLED,
            ours("store, 10 postbacks", "store", BATCH),
        ),
        PLAIN_STORED: _sum(*front, sample(save, put, BATCH)),
        "the same without the two indexes": _sum(*front, sample(save, bare, BATCH)),
        PUBLISHED: ours("publish, 10 receipts of known messages", "publish", BATCH),
        SENT: _sum(API, ours("send, a message", "send", 1)),
        PLAIN_SENT: _sum(*front, sample(save + post, put | {"Skycore": BATCH}, BATCH)),
        "send: event published": ours("publish, 10 accepted messages", "publish", BATCH),
    }


def _sum(*parts: Used) -> Used:
    return {name: sum(part.get(name, 0) for part in parts) for name in DOLLARS}


def dollars(used: Used) -> dict[str, float]:
    """Dollars for a million items, by service."""
    return {
        service: sum(used.get(name, 0) * DOLLARS[name] for name in names) * MILLION
        for service, names in SERVICES.items()
    }


def table(known: Measured) -> str:
    """Return dollars a million of each path, as a table of Markdown."""
    return markdown(
        ("a million of", *SERVICES, "**all**"),
        (
            (name, *(f"{amount:.2f}" for amount in services), f"**{sum(services):.2f}**")
            for name, used in paths(known).items()
            for services in (dollars(used).values(),)
        ),
    )


def total(known: Measured, path: str) -> float:
    """Dollars for a million items on a path."""
    return sum(dollars(paths(known)[path]).values())
