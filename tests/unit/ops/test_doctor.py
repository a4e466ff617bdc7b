"""The checks of doctor that the emulator cannot answer, against botocore's stubs."""

from __future__ import annotations

import json
from argparse import Namespace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError, TokenRetrievalError
from pynamodb.exceptions import GetError

from ops import __main__ as program
from ops.address import WRONG_TOKEN
from ops.doctor import (
    account,
    alarms,
    api,
    command,
    data,
    event_sources,
    functions,
    probes,
    queues,
)
from ops.doctor.checks import CHECKS
from ops.doctor.command import outcome
from ops.output import Refused
from ops.stack import Stack
from tests.unit.ops.deployments import FakeStack, arn, queue_url

if TYPE_CHECKING:
    from ops.doctor.check import Check, Finding, Outcome
    from tests.unit.ops.servers import Server

ROOT = Path(__file__).resolve().parents[3]
BY_NAME = {check.name: check for check in CHECKS}


def checked(name: str, stack: FakeStack) -> Outcome:
    return outcome(BY_NAME[name], stack.deployment())


def only(found: Outcome) -> Finding:
    (finding,) = found.findings
    return finding


@pytest.fixture
def stack() -> FakeStack:
    return FakeStack()


# --- Recursion -----------------------------------------------------------------------------------


def recursion(stack: FakeStack, **settings: str) -> Outcome:
    stack.has_functions(*settings)
    for setting in settings.values():
        stack.answers("lambda", "get_function_recursion_config", {"RecursiveLoop": setting})
    return checked("recursion", stack)


def test_dispatch_that_lambda_would_stop_is_a_problem(stack: FakeStack) -> None:
    found = only(recursion(stack, AckFunction="Terminate", DispatchFunction="Terminate"))
    assert "DispatchFunction is Terminate" in found.detail
    assert found.fix == (
        "aws lambda put-function-recursion-config --function-name skycore-DispatchFunction "
        "--recursive-loop Allow --region us-east-1"
    )


def test_store_that_lambda_would_stop_is_a_problem(stack: FakeStack) -> None:
    found = only(recursion(stack, StoreFunction="Terminate", DispatchFunction="Allow"))
    assert "StoreFunction is Terminate" in found.detail


def test_another_function_that_may_loop_is_a_problem(stack: FakeStack) -> None:
    found = only(recursion(stack, PublishFunction="Allow", DispatchFunction="Allow"))
    assert "PublishFunction is Allow" in found.detail


def test_the_recursion_settings_of_the_template_are_ok(stack: FakeStack) -> None:
    found = recursion(stack, AckFunction="Terminate", DispatchFunction="Allow")
    assert found.result == "ok"


# --- The bucket of kept media --------------------------------------------------------------------

PRIVATE = dict.fromkeys(
    ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"), True
)


def media_bucket(stack: FakeStack, blocked: dict[str, bool]) -> Outcome:
    stack.resources["MediaBucket"] = ("AWS::S3::Bucket", "skycore-mediabucket-1")
    if blocked:
        answer = {"PublicAccessBlockConfiguration": blocked}
        stack.answers("s3", "get_public_access_block", answer)
    else:
        stack.refuses("s3", "get_public_access_block", "NoSuchPublicAccessBlockConfiguration")
    return checked("media-bucket", stack)


def media_expiry(stack: FakeStack, days: int | None) -> Outcome:
    stack.resources["MediaBucket"] = ("AWS::S3::Bucket", "skycore-mediabucket-1")
    if days:
        rule = {"Status": "Enabled", "Expiration": {"Days": days}}
        stack.answers("s3", "get_bucket_lifecycle_configuration", {"Rules": [rule]})
    else:
        stack.refuses("s3", "get_bucket_lifecycle_configuration", "NoSuchLifecycleConfiguration")
    return checked("media-expiry", stack)


def test_a_bucket_as_the_template_has_it_is_ok(stack: FakeStack) -> None:
    assert media_bucket(stack, PRIVATE).result == "ok"
    assert media_expiry(stack, 90).result == "ok"


@pytest.mark.parametrize("blocked", [{}, {**PRIVATE, "BlockPublicPolicy": False}])
def test_a_bucket_that_may_be_made_public_is_a_problem(stack: FakeStack, blocked: Any) -> None:
    found = only(media_bucket(stack, blocked))
    assert "may be made public" in found.detail
    assert "BlockPublicPolicy=true" in found.fix


@pytest.mark.parametrize(("days", "words"), [(None, "kept for ever"), (30, "kept for 30 days")])
def test_files_that_do_not_expire_with_their_events_are_a_problem(
    stack: FakeStack, days: int | None, words: str
) -> None:
    assert words in only(media_expiry(stack, days)).detail


@pytest.mark.parametrize(("keep", "result"), [("on", "problem"), ("off", "ok")])
def test_the_event_source_of_media_is_off_only_with_keep_media_off(keep: str, result: str) -> None:
    stack = FakeStack(KeepMedia=keep)
    stack.has_event_source("FetchFunctionMedia", "FetchFunction", "MediaQueue", State="Disabled")
    assert checked("event-sources", stack).result == result


# --- Concurrency ---------------------------------------------------------------------------------


def concurrency(
    stack: FakeStack, quota: int, maximum: dict[str, int], reserved: dict[str, int]
) -> Outcome:
    names = ("AckFunction", "DispatchFunction")
    stack.answers("lambda", "get_account_settings", limits_of(quota))
    stack.has_functions(*names)
    for name in names:
        answer = {"ReservedConcurrentExecutions": reserved[name]} if name in reserved else {}
        stack.answers("lambda", "get_function_concurrency", answer)
    for name, most in maximum.items():
        scaling = {"ScalingConfig": {"MaximumConcurrency": most}}
        stack.has_event_source(name, "DispatchFunction", "SendQueue", **scaling)
    return checked("concurrency-quota", stack)


def limits_of(quota: int) -> dict[str, Any]:
    return {"AccountLimit": {"ConcurrentExecutions": quota}}


@pytest.mark.parametrize(
    ("quota", "maximum", "reserved", "words"),
    [
        (10, 12, {}, "may use 12 concurrent executions"),
        (10, 6, {"AckFunction": 5}, "may use 11 concurrent executions"),
        (10, 10, {}, "may use all 10 unreserved concurrent executions: none is left for ack"),
        (10, 5, {"AckFunction": 5}, "only 0 of 5"),
        (10, 9, {}, "only 1 of 10 unreserved"),
        (1000, 9, {"DispatchFunction": 4}, "may start 9 of DispatchFunction, which has 4"),
    ],
    ids=[
        "sources",
        "with reservation",
        "no room",
        "ack has its own",
        "little room",
        "over its own",
    ],
)
def test_concurrency_that_does_not_fit_is_found(
    stack: FakeStack, quota: int, maximum: int, reserved: dict[str, Any], words: str
) -> None:
    found = concurrency(stack, quota, {"DispatchFunctionQueue": maximum}, reserved)
    assert words in only(found).detail
    assert found.result == ("warning" if words.startswith("only") else "problem")


def test_concurrency_that_fits_is_ok(stack: FakeStack) -> None:
    found = concurrency(stack, 1000, {"DispatchFunctionQueue": 20}, {"AckFunction": 50})
    assert found.result == "ok"


SMALL = 2  # executions of store in the profile for small accounts, which keeps no media


def whole_stack(stack: FakeStack, quota: int, store: int, reserved: dict[str, int]) -> Outcome:
    """Everything that docs/limits.md#concurrency adds up, in an account with this quota."""
    stack.answers("lambda", "get_account_settings", limits_of(quota))
    names = ("AckFunction", "SendFunction", "SweepFunction")
    stack.has_functions(*names)
    for name in names:
        answer = {"ReservedConcurrentExecutions": reserved[name]} if name in reserved else {}
        stack.answers("lambda", "get_function_concurrency", answer)
    dispatch, factor = (2, 1) if store == SMALL else (40, 4)
    for name, most in (("Store", store), ("Publish", 2), ("Dispatch", dispatch), ("Fetch", 2)):
        more: dict[str, Any] = {"ScalingConfig": {"MaximumConcurrency": most}}
        if name == "Fetch" and store == SMALL:
            more["State"] = "Disabled"
        stack.has_event_source(f"{name}Queue", f"{name}Function", "", **more)
    stream = arn("dynamodb", "table/skycore-Table-1/stream/1")
    more = {"EventSourceArn": stream, "ParallelizationFactor": factor}
    stack.has_event_source("TableStream", "PublishFunction", "", **more)
    return checked("concurrency-quota", stack)


PROD = {"AckFunction": 50, "SendFunction": 30}


@pytest.mark.parametrize(
    ("column", "store", "reserved"), [(1, 10, {}), (2, 10, PROD), (3, 2, {})], ids=str
)
def test_the_sum_is_that_of_the_documentation(
    stack: FakeStack, column: int, store: int, reserved: Any
) -> None:
    page = (ROOT / "docs" / "limits.md").read_text().splitlines()
    (row,) = [line for line in page if line.startswith("| **sum** |")]
    total = int(row.split("|")[column + 1].strip(" *"))
    found = whole_stack(stack, total - 1, store, reserved)
    detail = only(found).detail
    assert f"may use {total} concurrent executions" in detail
    factor = 1 if store == SMALL else 4
    assert f"TableStream {factor}" in detail  # publish, for each shard
    assert "SweepFunction 1" in detail
    assert found.result == "problem"


def test_the_least_that_the_stack_takes_fits_into_a_quota_of_10_with_a_warning(
    stack: FakeStack,
) -> None:
    found = whole_stack(stack, 10, 2, {})
    assert "only 2 of 10 unreserved concurrent executions are left" in only(found).detail
    assert found.result == "warning"


def test_a_quota_that_is_too_small_is_to_be_raised_or_the_parameters_lowered(
    stack: FakeStack,
) -> None:
    fix = only(concurrency(stack, 10, {"DispatchFunctionQueue": 12}, {})).fix
    assert fix.startswith("aws service-quotas request-service-quota-increase --service-code lambda")
    assert fix.endswith(
        "until it is granted: sam deploy --stack-name skycore --region us-east-1 "
        "--parameter-overrides StoreMaximumConcurrency=2 DispatchMaximumConcurrency=2 "
        "PublishParallelization=1 SendReservedConcurrency=0 AckReservedConcurrency=0"
    )


def test_reservations_of_other_stacks_leave_less(stack: FakeStack) -> None:
    stack.answers(
        "lambda",
        "get_account_settings",
        {"AccountLimit": {"ConcurrentExecutions": 1000, "UnreservedConcurrentExecutions": 100}},
    )
    scaling = {"ScalingConfig": {"MaximumConcurrency": 100}}
    stack.has_event_source("DispatchFunctionQueue", "DispatchFunction", "SendQueue", **scaling)
    found = checked("concurrency-quota", stack)
    assert "may use all 100 unreserved" in only(found).detail


# --- The stream, TLS, network, domain ------------------------------------------------------------


def test_a_stream_that_loses_records_is_found(stack: FakeStack) -> None:
    stack.has_queue("PublishDeadLetterQueue")
    stream = arn("dynamodb", "table/skycore-Table-1/stream/1")
    stack.has_event_source(
        "S", "PublishFunction", "", EventSourceArn=stream, MaximumRetryAttempts=20
    )
    words = [finding.detail for finding in checked("stream-retries", stack).findings]
    assert len(words) == 4
    assert "no dead-letter queue" in words[0]
    assert "after 20 tries" in words[1]
    assert "expire without a dead letter" in words[2]
    assert "does not split" in words[3]


def test_the_streams_settings_of_the_template_are_ok(stack: FakeStack) -> None:
    stack.has_queue("PublishDeadLetterQueue")
    stack.has_event_source(
        "S",
        "PublishFunction",
        "",
        EventSourceArn=arn("dynamodb", "table/skycore-Table-1/stream/1"),
        DestinationConfig={
            "OnFailure": {"Destination": arn("sqs", "skycore-PublishDeadLetterQueue-1")}
        },
        MaximumRetryAttempts=-1,
        MaximumRecordAgeInSeconds=85_800,
        BisectBatchOnFunctionError=True,
    )
    assert checked("stream-retries", stack).result == "ok"


def policy(value: str) -> str:
    return json.dumps(
        {
            "Statement": [
                {
                    "Effect": "Deny",
                    "Principal": "*",
                    "Action": "sqs:*",
                    "Resource": "*",
                    "Condition": {"Bool": {"aws:SecureTransport": value}},
                }
            ]
        }
    )


@pytest.mark.parametrize(
    ("queue", "topic", "words"),
    [
        ({}, policy("false"), "SendQueue accepts plain HTTP"),
        ({"Policy": policy("true")}, policy("false"), "SendQueue accepts plain HTTP"),
        ({"Policy": policy("false")}, policy("true"), "the event topic accepts plain HTTP"),
    ],
    ids=["no policy", "another condition", "topic"],
)
def test_plain_http_is_found(stack: FakeStack, queue: Any, topic: Any, words: str) -> None:
    stack.has_queue("SendQueue", **queue)
    stack.answers("sns", "get_topic_attributes", {"Attributes": {"Policy": topic}})
    assert words in only(checked("tls-only", stack)).detail


def test_tls_only_policies_are_ok(stack: FakeStack) -> None:
    stack.has_queue("SendQueue", Policy=policy("false"))
    stack.answers("sns", "get_topic_attributes", {"Attributes": {"Policy": policy("false")}})
    assert checked("tls-only", stack).result == "ok"


def test_an_idle_vpc_function_is_a_warning(stack: FakeStack) -> None:
    stack.has_functions("SendFunction", State="Inactive")
    found = checked("functions", stack)
    assert found.result == "warning"
    assert "SendFunction is inactive" in only(found).detail


def test_a_failed_update_of_a_function_is_found(stack: FakeStack) -> None:
    stack.has_functions(
        "SendFunction", LastUpdateStatus="Failed", LastUpdateStatusReason="no subnet"
    )
    assert "no subnet" in only(checked("functions", stack)).detail


@pytest.mark.parametrize(("rate", "result"), [(70.0, "ok"), (1000.0, "problem")])
def test_the_stage_has_the_rate_that_the_parameters_choose(rate: float, result: str) -> None:
    stack = FakeStack(PostbackRequestsPerSecond="70", PostbackBurst="40")
    settings = {
        "*/*": {"throttlingRateLimit": 1000.0, "throttlingBurstLimit": 500},
        "postbacks/{item}/POST": {
            "throttlingRateLimit": rate,
            "throttlingBurstLimit": 40,
            "metricsEnabled": True,
        },
        "messages/batch/POST": {"throttlingRateLimit": 50.0, "throttlingBurstLimit": 50},
    }
    stack.answers("apigateway", "get_stage", {"methodSettings": settings})
    found = checked("stage", stack)
    assert found.result == result
    assert result == "ok" or "is 1000.0, not 70" in only(found).detail


def test_a_missing_web_acl_is_found() -> None:
    acl = arn("wafv2", "regional/webacl/mine/1")
    stack = FakeStack(WebAclArn=acl)
    stack.answers("apigateway", "get_stage", {"methodSettings": {}})
    found = only(checked("web-acl", stack))
    assert "web ACL is none" in found.detail
    assert found.fix.startswith(f"aws wafv2 associate-web-acl --web-acl-arn {acl}")


def web_acl(*, samples: bool = False, rule_samples: bool = False) -> dict[str, Any]:
    def visibility(on: bool) -> dict[str, Any]:
        return {"SampledRequestsEnabled": on, "CloudWatchMetricsEnabled": True, "MetricName": "m"}

    rule = {
        "Name": "by-address",
        "Priority": 0,
        "Statement": {"RateBasedStatement": {"Limit": 100, "AggregateKeyType": "IP"}},
        "VisibilityConfig": visibility(rule_samples),
    }
    return {
        "WebACL": {
            "Name": "mine",
            "Id": "1",
            "ARN": arn("wafv2", "regional/webacl/mine/1"),
            "DefaultAction": {"Allow": {}},
            "Rules": [rule],
            "VisibilityConfig": visibility(samples),
        }
    }


@pytest.mark.parametrize(
    ("acl", "redacted", "words"),
    [
        (web_acl(), [{"UriPath": {}}], None),
        (web_acl(), None, None),  # no logs at all
        (web_acl(), [], "the logs of web ACL mine hold the path"),
        (web_acl(), [{"QueryString": {}}], "the logs of web ACL mine hold the path"),
        (web_acl(samples=True), None, "web ACL mine samples requests (mine)"),
        (web_acl(rule_samples=True), None, "web ACL mine samples requests (by-address)"),
    ],
)
@pytest.mark.parametrize("parameter", ["WebAclArn", "PostbackRateLimit"])
def test_a_web_acl_that_records_the_path_with_the_token_is_found(
    acl: Any, redacted: Any, words: str | None, parameter: str
) -> None:
    own = acl["WebACL"]["ARN"]
    stack = FakeStack(**{parameter: own if parameter == "WebAclArn" else "2000"})
    stack.answers("apigateway", "get_stage", {"methodSettings": {}, "webAclArn": own})
    stack.answers("wafv2", "get_web_acl", acl)
    if redacted is None:
        stack.refuses("wafv2", "get_logging_configuration", "WAFNonexistentItemException")
    else:
        logs = {"ResourceArn": own, "LogDestinationConfigs": ["x" * 20], "RedactedFields": redacted}
        stack.answers("wafv2", "get_logging_configuration", {"LoggingConfiguration": logs})
    found = checked("web-acl", stack)
    if words is None:
        assert found.result == "ok"
    else:
        assert words in only(found).detail


def test_a_rate_limit_without_its_web_acl_is_found() -> None:
    stack = FakeStack(PostbackRateLimit="2000")
    stack.answers("apigateway", "get_stage", {"methodSettings": {}})
    assert "no web ACL" in only(checked("web-acl", stack)).detail


def domain(status: str, policy_: str, *, disabled: bool) -> Outcome:
    stack = FakeStack(DomainName="sms.example.com", DisableDefaultEndpoint="on")
    answer = {"domainNameStatus": status, "securityPolicy": policy_}
    stack.answers("apigateway", "get_domain_name", answer)
    stack.answers("apigateway", "get_rest_api", {"disableExecuteApiEndpoint": disabled})
    return checked("domain", stack)


def test_an_open_default_endpoint_is_found() -> None:
    found = only(domain("AVAILABLE", "TLS_1_2", disabled=False))
    assert "the default endpoint is open" in found.detail


def test_a_domain_that_is_not_ready_or_takes_old_tls_is_found() -> None:
    found = domain("UPDATING", "TLS_1_0", disabled=True)
    assert [finding.detail.split()[4] for finding in found.findings] == ["UPDATING", "TLS_1_0"]


def test_a_domain_as_the_parameters_say_is_ok() -> None:
    assert domain("AVAILABLE", "TLS_1_2", disabled=True).result == "ok"


def route(stack: FakeStack, method: dict[str, Any]) -> Outcome:
    rows = [{"id": "r", "path": "/messages", "resourceMethods": {"POST": method}}]
    stack.answers("apigateway", "get_resources", {"items": rows})
    return checked("routes", stack)


def test_a_route_that_needs_more_of_its_callers_is_found(stack: FakeStack) -> None:
    user = {"credentials": "arn:aws:iam::*:user/*"}
    found = route(stack, {"authorizationType": "AWS_IAM", "methodIntegration": user})
    assert "callers need lambda:InvokeFunction" in only(found).detail


def test_a_route_without_a_signature_is_found(stack: FakeStack) -> None:
    found = only(route(stack, {"authorizationType": "NONE", "methodIntegration": {}}))
    assert found.detail == "authorization of POST /messages is NONE, not AWS_IAM"


@pytest.mark.parametrize(("served", "result"), [("old", "problem"), ("new", "ok")])
def test_a_change_that_did_not_reach_the_stage_is_found(
    stack: FakeStack, served: str, result: str
) -> None:
    rows = [
        {"id": "new", "createdDate": datetime(2026, 2, 1, tzinfo=UTC)},
        {"id": "old", "createdDate": datetime(2026, 1, 1, tzinfo=UTC)},
    ]
    stack.answers("apigateway", "get_deployments", {"items": rows})
    stack.answers("apigateway", "get_stage", {"deploymentId": served})
    assert checked("deployment", stack).result == result


def resource_policy(stack: FakeStack, *statements: dict[str, Any]) -> Outcome:
    # API Gateway returns the policy as the inside of a JSON string.
    text = json.dumps(json.dumps({"Statement": statements}))[1:-1]
    stack.answers("apigateway", "get_rest_api", {"policy": text})
    return checked("resource-policy", stack)


OPEN = {"Effect": "Allow", "Principal": "*", "Action": "execute-api:Invoke"}
POSTBACKS = {"Resource": arn("execute-api", "api1/v1/POST/postbacks/*")}


def denied(*addresses: str) -> dict[str, Any]:
    condition = {"NotIpAddress": {"aws:SourceIp": list(addresses)}}
    return {**OPEN, **POSTBACKS, "Effect": "Deny", "Condition": condition}


def test_an_api_policy_that_opens_more_is_found(stack: FakeStack) -> None:
    everything = {"Resource": arn("execute-api", "api1/v1/*")}
    found = resource_policy(stack, {**OPEN, **everything})
    assert "to everyone" in only(found).detail


def test_an_api_policy_with_other_addresses_is_found() -> None:
    stack = FakeStack(PostbackAllowedCidrs="192.0.2.0/24,198.51.100.0/24")
    found = resource_policy(stack, {**OPEN, **POSTBACKS}, denied("192.0.2.0/24"))
    assert "but the API's policy has 192.0.2.0/24" in only(found).detail


def test_an_api_policy_with_the_parameters_addresses_is_ok() -> None:
    stack = FakeStack(PostbackAllowedCidrs="192.0.2.0/24, 198.51.100.0/24")
    allowed = denied("192.0.2.0/24", "198.51.100.0/24")
    assert resource_policy(stack, {**OPEN, **POSTBACKS}, allowed).result == "ok"


# --- The API key ----------------------------------------------------------------------------------

KEY = "0123456789abcdef0123456789abcdef"


def key_of(stack: FakeStack, value: str) -> Outcome:
    stack.resources["ApiKey"] = ("AWS::SecretsManager::Secret", "key")
    stages = {"VersionIdsToStages": {"v" * 32: ["AWSCURRENT"]}}
    stack.answers("secretsmanager", "describe_secret", stages)
    stack.answers("secretsmanager", "get_secret_value", {"SecretString": value})
    return checked("api-key", stack)


@pytest.mark.parametrize(
    "value",
    [
        KEY,
        json.dumps({"api_key": KEY}),
        json.dumps({"user": "acme", "password": "p"}),
        json.dumps({"api_key": KEY, "owner": "the functions ignore this"}),
    ],
)
def test_what_the_functions_can_use_is_a_key(stack: FakeStack, value: Any) -> None:
    assert key_of(stack, value).result == "ok"


@pytest.mark.parametrize(
    "value", ["two words", "{", "{}", '{"user": "acme"}', '["key"]', '{"api_key": "a b"}', " "]
)
def test_what_the_functions_cannot_use_is_found_and_not_shown(stack: FakeStack, value: str) -> None:
    finding = only(key_of(stack, value))
    assert finding.detail == "the secret holds no usable Skycore API key"
    assert finding.fix == "python -m ops --stack skycore set-key"


# --- Alarms ---------------------------------------------------------------------------------------

ALARM_TOPIC = arn("sns", "alarms")


def subscribed(*arns: str) -> Outcome:
    stack = FakeStack(AlarmTopicArn=ALARM_TOPIC)
    rows = [{"SubscriptionArn": one, "Endpoint": "me"} for one in arns]
    stack.answers("sns", "get_topic_attributes", {"Attributes": {}})
    stack.answers("sns", "list_subscriptions_by_topic", {"Subscriptions": rows})
    return checked("alarm-topic", stack)


@pytest.mark.parametrize("arns", [(), ("PendingConfirmation",)], ids=["nobody", "pending"])
def test_alarms_that_nobody_gets_are_found(arns: Any) -> None:
    assert "no confirmed subscription" in only(subscribed(*arns)).detail


def test_a_confirmed_subscription_is_ok() -> None:
    assert subscribed("PendingConfirmation", f"{ALARM_TOPIC}:1").result == "ok"


def test_an_alarm_topic_that_is_gone_is_found() -> None:
    stack = FakeStack(AlarmTopicArn=ALARM_TOPIC)
    stack.refuses("sns", "get_topic_attributes", "NotFound")
    assert "does not exist" in only(checked("alarm-topic", stack)).detail


def test_an_alarm_topic_of_another_account_is_not_checked(stack: FakeStack) -> None:
    stack.parameters["AlarmTopicArn"] = "arn:aws:sns:us-east-1:210987654321:alarms"
    found = checked("alarm-topic", stack)  # and asks nothing of SNS, which has no answer here
    assert found.result == "not_checked"
    assert found.reason == "the topic belongs to account 210987654321, whose policy decides"


@pytest.mark.parametrize(
    ("key", "result"),
    [
        ("alias/aws/sns", "problem"),
        (arn("kms", "alias/aws/sns"), "problem"),
        (arn("kms", "key/1"), "ok"),
        ("alias/mine", "ok"),
    ],
)
def test_a_topic_whose_key_cloudwatch_may_not_use_is_found(key: Any, result: str) -> None:
    stack = FakeStack(AlarmTopicArn=ALARM_TOPIC)
    stack.answers("sns", "get_topic_attributes", {"Attributes": {"KmsMasterKeyId": key}})
    rows = [{"SubscriptionArn": f"{ALARM_TOPIC}:1", "Endpoint": "me"}]
    stack.answers("sns", "list_subscriptions_by_topic", {"Subscriptions": rows})
    found = checked("alarm-topic", stack)
    assert found.result == result
    if result == "problem":
        assert "no notification arrives" in only(found).detail
        assert "whose policy allows CloudWatch kms:Decrypt" in only(found).fix


def test_no_alarm_topic_is_a_warning(stack: FakeStack) -> None:
    assert checked("alarm-topic", stack).result == "warning"


# --- Account, clock, release ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ahead", "result"), [(0, "ok"), (50, "ok"), (-50, "ok"), (90, "problem"), (-90, "problem")]
)
def test_the_clock(stack: FakeStack, ahead: int, result: str) -> None:
    date = format_datetime(datetime.now(UTC) - timedelta(seconds=ahead), usegmt=True)
    answer = {"Stacks": [], "ResponseMetadata": {"HTTPHeaders": {"date": date}}}
    stack.answers("cloudformation", "describe_stacks", answer)
    found = checked("clock", stack)
    assert found.result == result
    if result == "problem":
        assert ("ahead of" if ahead > 0 else "behind") in only(found).detail


def test_limits_that_are_all_0_are_a_warning(stack: FakeStack) -> None:
    assert checked("skycore-limits", stack).result == "ok"
    stack.limits = type(stack.limits)(0, 0, 0, 20)
    assert checked("skycore-limits", stack).result == "warning"


@pytest.mark.parametrize("status", ["UPDATE_FAILED", "UPDATE_ROLLBACK_COMPLETE"])
def test_a_deployment_that_failed_is_found(stack: FakeStack, status: str) -> None:
    stack.status = status
    assert status in only(checked("stack", stack)).detail


def test_a_stack_of_another_release_is_found(stack: FakeStack) -> None:
    del stack.parameters["SilenceHours"]
    stack.parameters["OldParameter"] = ""
    assert "(OldParameter, SilenceHours)" in only(checked("stack", stack)).detail


# --- What may never be ok -------------------------------------------------------------------------


class Denied:
    """A client of which every call is refused, as for a login without rights."""

    class exceptions:  # noqa: N801 - as botocore names it
        NotFoundException = KeyError
        ResourceNotFoundException = KeyError

    def __init__(self, service: str) -> None:
        self.service = service

    def __getattr__(self, operation: str) -> Any:
        def refuse(*_: Any, **__: Any) -> Any:
            message = f"User: x is not authorized to perform: {self.service}:Right on resource: y"
            error: Any = {"Code": "AccessDeniedException", "Message": message}
            raise ClientError({"Error": error}, operation)

        return refuse


class DeniedStack(FakeStack):
    def __init__(self) -> None:
        super().__init__(AlarmTopicArn=ALARM_TOPIC, DomainName="a.example", WebAclArn="acl")
        kinds = {
            "AckFunction": ("AWS::Lambda::Function", "f"),
            "AckLogs": ("AWS::Logs::LogGroup", "g"),
            "SendQueue": ("AWS::SQS::Queue", queue_url("SendQueue")),
            "Source": ("AWS::Lambda::EventSourceMapping", "u"),
            "AckErrorsAlarm": ("AWS::CloudWatch::Alarm", "a"),
            "ApiKey": ("AWS::SecretsManager::Secret", "k"),
            "PostbackToken": ("AWS::SecretsManager::Secret", "t"),
            "MediaBucket": ("AWS::S3::Bucket", "b"),
        }
        self.resources |= kinds

    def client(self, service: str) -> Any:
        return Denied(service)


CALLS_NOTHING = {"stack", "skycore-limits"}


@pytest.mark.parametrize(
    "check",
    [check for check in CHECKS if not check.probes and check.name not in CALLS_NOTHING],
    ids=lambda check: check.name,
)
def test_what_aws_refuses_is_a_problem_that_names_the_right(check: Any) -> None:
    found = outcome(check, DeniedStack().deployment())
    assert found.result == "problem"
    assert ":Right" in only(found).detail
    assert "OperatorPolicy" in only(found).fix


def test_a_refusal_that_names_no_right_names_the_call(stack: FakeStack) -> None:
    stack.client("lambda")
    stack.stubs["lambda"].add_client_error("get_account_settings", "AccessDeniedException")
    found = only(checked("concurrency-quota", stack))
    assert "your login may not call GetAccountSettings" in found.detail


@pytest.mark.parametrize(
    "code",
    [
        "AccessDenied",
        "AccessDeniedException",
        "AuthorizationError",
        "AuthorizationErrorException",
        "ForbiddenException",
        "UnauthorizedOperation",
    ],
)
def test_every_code_of_a_missing_right_names_the_right(stack: FakeStack, code: str) -> None:
    stack.refuses("lambda", "get_account_settings", code)
    found = only(checked("concurrency-quota", stack))
    assert "your login may not call GetAccountSettings" in found.detail
    assert "OperatorPolicy" in found.fix


@pytest.mark.parametrize(
    "code",
    [
        "RequestLimitExceeded",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    ],
)
def test_a_call_that_aws_throttles_is_not_checked(stack: FakeStack, code: str) -> None:
    stack.refuses("lambda", "get_account_settings", code)
    found = checked("concurrency-quota", stack)
    assert (found.result, found.findings) == ("not_checked", ())
    assert found.reason == "AWS throttled the call; run it again"


def test_what_was_found_before_aws_throttled_stays_a_problem(stack: FakeStack) -> None:
    stack.has_functions("AckFunction", "DispatchFunction")
    config = {"RecursiveLoop": "Allow"}
    stack.answers("lambda", "get_function_recursion_config", config)
    stack.refuses("lambda", "get_function_recursion_config", "TooManyRequestsException")
    found = checked("recursion", stack)
    assert (found.result, len(found.findings)) == ("problem", 1)


@pytest.mark.parametrize(
    "code",
    [
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidClientTokenId",
        "UnrecognizedClientException",
    ],
)
def test_an_expired_login_ends_doctor_with_one_message(stack: FakeStack, code: str) -> None:
    stack.refuses("lambda", "get_account_settings", code)
    with pytest.raises(Refused, match="your AWS login has expired or is invalid: log in again"):
        checked("concurrency-quota", stack)
    error = ClientError({"Error": {"Code": code}}, "DescribeStacks")
    assert "log in again" in program._plainly(error)  # of the call before any check


def test_a_login_that_is_gone_ends_doctor_too(
    stack: FakeStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = TokenRetrievalError(provider="sso", error_msg="expired")
    monkeypatch.setattr(stack, "client", raising(error))
    with pytest.raises(Refused, match="log in again"):
        checked("concurrency-quota", stack)


def raising(error: Exception) -> Any:
    def call(*_: Any) -> Any:
        raise error

    return call


def test_a_resource_that_the_stack_lacks_is_said_in_its_own_words(
    stack: FakeStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = "skycore has no Api: it is a different release"
    monkeypatch.setattr(stack, "id_of", raising(Refused(words)))
    found = only(checked("deployment", stack))
    assert found.detail == f"cannot be checked: {words}"
    assert "network" not in found.fix


def test_a_table_that_refuses_a_read_names_the_right(
    stack: FakeStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = ClientError({"Error": {"Code": "AccessDeniedException"}}, "GetItem")
    monkeypatch.setattr(stack, "client", raising(GetError("failed", error)))
    assert "may not call GetItem" in only(checked("clock", stack)).detail


def test_a_value_that_is_no_whole_number_is_a_problem(stack: FakeStack) -> None:
    stack.parameters["LogRetentionDays"] = "1.5"
    found = only(checked("log-groups", stack))
    assert "a value is invalid" in found.detail
    assert "1.5" in found.detail


def test_a_limit_that_is_no_whole_number_is_named() -> None:
    described: Any = Namespace(name="skycore", parameters={"MaxCallsPerSecond": "1.5"})
    with pytest.raises(Refused, match=r"MaxCallsPerSecond of skycore is 1\.5"):
        Stack._whole(described, "MaxCallsPerSecond")


def test_an_event_retention_that_is_no_whole_number_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stack = {
        "Parameters": [{"ParameterKey": "EventRetentionDays", "ParameterValue": "1.5"}],
        "Outputs": [
            {"OutputKey": name, "OutputValue": "x"} for name in ("TableName", "EventTopicArn")
        ],
        "StackStatus": "CREATE_COMPLETE",
        "CreationTime": datetime.now(UTC),
    }
    monkeypatch.setattr(Stack, "_describe", lambda _: stack)
    with pytest.raises(Refused, match=r"EventRetentionDays of skycore is 1\.5"):
        Stack("skycore", ask=True)


def test_parameters_on_the_command_line_come_with_one_note(
    stack: FakeStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    args = Namespace(checks=["alarm-topic"], no_probe=True, wait=1)
    found = command.run(stack, args)  # type: ignore[arg-type]
    assert "replaces parameter_overrides of samconfig.toml" in found.data["note"]
    assert [str(line) for line in found.shown].count(found.data["note"]) == 1
    stack.parameters["AlarmTopicArn"] = "arn:aws:sns:us-east-1:210987654321:alarms"
    assert command.run(stack, args).data["note"] is None  # type: ignore[arg-type]


def test_another_error_of_aws_is_a_problem(stack: FakeStack) -> None:
    stack.client("lambda")
    stack.stubs["lambda"].add_client_error("get_account_settings", "ServiceException", "broken")
    assert "ServiceException: broken" in only(checked("concurrency-quota", stack)).detail


def test_a_stack_without_a_resource_is_told(stack: FakeStack) -> None:
    found = only(checked("event-subscription", stack))
    assert found.detail == "cannot be checked: the stack has no 'EventQueue'"


@pytest.mark.parametrize(
    "check", [check for check in CHECKS if check.only_aws], ids=lambda check: check.name
)
def test_what_the_emulator_cannot_answer_is_not_ok(stack: FakeStack, check: Any) -> None:
    stack.local = {}
    found = outcome(check, stack.deployment())
    assert (found.result, found.reason) == ("not_checked", check.only_aws)


def test_the_token_goes_to_no_address_that_is_not_the_stacks(
    stack: FakeStack, server: Server
) -> None:
    server.answers(404, {"message": "another's"})
    stack.api_url = server.url
    stack.postback_url = f"{server.url}/postbacks/{'t' * 48}"
    found = checked("postback", stack)
    assert found.result == "not_checked"
    assert [path for path in server.paths if WRONG_TOKEN not in path] == []
    assert "does not answer as this stack's API" in only(checked("address", stack)).detail


def test_an_address_that_lets_this_machine_not_through_is_no_ok(server: Server) -> None:
    stack = FakeStack(PostbackAllowedCidrs="192.0.2.0/24")
    stack.api_url = server.url
    server.answers(403, {"code": "forbidden"})
    assert checked("address", stack).result == "warning"
    assert checked("postback", stack).result == "not_checked"


def test_a_probe_is_not_taken_for_skycores_first_use_of_a_new_address(
    stack: FakeStack, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.answers(404, {"code": "message_not_found"})
    stack.api_url = server.url
    monkeypatch.setattr(probes, "tokens", lambda _: ("new", "old"))
    monkeypatch.setattr(probes, "fingerprint", str)
    monkeypatch.setattr(probes, "token_last_used", {"old": datetime.now(UTC)}.get)
    found = checked("postback", stack)
    assert found.result == "not_checked"
    assert "has not used the new address yet" in found.reason
    assert len(server.paths) == 1


def test_no_probe_calls_no_route(stack: FakeStack) -> None:
    results = {
        outcome(check, stack.deployment(), probe=False).reason for check in CHECKS if check.probes
    }
    assert results == {"--no-probe"}


# --- The table ------------------------------------------------------------------------------------


def test_names_are_unique_and_every_subject_is_in_the_table() -> None:
    assert len(BY_NAME) == len(CHECKS)
    for subject in (account, alarms, api, data, event_sources, functions, queues):
        assert set(subject.CHECKS) <= set(CHECKS)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_each_check_is_in_the_documentation(check: Check) -> None:
    assert f"`{check.name}`" in (ROOT / "docs" / "only-aws.md").read_text()
