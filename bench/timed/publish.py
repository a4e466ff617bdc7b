"""Ten new receipts of known messages through publish's handler: statuses move, ten are told."""

import base64
from datetime import UTC, datetime
from typing import Any

import app

from bench.timed.clock import measure
from bench.timed.receipts import receipt
from skycore.postbacks.parser import read_postback
from skycore.table import events, models

SIZE = 10
arrived = datetime.now(UTC)


def record(number: int) -> dict[str, Any]:
    """A record of the table's stream, as Lambda brings it."""
    body = receipt(number)
    (event,) = read_postback(body, arrived)
    key = models.event_key(event.id)
    image = events.row_of(event, body, 90, key=key, alone=True).serialize()
    image["blob"] = {"B": base64.b64encode(image["blob"]["B"]).decode()}
    return {
        "eventName": "INSERT",
        "eventSource": "aws:dynamodb",
        "dynamodb": {
            "Keys": dict(zip(("pk", "sk"), keys_of(event.id), strict=True)),
            "NewImage": image,
            "SequenceNumber": str(number + 1),
        },
    }


def keys_of(event_id: str) -> tuple[dict[str, str], dict[str, str]]:
    pk, sk = models.event_key(event_id)
    return {"S": pk}, {"S": sk}


batch = {"Records": [record(number) for number in range(SIZE)]}


def call() -> None:
    assert app.handler(batch, None) == {"batchItemFailures": []}


measure(call, 60, items=SIZE)
