"""Calls of the stack's API, signed with the operator's AWS login."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from ops.output import Refused

if TYPE_CHECKING:
    from ops.stack import Stack

TIMEOUT = 35.0  # seconds; API Gateway gives up after 29


def call(
    stack: Stack,
    method: str,
    path: str,
    body: dict[str, Any] | None = None,
    headers: dict[str, str] | None = None,
) -> tuple[int, dict[str, Any]]:
    """Return the status and the JSON body of the API's answer. Raises Refused without one."""
    data = b"" if body is None else json.dumps(body).encode()
    all_headers = {"Content-Type": "application/json", **(headers or {})}
    url = stack.api_url + path
    unsigned = AWSRequest(method, url, data=data, headers=all_headers)
    SigV4Auth(stack.credentials(), "execute-api", stack.region).add_auth(unsigned)
    try:
        answer = requests.request(
            method, url, data=data, headers=dict(unsigned.headers), timeout=TIMEOUT
        )
        return answer.status_code, dict(answer.json())
    except ValueError:
        raise Refused(f"The API answered {answer.status_code} without JSON.") from None
    except requests.RequestException as error:
        raise Refused(f"No answer from {stack.api_url}: {type(error).__name__}.") from None
