"""The whole of a fresh process until its first postback is answered: clients and token too."""

import json
import time

import app

from bench.timed.clock import sample

event = sample("ack/postback_xml.json")
event["pathParameters"]["item"] = '{"api_key": "the-key"}'  # the secret's value at the stub
assert app.handler(event, None)["statusCode"] == 200
print(json.dumps([time.process_time(), 1]))
