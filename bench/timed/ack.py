"""A postback through ack's handler: what its queue gets, and the 200."""

import base64

import app

from bench.timed.clock import measure, sample
from bench.timed.receipts import receipt

event = sample("ack/postback_xml.json")
event["body"] = base64.b64encode(receipt(0)).decode()
event["pathParameters"]["item"] = '{"api_key": "the-key"}'  # the secret's value at the stub


def call() -> None:
    assert app.handler(event, None)["statusCode"] == 200


measure(call, 300)
