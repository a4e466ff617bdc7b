"""Floor of ack: boto3's bare send_message of the same body."""

import os

import boto3

from bench.timed.clock import measure
from bench.timed.receipts import receipt

sqs = boto3.client("sqs")
url, body = os.environ["POSTBACK_QUEUE_URL"], receipt(0).decode()
measure(lambda: sqs.send_message(QueueUrl=url, MessageBody=body), 300)
