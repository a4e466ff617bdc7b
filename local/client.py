"""A caller of the local stack, as a user's own service would be: signed requests, queue reads."""

from __future__ import annotations

import json
from typing import Any

import boto3
import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials


class Client:
    """What .local/stack.json says, put to use with the local caller's key."""

    def __init__(self, stack: dict[str, Any], timeout: float = 35) -> None:
        self.stack = stack
        self._timeout = timeout  # seconds; API Gateway gives up after 29
        self._http = requests.Session()
        session = boto3.Session(
            stack["access_key_id"], stack["secret_access_key"], region_name=stack["region"]
        )
        self._sqs: Any = session.client("sqs", endpoint_url=stack["endpoint_url"])

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
    ) -> requests.Response:
        """Sends a request signed with AWS Signature Version 4 to the API's `path`.

        `body` goes as JSON, bytes as they are.
        """
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body)
        all_headers = {"Content-Type": "application/json", **(headers or {})}
        unsigned = AWSRequest(method, self.stack["api_url"] + path, data=data, headers=all_headers)
        credentials = Credentials(self.stack["access_key_id"], self.stack["secret_access_key"])
        SigV4Auth(credentials, "execute-api", self.stack["region"]).add_auth(unsigned)
        ready: Any = unsigned.prepare()
        return self._http.request(
            method, ready.url, data=ready.body, headers=dict(ready.headers), timeout=self._timeout
        )

    def receive(self, wait_seconds: int = 1) -> list[dict[str, Any]]:
        """Up to ten events from the event queue, deleted there once they are read."""
        url = self.stack["event_queue_url"]
        answer = self._sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=wait_seconds
        )
        events = []
        for message in answer.get("Messages", []):
            events.append(json.loads(message["Body"]))
            self._sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return events
