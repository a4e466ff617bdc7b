"""Floor of ack's first postback: boto3's two clients, a secret read, a message sent."""

import json
import os
import time

import boto3

from bench.timed.receipts import receipt

boto3.client("secretsmanager").get_secret_value(SecretId="token")
sqs = boto3.client("sqs")
sqs.send_message(QueueUrl=os.environ["POSTBACK_QUEUE_URL"], MessageBody=receipt(0).decode())
print(json.dumps([time.process_time(), 1]))
