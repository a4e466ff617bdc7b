"""A batch of a thousand messages through enqueue's handler: their rows, then the queue."""

import json

import app

from bench.timed.clock import measure, sample

SIZE = 1_000
event = sample("enqueue/batch.json")
event["isBase64Encoded"] = False
event["body"] = json.dumps(
    {
        "messages": [
            {"to": f"+1774319{number:04}", "from": "60856", "text": "Hello"}
            for number in range(SIZE)
        ]
    }
)


def call() -> None:
    answer = app.handler(event, None)
    assert answer["statusCode"] == 202, answer


measure(call, 1, items=SIZE, warm=1)
