"""The comparison of roles with calls can fail: on a spare permission, and on a missing one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.integration.calls import LATE_SECONDS, Call, calls, outages, session_keys
from tests.integration.roles import Allowed, allowed, missing, spare, useless_exceptions

TABLE = "arn:aws:dynamodb:us-east-1:000000000000:table/t"
QUEUE = "arn:aws:sqs:us-east-1:000000000000:q"
DOCUMENT = {
    "Statement": [
        {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": QUEUE},
        {
            "Effect": "Allow",
            "Action": ["dynamodb:GetItem", "dynamodb:PutItem"],
            "Resource": TABLE,
            "Condition": {
                "ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["event#*", "raw#*"]}
            },
        },
        {"Effect": "Allow", "Action": "dynamodb:Query", "Resource": f"{TABLE}/index/*"},
    ]
}
SEEN = {
    Call("sqs:SendMessage", QUEUE),
    Call("dynamodb:GetItem", TABLE, "event#1"),
    Call("dynamodb:PutItem", TABLE, "raw#2"),
    Call("dynamodb:Query", f"{TABLE}/index/by_day", "day#1"),
}


def test_a_role_that_fits() -> None:
    assert missing(allowed([DOCUMENT]), SEEN) == []
    assert spare("ack", allowed([DOCUMENT]), SEEN) == []


@pytest.mark.parametrize(
    "call",
    [
        Call("sqs:DeleteMessage", QUEUE),
        Call("sqs:SendMessage", QUEUE + "2"),
        Call("dynamodb:GetItem", TABLE, "message#1"),
        Call("dynamodb:Query", TABLE, "event#1"),
    ],
    ids=["action", "resource", "key", "table for index"],
)
def test_a_call_that_is_not_allowed_is_missing(call: Any) -> None:
    assert missing(allowed([DOCUMENT]), SEEN | {call}) == [call]


@pytest.mark.parametrize(
    ("not_called", "found"),
    [
        (Call("sqs:SendMessage", QUEUE), {("sqs:SendMessage", QUEUE, "*")}),
        (
            Call("dynamodb:GetItem", TABLE, "event#1"),
            {
                ("dynamodb:GetItem", TABLE, "*"),
                ("dynamodb:GetItem", TABLE, "event#*"),
                ("dynamodb:PutItem", TABLE, "event#*"),
            },
        ),
        (
            Call("dynamodb:Query", f"{TABLE}/index/by_day", "day#1"),
            {("dynamodb:Query", f"{TABLE}/index/*", "*")},
        ),
    ],
    ids=["action", "action and key", "index"],
)
def test_what_is_not_called_is_spare(not_called: Any, found: Any) -> None:
    assert set(spare("ack", allowed([DOCUMENT]), SEEN - {not_called})) == found


def test_an_exception_holds_for_its_function_alone() -> None:
    permission = Allowed("sqs:SendMessage", "arn:aws:sqs:us-east-1:0:s-PublishDeadLetterQueue-1")
    assert spare("publish", [permission], []) == []
    assert spare("store", [permission], []) == [(*permission[:2], "*")]


def test_an_exception_that_nothing_needs_is_told() -> None:
    assert useless_exceptions({"ack": allowed([DOCUMENT])})


def record(service: str, name: str, request: dict[str, Any]) -> dict[str, Any]:
    told = {
        "eventSource": f"{service}.amazonaws.com",
        "eventName": name,
        "requestParameters": request,
        "recipientAccountId": "000000000000",
    }
    return {"CloudTrailEvent": json.dumps(told)}


@pytest.mark.parametrize(
    ("service", "name", "request_", "found"),
    [
        (
            "sqs",
            "SendMessageBatch",
            {"QueueUrl": "http://127.0.0.1/000000000000/q"},
            {Call("sqs:SendMessage", QUEUE)},
        ),
        (
            "sns",
            "POST.sns",
            {"Action": "PublishBatch", "TopicArn": "arn:topic"},
            {Call("sns:Publish", "arn:topic")},
        ),
        (
            "dynamodb",
            "BatchGetItem",
            {"RequestItems": {"t": {"Keys": [{"pk": {"S": "a#1"}}, {"pk": {"S": "b#1"}}]}}},
            {
                Call("dynamodb:BatchGetItem", TABLE, "a#1"),
                Call("dynamodb:BatchGetItem", TABLE, "b#1"),
            },
        ),
        (
            "dynamodb",
            "TransactWriteItems",
            {"TransactItems": [{"Put": {"TableName": "t", "Item": {"pk": {"S": "a#1"}}}}]},
            {Call("dynamodb:PutItem", TABLE, "a#1")},
        ),
        (
            "dynamodb",
            "Query",
            {
                "TableName": "t",
                "IndexName": "by_day",
                "KeyConditionExpression": "(#0 = :0 AND #1 < :1)",
                "ExpressionAttributeValues": {":0": {"S": "day#1"}, ":1": {"S": "x"}},
            },
            {Call("dynamodb:Query", f"{TABLE}/index/by_day", "day#1")},
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_record_is_read_as_what_iam_is_asked(
    service: str, name: str, request_: dict[str, Any], found: Any
) -> None:
    assert calls(record(service, name, request_), "us-east-1") == found


def test_two_functions_have_two_keys() -> None:
    one = {"FunctionName": "one", "FunctionArn": "arn:one", "Role": "arn:role"}
    two = {**one, "FunctionName": "two", "FunctionArn": "arn:two"}
    assert sorted(session_keys([one, two], "secret").values()) == ["one", "two"]


def policy_change(action: str, at: float, effect: str = "Deny", role: str = "r") -> dict[str, Any]:
    document = {"PolicyDocument": json.dumps({"Statement": [{"Effect": effect}]})}
    request = {"Action": action, "RoleName": role, "PolicyName": "outage"}
    return record("iam", "POST.iam", request | document) | {"EventTime": at}


def test_an_outage_lasts_from_the_denial_to_its_end() -> None:
    rows = [
        policy_change("DeleteRolePolicy", 9.0),  # newest first, as they are told
        policy_change("PutRolePolicy", 5.0),
        policy_change("PutRolePolicy", 4.0, role="another"),
        policy_change("DeleteRolePolicy", 3.0),
        policy_change("PutRolePolicy", 2.0, effect="Allow"),
    ]
    assert outages(rows, "r") == [(5.0, 9.0 + LATE_SECONDS)]
