"""What callers may do with the policy that is documented for them, and what TLS-only means."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError

from local.client import Client
from tests.template.conftest import Template

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.integration.conftest import Stack

USER = "caller-by-policy"


def output(stack: Stack, name: str) -> str:
    described = stack.admin("cloudformation").describe_stacks(
        StackName=stack.description["stack_name"]
    )
    (value,) = [
        row["OutputValue"] for row in described["Stacks"][0]["Outputs"] if row["OutputKey"] == name
    ]
    return str(value)


@pytest.fixture(scope="module")
def made_user(stack: Stack) -> Iterator[Callable[[str], dict[str, Any]]]:
    """Makes the description that a user with just this policy would have of the stack."""
    iam = stack.admin("iam")
    iam.create_user(UserName=USER)
    key = iam.create_access_key(UserName=USER)["AccessKey"]

    def with_policy(policy: str) -> dict[str, Any]:
        iam.put_user_policy(UserName=USER, PolicyName="only", PolicyDocument=policy)
        return {
            **stack.description,
            "access_key_id": key["AccessKeyId"],
            "secret_access_key": key["SecretAccessKey"],
        }

    yield with_policy
    iam.delete_user_policy(UserName=USER, PolicyName="only")
    iam.delete_access_key(UserName=USER, AccessKeyId=key["AccessKeyId"])
    iam.delete_user(UserName=USER)


ROUTES = [
    ("POST", "/messages", 201),
    ("POST", "/messages/batch", 202),
    ("GET", "/messages?to=17743199144", 200),
    ("GET", "/messages/{message_id}", 200),
    ("DELETE", "/messages/{message_id}", 409),
    ("POST", "/actions/subscribe", 422),
    ("GET", "/postbacks/unparsed", 200),
    ("GET", "/postbacks/nothing", 404),
]


def body_for(path: str, sms: dict[str, Any]) -> Any:
    return {"/messages": sms, "/messages/batch": {"messages": [sms]}}.get(path, {})


# Each printed policy, and the routes that it opens.
OPENED = {
    "SenderPolicy": {("POST", "/messages"), ("POST", "/messages/batch")},
    "ReaderPolicy": {("GET", "/messages?to=17743199144"), ("GET", "/messages/{message_id}")},
    "AdminPolicy": {(method, path) for method, path, _ in ROUTES},
}


@pytest.mark.parametrize("policy", OPENED)
def test_a_printed_policy_opens_its_routes_and_no_other(
    stack: Stack, made_user: Callable[[str], dict[str, Any]], sms: dict[str, Any], policy: str
) -> None:
    client = Client(made_user(output(stack, policy)))
    sent = stack.post("/messages", sms).json()
    for method, path, status in ROUTES:
        body = body_for(path, sms) if method == "POST" else None
        answer = client.request(method, path.format(**sent), body)
        expected = status if (method, path) in OPENED[policy] else 403
        assert answer.status_code == expected, (method, path, answer.text)


def test_the_policy_of_earlier_releases_is_enough_for_every_route(
    stack: Stack, made_user: Callable[[str], dict[str, Any]], sms: dict[str, Any]
) -> None:
    client = Client(made_user(output(stack, "CallerPolicy")))
    sent = stack.post("/messages", sms).json()
    for method, path, status in ROUTES:
        body = body_for(path, sms) if method == "POST" else None
        answer = client.request(method, path.format(**sent), body)
        assert answer.status_code == status, (method, path, answer.text)


@pytest.mark.parametrize(
    ("service", "call"),
    [
        ("sqs", lambda sqs, of: sqs.receive_message(QueueUrl=of["event_queue_url"])),
        ("sqs", lambda sqs, of: sqs.send_message(QueueUrl=of["send_queue_url"], MessageBody="{}")),
        ("sns", lambda sns, of: sns.publish(TopicArn=of["event_topic_arn"], Message="{}")),
        ("dynamodb", lambda table, of: table.scan(TableName=of["table_name"])),
        ("secretsmanager", lambda secrets, _: secrets.list_secrets()),
        ("lambda", lambda functions, _: functions.list_functions()),
        ("apigateway", lambda apis, _: apis.get_rest_apis()),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_it_is_enough_for_nothing_else(
    stack: Stack, made_user: Callable[[str], dict[str, Any]], service: Any, call: Any
) -> None:
    caller = made_user(output(stack, "AdminPolicy"))
    client = boto3.client(
        service,
        aws_access_key_id=caller["access_key_id"],
        aws_secret_access_key=caller["secret_access_key"],
        region_name=caller["region"],
        endpoint_url=caller["endpoint_url"],
    )
    with pytest.raises(ClientError) as refused:
        call(client, caller)
    assert "AccessDenied" in refused.value.response["Error"]["Code"] or (
        refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    )


def test_a_route_that_was_taken_out_of_the_policy_is_closed(
    stack: Stack, made_user: Callable[[str], dict[str, Any]], sms: dict[str, Any]
) -> None:
    policy = json.loads(output(stack, "AdminPolicy"))
    (statement,) = policy["Statement"]
    statement["Resource"] = [row for row in statement["Resource"] if "/GET/messages" in row]
    client = Client(made_user(json.dumps(policy)))
    assert client.request("GET", "/messages?to=17743199144").status_code == 200
    assert client.request("POST", "/messages", sms).status_code == 403
    assert client.request("GET", "/postbacks/unparsed").status_code == 403


def over_tls(client: Any) -> Any:
    """The client as if TLS had ended before the emulator, which knows it by this header."""

    def add(request: Any, **_: Any) -> None:
        request.headers["X-Forwarded-Proto"] = "https"

    client.meta.events.register("before-send.*", add)
    return client


def test_the_queues_policy_refuses_plain_http_and_nothing_else(stack: Stack) -> None:
    """The template's own policy: the stack's queues have it without effect, being local."""
    policies = Template().of_type("AWS::SQS::QueuePolicy")
    policy = json.dumps(policies["QueuePolicy"]["PolicyDocument"])
    sqs = stack.admin("sqs")
    url = sqs.create_queue(QueueName="tls-only", Attributes={"Policy": policy})["QueueUrl"]
    try:
        with pytest.raises(ClientError, match="AccessDenied"):
            sqs.send_message(QueueUrl=url, MessageBody="in the clear")
        over_tls(stack.new_admin("sqs")).send_message(QueueUrl=url, MessageBody="over TLS")
        found = over_tls(stack.new_admin("sqs")).receive_message(QueueUrl=url)["Messages"]
        assert [row["Body"] for row in found] == ["over TLS"]
    finally:
        over_tls(stack.new_admin("sqs")).delete_queue(QueueUrl=url)


def test_the_table_is_protected_as_the_parameters_say(stack: Stack) -> None:
    name = stack.description["table_name"]
    table = stack.admin("dynamodb")
    backups = table.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
    recovery = backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"]
    assert recovery == "ENABLED"
    assert table.describe_table(TableName=name)["Table"]["DeletionProtectionEnabled"] is True
    with pytest.raises(ClientError, match="protect"):
        table.delete_table(TableName=name)
