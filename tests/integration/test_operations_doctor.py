"""ops doctor on the deployed stack: it passes there, and finds the faults that are put into it.

tests/unit/ops/test_doctor_faults.py has a fault for every check, in process. Of the faults here,
make test keeps one of a queue and one of the API; make test-long puts all of them in.
"""

from __future__ import annotations

import json
import signal
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from local.simulator_process import API_KEY
from ops.doctor.checks import CHECKS
from tests.integration.conftest import ROOT, Stack
from tests.integration.operators import Ops, operator_with, terminal
from tests.integration.test_operations import changed
from tests.patience import PATIENCE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOT_HERE = {check.name for check in CHECKS if check.only_aws}
SHORT = ("--wait", "5")  # seconds; for probes that never arrive


def results(answer: dict[str, Any]) -> dict[str, str]:
    return {row["check"]: row["result"] for row in answer["checks"]}


def details(answer: dict[str, Any]) -> str:
    return "\n".join(found["detail"] for row in answer["checks"] for found in row["findings"])


def test_the_stack_is_well_and_what_the_emulator_cannot_answer_is_not_ok(
    stack: Stack, ops: Any
) -> None:
    answer = ops.json("doctor")
    found = results(answer)
    assert answer["problems"] == 0
    assert {name for name, result in found.items() if result == "not_checked"} == NOT_HERE
    assert {name for name, result in found.items() if result == "warning"} == {
        "skycore-limits",  # a local stack has none
        "alarm-topic",
    }
    assert set(found.values()) == {"ok", "warning", "not_checked"}
    # The probe is nobody's: no message, number or sender.
    event = stack.event(lambda event: str(event["data"]["mms_id"]).startswith("doctor-"))
    named = ("to", "from", "tracking_id", "message_id", "opt_out", "mobile", "email", "status")
    assert {name: event["data"][name] for name in named} == dict.fromkeys(named)
    assert left_behind(stack) == []


@pytest.mark.long
def test_each_line_says_what_holds_or_what_to_do(ops: Any) -> None:
    lines = ops.run("doctor", "--no-probe").stdout.splitlines()
    assert any(line.startswith("ok          api-key: ") for line in lines)
    assert (
        "not checked recursion: not checked here: the emulator ignores RecursiveLoop"
        in " ".join(lines)
    )
    (warning,) = [line for line in lines if line.startswith("warning     alarm-topic: ")]
    assert "do: sam deploy --stack-name " in warning
    assert " --parameter-overrides AlarmTopicArn=" in warning


@pytest.mark.long  # tests/unit/ops/test_usage_errors.py
def test_an_unknown_check_is_wrong_use(ops: Any) -> None:
    assert "no check nothing" in ops.run("doctor", "nothing", code=2).stderr


# --- Faults --------------------------------------------------------------------------------------


@contextmanager
def without_queue_policy(stack: Stack) -> Iterator[None]:
    with changed_policy(stack, "PostbackQueue", lambda _: ""):
        yield


@contextmanager
def two_queues_in_a_statement(stack: Stack) -> Iterator[None]:
    def both(policy: str) -> str:
        document = json.loads(policy)
        for statement in document["Statement"]:
            if statement["Effect"] == "Allow":
                arn = statement["Resource"]
                statement["Resource"] = [arn, arn.replace("EventQueue", "EventDeadLetterQueue")]
        return json.dumps(document)

    with changed_policy(stack, "EventQueue", both):
        yield


@contextmanager
def changed_policy(stack: Stack, queue: str, change: Callable[[str], str]) -> Iterator[None]:
    sqs, url = stack.admin("sqs"), stack.resource(queue)
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])
    kept = found["Attributes"]["Policy"]
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": change(kept)})
    try:
        yield
    finally:
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": kept})


@contextmanager
def short_visibility(stack: Stack) -> Iterator[None]:
    with changed(stack, "SendQueue", VisibilityTimeout="30"):
        yield


@contextmanager
def without_raw_delivery(stack: Stack) -> Iterator[None]:
    sns, arn = stack.admin("sns"), stack.resource("EventSubscription")

    def raw(value: str) -> None:
        sns.set_subscription_attributes(
            SubscriptionArn=arn, AttributeName="RawMessageDelivery", AttributeValue=value
        )

    raw("false")
    try:
        yield
    finally:
        raw("true")


@contextmanager
def source_changed(stack: Stack, name: str, change: dict[str, Any]) -> Iterator[None]:
    client, uuid = stack.admin("lambda"), stack.resource(name)
    found = client.get_event_source_mapping(UUID=uuid)
    kept = {
        "Enabled": True,
        "FunctionResponseTypes": found["FunctionResponseTypes"],
        "ScalingConfig": found["ScalingConfig"],
    }
    client.update_event_source_mapping(UUID=uuid, **change)
    try:
        yield
    finally:
        client.update_event_source_mapping(UUID=uuid, **kept)


def source(name: str, **change: Any) -> Callable[[Stack], Any]:
    return lambda stack: source_changed(stack, name, change)


@contextmanager
def without_key(stack: Stack) -> Iterator[None]:
    secrets, secret = stack.admin("secretsmanager"), stack.resource("ApiKey")
    stages = secrets.describe_secret(SecretId=secret)["VersionIdsToStages"]
    (current,) = [id_ for id_, names in stages.items() if "AWSCURRENT" in names]
    secrets.update_secret_version_stage(
        SecretId=secret, VersionStage="AWSCURRENT", RemoveFromVersionId=current
    )
    try:
        yield
    finally:
        restore_key(stack)


@contextmanager
def malformed_key(stack: Stack) -> Iterator[None]:
    secrets, secret = stack.admin("secretsmanager"), stack.resource("ApiKey")
    secrets.put_secret_value(SecretId=secret, SecretString="two words")
    try:
        yield
    finally:
        restore_key(stack)


def restore_key(stack: Stack) -> None:
    stack.admin("secretsmanager").put_secret_value(
        SecretId=stack.resource("ApiKey"), SecretString=json.dumps({"api_key": API_KEY})
    )


@contextmanager
def without_gateway_response(stack: Stack) -> Iterator[None]:
    client, api = stack.admin("apigateway"), stack.resource("Api")
    kept = client.get_gateway_response(restApiId=api, responseType="THROTTLED")
    client.delete_gateway_response(restApiId=api, responseType="THROTTLED")
    try:
        yield
    finally:
        client.put_gateway_response(
            restApiId=api,
            responseType="THROTTLED",
            statusCode=kept["statusCode"],
            responseParameters=kept["responseParameters"],
            responseTemplates=kept["responseTemplates"],
        )


@contextmanager
def other_rate(stack: Stack) -> Iterator[None]:
    client, api = stack.admin("apigateway"), stack.resource("Api")

    def rate(value: str) -> None:
        path = "/*/*/throttling/rateLimit"
        client.update_stage(
            restApiId=api,
            stageName="v1",
            patchOperations=[{"op": "replace", "path": path, "value": value}],
        )

    settings = client.get_stage(restApiId=api, stageName="v1")["methodSettings"]
    kept = settings["*/*"]["throttlingRateLimit"]
    rate("999")
    try:
        yield
    finally:
        rate(str(kept))


@contextmanager
def route_without_signature(stack: Stack) -> Iterator[None]:
    client, api = stack.admin("apigateway"), stack.resource("Api")
    items = client.get_resources(restApiId=api, limit=500)["items"]
    (resource,) = [row["id"] for row in items if row["path"] == "/postbacks/unparsed"]

    def authorize(value: str) -> None:
        client.update_method(
            restApiId=api,
            resourceId=resource,
            httpMethod="GET",
            patchOperations=[{"op": "replace", "path": "/authorizationType", "value": value}],
        )

    authorize("NONE")
    try:
        yield
    finally:
        authorize("AWS_IAM")


@contextmanager
def without_time_to_live(stack: Stack) -> Iterator[None]:
    client, table = stack.admin("dynamodb"), stack.description["table_name"]

    def enable(value: bool) -> None:
        specification = {"Enabled": value, "AttributeName": "expires"}
        client.update_time_to_live(TableName=table, TimeToLiveSpecification=specification)

    enable(False)
    try:
        yield
    finally:
        enable(True)


@contextmanager
def without_recovery(stack: Stack) -> Iterator[None]:
    client, table = stack.admin("dynamodb"), stack.description["table_name"]

    def enable(value: bool) -> None:
        client.update_continuous_backups(
            TableName=table,
            PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": value},
        )

    enable(False)
    try:
        yield
    finally:
        enable(True)


@contextmanager
def without_alarm(stack: Stack) -> Iterator[None]:
    client, name = stack.admin("cloudwatch"), stack.resource("AckErrorsAlarm")
    (kept,) = client.describe_alarms(AlarmNames=[name])["MetricAlarms"]
    client.delete_alarms(AlarmNames=[name])
    try:
        yield
    finally:
        settable = client.meta.service_model.operation_model("PutMetricAlarm").input_shape.members
        client.put_metric_alarm(**{key: kept[key] for key in kept if key in settable})


@contextmanager
def other_retention(stack: Stack) -> Iterator[None]:
    client, group = stack.admin("logs"), stack.resource("AckLogs")
    days = int(stack.description["parameters"]["LogRetentionDays"])
    client.put_retention_policy(logGroupName=group, retentionInDays=1)
    try:
        yield
    finally:
        client.put_retention_policy(logGroupName=group, retentionInDays=days)


@contextmanager
def function_changed(stack: Stack, name: str, change: dict[str, Any]) -> Iterator[None]:
    client, function = stack.admin("lambda"), stack.resource(name)
    found = client.get_function_configuration(FunctionName=function)
    kept = {key: found[key] for key in change}
    client.update_function_configuration(FunctionName=function, **change)
    try:
        yield
    finally:
        client.update_function_configuration(FunctionName=function, **kept)


def text_logs(stack: Stack) -> Any:
    logging = {"LogFormat": "Text", "LogGroup": stack.resource("MessagesLogs")}
    return function_changed(stack, "MessagesFunction", {"LoggingConfig": logging})


def ack_points_elsewhere(stack: Stack) -> Any:
    """Another address of the same queue, so that a late postback still arrives."""
    found = stack.admin("lambda").get_function_configuration(
        FunctionName=stack.resource("AckFunction")
    )
    variables = found["Environment"]["Variables"]
    elsewhere = variables["POSTBACK_QUEUE_URL"].replace("//localhost:", "//127.0.0.1:")
    assert elsewhere != variables["POSTBACK_QUEUE_URL"]
    changes = {"Variables": {**variables, "POSTBACK_QUEUE_URL": elsewhere}}
    return function_changed(stack, "AckFunction", {"Environment": changes})


FAULTS: dict[str, tuple[str, str, Callable[[Stack], Any]]] = {
    # what is wrong: the check, the words of its answer, and what makes it so
    "no queue policy": ("queue-policies", "PostbackQueue has no policy", without_queue_policy),
    "two queues in a statement": (
        "queue-policies",
        "EventQueue's policy names 2 queues",
        two_queues_in_a_statement,
    ),
    "visibility": ("visibility", "SendQueue hides messages for 30 s", short_visibility),
    "raw delivery": ("event-subscription", "raw delivery is off", without_raw_delivery),
    "event source off": (
        "event-sources",
        "event source StoreFunctionPostbacks is Disabled",
        source("StoreFunctionPostbacks", Enabled=False),
    ),
    "no failed items": (
        "event-sources",
        "StoreFunctionPostbacks has no ReportBatchItemFailures",
        source("StoreFunctionPostbacks", FunctionResponseTypes=[]),
    ),
    "no maximum": (
        "maximum-concurrency",
        "StoreFunctionPostbacks has no MaximumConcurrency",
        source("StoreFunctionPostbacks", ScalingConfig={}),
    ),
    "maximum over the quota": (
        "concurrency-quota",
        "(DispatchFunctionQueue 1000, ",
        source("DispatchFunctionQueue", ScalingConfig={"MaximumConcurrency": 1000}),
    ),
    "no key": ("api-key", "no Skycore API key is set", without_key),
    "malformed key": ("api-key", "no usable Skycore API key", malformed_key),
    "gateway response": (
        "gateway-responses",
        "gateway response THROTTLED is not the template's",
        without_gateway_response,
    ),
    "rate": ("stage", "ThrottlingRateLimit of * * is 999", other_rate),
    "signature": ("routes", "GET /postbacks/unparsed is NONE", route_without_signature),
    "time to live": ("time-to-live", "time to live on expires is DISABLED", without_time_to_live),
    "recovery": ("recovery", "point-in-time recovery is DISABLED", without_recovery),
    "alarm": ("alarms", "AckErrorsAlarm-", without_alarm),
    "retention": ("log-groups", "keeps lines for 1, not", other_retention),
    "log format": ("log-format", "LogFormat is Text, not JSON", text_logs),
    "ack elsewhere": (
        "function-settings",
        "POSTBACK_QUEUE_URL of AckFunction is not",
        ack_points_elsewhere,
    ),
}


KEPT = {"visibility", "rate"}  # in make test


@pytest.mark.parametrize(
    ("check", "words", "fault"),
    [
        pytest.param(*fault, id=name, marks=() if name in KEPT else pytest.mark.long)
        for name, fault in FAULTS.items()
    ],
)
def test_a_fault_is_found_and_what_to_do_is_said(
    stack: Stack, ops: Any, check: Any, words: Any, fault: Any
) -> None:
    with fault(stack):
        answer = ops.json("doctor", check, code=1)
    assert results(answer) == {check: "problem"}
    assert words in details(answer)
    assert all(found["fix"] for row in answer["checks"] for found in row["findings"])
    assert API_KEY not in json.dumps(answer)


@pytest.mark.long
def test_without_the_faults_the_stack_is_well_again(ops: Any) -> None:
    checks = {check for check, _, _ in FAULTS.values()}
    assert results(ops.json("doctor", *checks)) == dict.fromkeys(checks, "ok")


# --- Probes --------------------------------------------------------------------------------------


@pytest.mark.long
def test_a_probe_that_is_not_stored_is_found(stack: Stack, ops: Any) -> None:
    with source_changed(stack, "StoreFunctionPostbacks", {"Enabled": False}):
        answer = ops.json("doctor", "postback", *SHORT, code=1)
    assert "were answered 200, but none arrived as an event" in details(answer)
    assert left_behind(stack) == []


@pytest.mark.long
def test_a_probe_whose_subscription_is_gone_is_found(stack: Stack, ops: Any) -> None:
    # The probe waits in the queue until the subscription is gone, and only then becomes an event.
    with source_changed(stack, "StoreFunctionPostbacks", {"Enabled": False}):
        process = waiting_doctor(ops, "--wait", "15", "--json")
        for row in doctors_subscriptions(stack):
            stack.admin("sns").unsubscribe(SubscriptionArn=row["SubscriptionArn"])
    answer = json.loads(process.communicate(timeout=PATIENCE_SECONDS)[0])
    assert process.returncode == 1
    assert "none arrived as an event" in details(answer)
    assert left_behind(stack) == []


def waiting_doctor(ops: Ops, *arguments: str) -> subprocess.Popen[str]:
    """A doctor that has posted its probe, and waits for the event."""
    process = subprocess.Popen(
        ops.command("doctor", "postback", *arguments),
        cwd=ROOT,
        env=ops.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr
    assert "waiting for the probe" in process.stderr.readline()
    return process


@pytest.mark.long
def test_a_key_that_skycore_refuses_is_found(stack: Stack, ops: Any) -> None:
    stack.control("settings", {"api_key": "anewkey00000000000000000000000000"}, "PATCH")
    try:
        answer = ops.json("doctor", "skycore", code=1)
    finally:
        stack.control("settings", {"api_key": API_KEY}, "PATCH")
    assert "answered 502" in details(answer)
    assert "set-key" in answer["checks"][0]["findings"][0]["fix"]


@pytest.mark.long
def test_without_a_key_no_call_is_made(stack: Stack, ops: Any) -> None:
    with without_key(stack):
        answer = ops.json("doctor", "skycore", "api-key", code=1)
    assert results(answer) == {"skycore": "not_checked", "api-key": "problem"}


@pytest.mark.long
def test_ctrl_c_leaves_no_queue_and_no_subscription(stack: Stack, ops: Any) -> None:
    with source_changed(stack, "StoreFunctionPostbacks", {"Enabled": False}):
        process = waiting_doctor(ops)
        assert left_behind(stack) != []
        process.send_signal(signal.SIGINT)
        rest = "".join(process.communicate(timeout=PATIENCE_SECONDS))
    assert process.returncode == 130, rest
    assert left_behind(stack) == []


def doctors_subscriptions(stack: Stack) -> list[dict[str, str]]:
    topic = stack.description["event_topic_arn"]
    rows = stack.admin("sns").list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    return [row for row in rows if "_doctor_" in row["Endpoint"]]


def left_behind(stack: Stack) -> list[str]:
    """The queues and subscriptions of doctor that are there."""
    prefix = f"{stack.description['stack_name']}_doctor_"
    queues = stack.admin("sqs").list_queues(QueueNamePrefix=prefix).get("QueueUrls", [])
    return [*queues, *(row["SubscriptionArn"] for row in doctors_subscriptions(stack))]


def test_a_login_without_rights_is_told_which_it_lacks(stack: Stack) -> None:
    stack_only = {
        "Effect": "Allow",
        "Action": ["cloudformation:DescribeStacks", "cloudformation:ListStackResources"],
        "Resource": "*",
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [stack_only]})
    poor = Ops(stack, operator_with(stack, policy))
    names = ("queue-policies", "alarms", "time-to-live", "event-sources", "log-groups", "stage")
    answer = poor.json("doctor", *names, code=1)
    assert set(results(answer).values()) == {"problem"}
    assert details(answer).count("your login may not call") == len(names)
    answer = poor.json("doctor", "routes-answer", code=1)
    assert "answered 403" in details(answer)
    assert "execute-api:Invoke" in answer["checks"][0]["findings"][0]["fix"]


# --- The first key -------------------------------------------------------------------------------


def test_the_first_key_is_set_from_a_pipe(stack: Stack, ops: Any) -> None:
    with without_key(stack):
        answer = ops.json("set-key", given=f"{API_KEY}\n")
        assert (answer["stored"], answer["replaced"]) == (["api_key"], False)
        assert results(ops.json("doctor", "api-key")) == {"api-key": "ok"}


@pytest.mark.long
def test_the_first_key_is_set_at_a_terminal_that_does_not_show_it(stack: Stack, ops: Any) -> None:
    with without_key(stack):
        with terminal(ops, "set-key", "--yes") as (process, screen):
            screen.type(API_KEY)
            assert process.wait(30) == 0, screen.text
            assert API_KEY not in screen.text
        assert results(ops.json("doctor", "api-key", "skycore")) == {
            "api-key": "ok",
            "skycore": "ok",
        }
