"""Which AWS calls each function was seen to make: the emulator's records, read back.

A record names the access key of its caller. A function's key is made for its role alone, from the
ARNs of both, so a record names the role; a key that belongs to no function is told as such.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.patience import PATIENCE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.integration.conftest import Stack

PAGE = 50  # records, the most that one call returns
LATE_SECONDS = 30.0  # after an outage in which a function may still log what it was refused


class Call(NamedTuple):
    """A call as IAM sees it: the action, the resource's ARN, and a row's partition key."""

    action: str
    resource: str
    key: str = ""


def session_keys(functions: Iterable[dict[str, Any]], secret: str) -> dict[str, str]:
    """The access key that the emulator gives to each function's role, and the function's name.

    `secret` is that of the emulator's run, which local/emulator_guard.py adds to the role.
    """
    keys = {}
    for function in functions:
        role = function["Role"].replace(":role/", f":role/{secret}/", 1)
        made_of = f"{function['FunctionArn']}:{role}"
        digest = hashlib.sha256(made_of.encode()).hexdigest()
        keys[f"ASIA{digest[:16].upper()}"] = function["FunctionName"]
    return keys


def records(stack: Stack) -> Iterator[dict[str, Any]]:
    """Every recorded call, newest first."""
    seen: set[str] = set()
    until: float | None = None
    while True:
        page = _lookup(stack, {} if until is None else {"EndTime": until})
        fresh = [row for row in page if row["EventId"] not in seen]
        if not fresh:
            return
        seen.update(row["EventId"] for row in fresh)
        yield from fresh
        until = min(row["EventTime"] for row in fresh)


def outages(rows: Iterable[dict[str, Any]], role: str) -> list[tuple[float, float]]:
    """When tests denied the role something (epoch seconds), each with the time until it shows."""
    found: list[tuple[float, float]] = []
    begun: dict[str, float] = {}
    for row in sorted(rows, key=lambda row: float(row["EventTime"])):
        request = json.loads(row["CloudTrailEvent"])["requestParameters"] or {}
        if request.get("RoleName") != role:
            continue
        policy, now = request.get("PolicyName", ""), float(row["EventTime"])
        if request["Action"] == "PutRolePolicy" and '"Deny"' in request["PolicyDocument"]:
            begun[policy] = now
        elif request["Action"] == "DeleteRolePolicy" and policy in begun:
            found.append((begun.pop(policy), now + LATE_SECONDS))
    return found


def calls(record: dict[str, Any], region: str) -> set[Call]:
    """What a record's call needs to be allowed: each action on each resource that it names.

    Calls of many are what IAM makes of them on AWS: PublishBatch is allowed as Publish, and each
    step of a transaction as the single action that it is.
    """
    told = json.loads(record["CloudTrailEvent"])
    service = told["eventSource"].split(".")[0]
    name, request = told["eventName"], told["requestParameters"] or {}
    place = f"{region}:{told['recipientAccountId']}"
    return set(_READERS[service](name, request, place))


def _dynamodb(name: str, request: dict[str, Any], place: str) -> Iterator[Call]:
    for action, table, key in _rows(name, request):
        arn = f"arn:aws:dynamodb:{place}:table/{table}"
        if "IndexName" in request:
            arn += f"/index/{request['IndexName']}"
        yield Call(f"dynamodb:{action}", arn, key)


def _rows(name: str, request: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """The action, table and partition key of each row that a request of DynamoDB names."""
    match name:
        case "BatchGetItem":
            for table, asked in request["RequestItems"].items():
                yield from ((name, table, _key(key)) for key in asked["Keys"])
        case "BatchWriteItem":
            for table, rows in request["RequestItems"].items():
                yield from ((name, table, _key(row["PutRequest"]["Item"])) for row in rows)
        case "TransactWriteItems":
            for step in request["TransactItems"]:
                ((kind, asked),) = step.items()
                action = "ConditionCheckItem" if kind == "ConditionCheck" else f"{kind}Item"
                yield action, asked["TableName"], _key(asked.get("Key") or asked["Item"])
        case "Query":
            yield name, request["TableName"], _queried(request)
        case _:
            yield name, request["TableName"], _key(request.get("Key") or request["Item"])


def _key(row: dict[str, Any]) -> str:
    key: str = row["pk"]["S"]
    return key


def _queried(request: dict[str, Any]) -> str:
    """The partition key that a query asks for: the value of its first condition, `#0 = :0`."""
    found = re.match(r"\(?\s*#\w+ = (:\w+)", request["KeyConditionExpression"])
    assert found is not None, request["KeyConditionExpression"]
    key: str = request["ExpressionAttributeValues"][found[1]]["S"]
    return key


def _sqs(name: str, request: dict[str, Any], place: str) -> Iterator[Call]:
    queue = request["QueueUrl"].rsplit("/", 1)[-1]
    yield Call(f"sqs:{name.removesuffix('Batch')}", f"arn:aws:sqs:{place}:{queue}")


def _sns(_name: str, request: dict[str, Any], _place: str) -> Iterator[Call]:
    # A form, whose action the record's name does not tell.
    yield Call(f"sns:{request['Action'].removesuffix('Batch')}", request["TopicArn"])


def _secretsmanager(name: str, request: dict[str, Any], _place: str) -> Iterator[Call]:
    yield Call(f"secretsmanager:{name}", request["SecretId"])


def _s3(_name: str, _request: dict[str, Any], _place: str) -> Iterator[Call]:
    """Nothing: the records of S3 name neither bucket nor key."""
    yield from ()


# A service that is not here fails the test: no function calls another one.
_READERS = {
    "dynamodb": _dynamodb,
    "sqs": _sqs,
    "sns": _sns,
    "s3": _s3,
    "secretsmanager": _secretsmanager,
}


def _lookup(stack: Stack, attributes: dict[str, Any]) -> list[dict[str, Any]]:
    """One page. botocore would cut the times to whole seconds, of which each has many records."""
    known = stack.description
    body = json.dumps({"MaxResults": PAGE, **attributes})
    request = AWSRequest(
        "POST",
        known["endpoint_url"] + "/",
        data=body,
        headers={
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.LookupEvents",
        },
    )
    credentials = Credentials(known["admin_access_key_id"], known["admin_secret_access_key"])
    SigV4Auth(credentials, "cloudtrail", known["region"]).add_auth(request)
    answer = requests.post(
        str(request.url), data=body, headers=dict(request.headers), timeout=PATIENCE_SECONDS
    )
    answer.raise_for_status()
    events: list[dict[str, Any]] = answer.json()["Events"]
    return events
