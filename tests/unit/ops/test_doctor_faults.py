"""Each check of doctor finds a fault: a table, in which no check may be missing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from ops.doctor import probes
from ops.doctor.checks import CHECKS
from ops.doctor.command import outcome
from ops.doctor.deployment import template
from tests.unit.ops.deployments import TOPIC, FakeStack, arn

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.ops.servers import Server

    type Fault = Callable[[FakeStack, Server], None]

BY_NAME = {check.name: check for check in CHECKS}
WARNS = {"skycore-limits"}  # what it finds is never a problem
STREAM = arn("dynamodb", "table/skycore-Table-1/stream/1")


def failed_deployment(stack: FakeStack, _: Server) -> None:
    stack.status = "UPDATE_ROLLBACK_COMPLETE"


def no_limits(stack: FakeStack, _: Server) -> None:
    stack.limits = type(stack.limits)(0, 0, 0, 20)


def clock_of_another_year(stack: FakeStack, _: Server) -> None:
    date = {"HTTPHeaders": {"date": "Thu, 01 Jan 2026 00:00:00 GMT"}}
    answer = {"Stacks": [], "ResponseMetadata": date}
    stack.answers("cloudformation", "describe_stacks", answer)


def no_time_to_live(stack: FakeStack, _: Server) -> None:
    answer = {"TimeToLiveDescription": {"TimeToLiveStatus": "DISABLED"}}
    stack.answers("dynamodb", "describe_time_to_live", answer)


def no_recovery(stack: FakeStack, _: Server) -> None:
    backups = {"ContinuousBackupsStatus": "ENABLED"}
    answer = {"ContinuousBackupsDescription": backups}
    stack.answers("dynamodb", "describe_continuous_backups", answer)
    stack.answers("dynamodb", "describe_table", {"Table": {}})


def public_bucket(stack: FakeStack, _: Server) -> None:
    stack.resources["MediaBucket"] = ("AWS::S3::Bucket", "skycore-mediabucket-1")
    stack.refuses("s3", "get_public_access_block", "NoSuchPublicAccessBlockConfiguration")


def bucket_without_lifecycle(stack: FakeStack, _: Server) -> None:
    stack.resources["MediaBucket"] = ("AWS::S3::Bucket", "skycore-mediabucket-1")
    code = "NoSuchLifecycleConfiguration"
    stack.refuses("s3", "get_bucket_lifecycle_configuration", code)


def table(**changes: Any) -> Fault:
    def fault(stack: FakeStack, _: Server) -> None:
        properties = template()["Resources"]["Table"]["Properties"]
        names = [row["IndexName"] for row in properties["GlobalSecondaryIndexes"]]
        whole = {
            "GlobalSecondaryIndexes": [
                {"IndexName": name, "IndexStatus": "ACTIVE"} for name in names
            ],
            "StreamSpecification": {"StreamEnabled": True, **properties["StreamSpecification"]},
        }
        stack.answers("dynamodb", "describe_table", {"Table": {**whole, **changes}})

    return fault


def secret(name: str, value: str, *, described: bool = False) -> Fault:
    def fault(stack: FakeStack, _: Server) -> None:
        stack.resources[name] = ("AWS::SecretsManager::Secret", "secret")
        if described:
            stages = {"VersionIdsToStages": {"v" * 32: ["AWSCURRENT"]}}
            stack.answers("secretsmanager", "describe_secret", stages)
        stack.answers("secretsmanager", "get_secret_value", {"SecretString": value})

    return fault


def queue_policy(name: str, **changes: Any) -> Fault:
    """A queue whose policy has one statement beside the template's."""

    def fault(stack: FakeStack, _: Server) -> None:
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arn("sqs", f"skycore-{name}-1"),
            "Condition": {"ArnEquals": {"aws:SourceArn": TOPIC}},
        }
        kept = [statement] if name == "EventQueue" else []
        statements = [*kept, {**statement, **changes}]
        stack.has_queue(name, Policy=json.dumps({"Statement": statements}))

    return fault


def plain_http(stack: FakeStack, _: Server) -> None:
    stack.has_queue("SendQueue")
    stack.answers("sns", "get_topic_attributes", {"Attributes": {}})


def no_event_subscription(stack: FakeStack, _: Server) -> None:
    stack.has_queue("EventQueue")
    stack.has_queue("EventDeadLetterQueue")
    stack.answers("sns", "list_subscriptions_by_topic", {"Subscriptions": []})


def redrive_to(target: str | None) -> Fault:
    def fault(stack: FakeStack, _: Server) -> None:
        redrive = {"RedrivePolicy": json.dumps({"deadLetterTargetArn": target})} if target else {}
        stack.has_queue("SendQueue", **redrive)
        stack.has_queue("SendDeadLetterQueue")

    return fault


def failed_function(stack: FakeStack, _: Server) -> None:
    stack.has_functions("SendFunction", State="Failed", StateReason="no subnet")


def no_variables(stack: FakeStack, _: Server) -> None:
    stack.has_functions("AckFunction", Environment={"Variables": {}})


def dispatch_is_stopped(stack: FakeStack, _: Server) -> None:
    stack.has_functions("DispatchFunction")
    stack.answers("lambda", "get_function_recursion_config", {"RecursiveLoop": "Terminate"})


def text_logs(stack: FakeStack, _: Server) -> None:
    stack.has_functions("AckFunction", LoggingConfig={"LogFormat": "Text"})


def no_log_group(stack: FakeStack, _: Server) -> None:
    stack.resources["AckLogs"] = ("AWS::Logs::LogGroup", "/aws/lambda/skycore-ack")
    stack.answers("logs", "describe_log_groups", {"logGroups": []})


def source(**more: Any) -> Fault:
    def fault(stack: FakeStack, _: Server) -> None:
        stack.has_event_source("DispatchFunctionQueue", "DispatchFunction", "SendQueue", **more)

    return fault


def stream_without_end(stack: FakeStack, _: Server) -> None:
    stack.has_queue("PublishDeadLetterQueue")
    stack.has_event_source("S", "PublishFunction", "", EventSourceArn=STREAM)


def short_visibility(stack: FakeStack, server: Server) -> None:
    source()(stack, server)
    stack.has_queue("SendQueue", VisibilityTimeout="30")
    stack.has_functions("DispatchFunction")


def small_quota(stack: FakeStack, server: Server) -> None:
    answer = {"AccountLimit": {"ConcurrentExecutions": 10}}
    stack.answers("lambda", "get_account_settings", answer)
    source(ScalingConfig={"MaximumConcurrency": 12})(stack, server)


def stage(**found: Any) -> Fault:
    def fault(stack: FakeStack, _: Server) -> None:
        stack.answers("apigateway", "get_stage", {"methodSettings": {}, **found})

    return fault


def old_deployment(stack: FakeStack, _: Server) -> None:
    rows = [{"id": "new", "createdDate": "2026-02-01"}, {"id": "old", "createdDate": "2026-01-01"}]
    stack.answers("apigateway", "get_deployments", {"items": rows})
    stack.answers("apigateway", "get_stage", {"deploymentId": "old"})


def open_route(stack: FakeStack, _: Server) -> None:
    method = {"POST": {"authorizationType": "NONE"}}
    rows = [{"id": "r", "path": "/messages", "resourceMethods": method}]
    stack.answers("apigateway", "get_resources", {"items": rows})


def closed_api(stack: FakeStack, _: Server) -> None:
    stack.answers("apigateway", "get_rest_api", {})


def gateway_responses(**changes: Any) -> Fault:
    """The template's gateway responses, with changes in THROTTLED."""

    def fault(stack: FakeStack, _: Server) -> None:
        rows = []
        for kind, expected in template()["Resources"]["Api"]["Properties"][
            "GatewayResponses"
        ].items():
            headers = expected.get("ResponseParameters", {}).get("Headers", {})
            row = {
                "responseType": kind,
                "defaultResponse": False,
                "statusCode": str(expected.get("StatusCode", 400)),
                "responseTemplates": expected["ResponseTemplates"],
                "responseParameters": {
                    f"gatewayresponse.header.{name}": value for name, value in headers.items()
                },
            }
            rows.append({**row, **(changes if kind == "THROTTLED" else {})})
        stack.answers("apigateway", "get_gateway_responses", {"items": rows})

    return fault


def no_web_acl(stack: FakeStack, server: Server) -> None:
    stack.parameters["WebAclArn"] = arn("wafv2", "regional/webacl/mine/1")
    stage()(stack, server)


def open_endpoint(stack: FakeStack, _: Server) -> None:
    stack.parameters["DisableDefaultEndpoint"] = "on"
    stack.answers("apigateway", "get_rest_api", {})


def alarm(*found: dict[str, Any]) -> Fault:
    def fault(stack: FakeStack, _: Server) -> None:
        stack.parameters["AlarmTopicArn"] = TOPIC
        stack.resources["AckErrorsAlarm"] = ("AWS::CloudWatch::Alarm", "a")
        rows = [{"AlarmName": "a", **row} for row in found]
        stack.answers("cloudwatch", "describe_alarms", {"MetricAlarms": rows})

    return fault


def no_alarm_topic(stack: FakeStack, _: Server) -> None:
    stack.parameters["AlarmTopicArn"] = TOPIC
    stack.refuses("sns", "get_topic_attributes", "NotFound")


def another_host(stack: FakeStack, server: Server) -> None:
    stack.api_url = server.url
    server.answers(404, {"message": "another's"})


def crashing_function(stack: FakeStack, _: Server) -> None:
    stack.calls = dict.fromkeys(
        ("/messages", "/messages/batch", "/messages/doctor"), (502, {"code": "gateway_failure"})
    )


def refused_key(stack: FakeStack, _: Server) -> None:
    stack.resources["ApiKey"] = ("AWS::SecretsManager::Secret", "key")
    stages = {"VersionIdsToStages": {"v" * 32: ["AWSCURRENT"]}}
    stack.answers("secretsmanager", "describe_secret", stages)
    refusal = {"code": "skycore_account", "skycore_code": "E104"}
    stack.calls = {probes.READ_ACTION: (502, refusal)}


def refused_postback(stack: FakeStack, server: Server) -> None:
    server.answers(404, {"code": "message_not_found"})
    stack.api_url, stack.postback_url = server.url, f"{server.url}/postbacks/token"
    secret("PostbackToken", "token")(stack, server)
    stack.refuses("secretsmanager", "get_secret_value", "ResourceNotFoundException")
    stack.answers("sqs", "list_queues", {})
    stack.answers("sqs", "create_queue", {"QueueUrl": "queue"})
    stack.answers("sns", "subscribe", {"SubscriptionArn": f"{TOPIC}:1"})
    stack.answers("sns", "unsubscribe", {})
    stack.answers("sqs", "delete_queue", {})


OTHER_TOPIC = {"Condition": {"ArnEquals": {"aws:SourceArn": f"{TOPIC}-of-another-stack"}}}

FAULTS: tuple[tuple[str, str, Fault], ...] = (
    # the check, words of its finding, and what is wrong
    ("stack", "the stack is UPDATE_ROLLBACK_COMPLETE", failed_deployment),
    ("skycore-limits", "MaxCallsPerSecond, -Minute and -Day are 0", no_limits),
    ("clock", "this machine's clock is", clock_of_another_year),
    ("time-to-live", "is DISABLED", no_time_to_live),
    ("recovery", "point-in-time recovery is None", no_recovery),
    ("media-bucket", "the bucket of inbound MMS may be made public", public_bucket),
    ("media-expiry", "are kept for ever, not 90 days", bucket_without_lifecycle),
    ("table", "index by_day of the table is not active", table(GlobalSecondaryIndexes=[])),
    (
        "table",
        "index by_state of the table is not active",
        table(GlobalSecondaryIndexes=[{"IndexName": "by_state", "IndexStatus": "CREATING"}]),
    ),
    (
        "table",
        "the table's stream is not NEW_AND_OLD_IMAGES",
        table(StreamSpecification={"StreamEnabled": False}),
    ),
    ("api-key", "no usable Skycore API key", secret("ApiKey", "two words", described=True)),
    ("postback-token", "not 48 letters and digits", secret("PostbackToken", "t" * 47)),
    ("postback-token", "not 48 letters and digits", secret("PostbackToken", "t" * 47 + "/")),
    ("queue-policies", "allows more than", queue_policy("SendQueue", Principal="*")),
    ("queue-policies", "allows more than", queue_policy("EventQueue", Principal="*")),
    ("queue-policies", "allows more than", queue_policy("EventQueue", Action="sqs:*")),
    ("queue-policies", "allows more than", queue_policy("EventQueue", **OTHER_TOPIC)),
    ("queue-policies", "names another queue", queue_policy("EventQueue", Resource="another")),
    ("tls-only", "SendQueue accepts plain HTTP", plain_http),
    ("event-subscription", "the event queue is not subscribed", no_event_subscription),
    ("dead-letter-queues", "SendQueue has no dead-letter queue of this stack", redrive_to(None)),
    (
        "dead-letter-queues",
        "SendQueue has no dead-letter queue of this stack",
        redrive_to(arn("sqs", "another-stacks-SendDeadLetterQueue-1")),
    ),
    ("functions", "SendFunction is Failed: no subnet", failed_function),
    ("function-settings", "AckFunction has no variable TABLE_NAME", no_variables),
    ("recursion", "the recursion setting of DispatchFunction is Terminate", dispatch_is_stopped),
    ("log-format", "LogFormat is Text, not JSON", text_logs),
    ("log-groups", "log group /aws/lambda/skycore-ack is missing", no_log_group),
    ("event-sources", "DispatchFunctionQueue is Disabled", source(State="Disabled")),
    ("stream-retries", "S lets records expire without a dead letter", stream_without_end),
    ("visibility", "SendQueue hides messages for 30 s", short_visibility),
    ("maximum-concurrency", "has no MaximumConcurrency", source()),
    ("concurrency-quota", "the stack may use 12 concurrent executions", small_quota),
    ("stage", "ThrottlingRateLimit of * * is None, not 1000", stage()),
    ("stage", "the stage is traced", stage(tracingEnabled=True)),
    (
        "stage",
        "the access log holds the path",
        stage(accessLogSettings={"format": "$context.path"}),
    ),
    ("deployment", "the stage serves an older deployment", old_deployment),
    ("routes", "authorization of POST /messages is NONE", open_route),
    ("resource-policy", "allows no postbacks", closed_api),
    ("gateway-responses", "THROTTLED is not the template's", gateway_responses(statusCode="430")),
    (
        "gateway-responses",  # a Retry-After that callers wait by
        "THROTTLED is not the template's",
        gateway_responses(responseParameters={}),
    ),
    (
        "gateway-responses",
        "THROTTLED is not the template's",
        gateway_responses(responseParameters={"gatewayresponse.header.Retry-After": "'9'"}),
    ),
    ("web-acl", "the stage's web ACL is none", no_web_acl),
    ("domain", "the default endpoint is open", open_endpoint),
    ("alarms", "alarm a is missing", alarm()),
    (
        "alarms",
        "actions of alarm a are disabled",
        alarm({"ActionsEnabled": False, "AlarmActions": [TOPIC]}),
    ),
    (
        "alarms",
        f"alarm a does not notify {TOPIC}",
        alarm({"ActionsEnabled": True, "AlarmActions": []}),
    ),
    ("alarm-topic", "does not exist", no_alarm_topic),
    ("address", "does not answer as this stack's API", another_host),
    ("routes-answer", "POST /messages/batch answered 502 gateway_failure", crashing_function),
    ("skycore", "answered 502 E104", refused_key),
    ("postback", "a postback with the right token was answered 404, not 200", refused_postback),
)


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch) -> FakeStack:
    fake = FakeStack()
    monkeypatch.setattr(probes, "call", lambda stack, _, path, *__: stack.calls[path])
    return fake


@pytest.mark.parametrize(
    ("name", "words", "fault"), FAULTS, ids=[f"{name}: {words}" for name, words, _ in FAULTS]
)
def test_a_fault_is_found_with_what_to_do(
    stack: FakeStack, server: Server, name: Any, words: Any, fault: Any
) -> None:
    fault(stack, server)
    found = outcome(BY_NAME[name], stack.deployment())
    assert words in "\n".join(finding.detail for finding in found.findings)
    assert found.result == ("warning" if name in WARNS else "problem")
    assert all(finding.fix for finding in found.findings)
    for finding in found.findings:
        if "sam deploy" in finding.fix:
            assert "sam deploy --stack-name skycore --region us-east-1" in finding.fix


def test_every_check_has_a_fault_that_it_finds() -> None:
    assert {name for name, _, _ in FAULTS} == set(BY_NAME)


def test_the_templates_own_settings_are_no_fault(stack: FakeStack, server: Server) -> None:
    gateway_responses()(stack, server)
    table()(stack, server)
    secret("PostbackToken", "t" * 48)(stack, server)
    for name in ("gateway-responses", "table", "postback-token"):
        assert outcome(BY_NAME[name], stack.deployment()).result == "ok"


def test_the_templates_policies_and_dead_letter_queues_are_no_fault(
    stack: FakeStack, server: Server
) -> None:
    queue_policy("EventQueue")(stack, server)
    assert outcome(BY_NAME["queue-policies"], stack.deployment()).result == "ok"
    other = FakeStack()
    redrive_to(arn("sqs", "skycore-SendDeadLetterQueue-1"))(other, server)
    assert outcome(BY_NAME["dead-letter-queues"], other.deployment()).result == "ok"
