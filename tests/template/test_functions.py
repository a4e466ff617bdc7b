"""Each function has its own role, logs and environment, and they fit its code."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from tests.template.conftest import Template

VERBS = ["ack", "store", "publish", "fetch", "send", "enqueue", "dispatch", "messages", "sweep"]


def properties(template: Template, verb: str) -> Any:
    return template.functions[f"{verb.title()}Function"]


@pytest.mark.parametrize("verb", VERBS)
def test_a_function_has_a_role_and_a_log_group_of_its_own(template: Template, verb: str) -> None:
    found = properties(template, verb)
    assert found["CodeUri"] == f"functions/{verb}"
    assert found["Role"] == {"Fn::GetAtt": [f"{verb.title()}Role", "Arn"]}
    assert found["LoggingConfig"] == {"LogGroup": {"Ref": f"{verb.title()}Logs"}}
    logs = template.resources[f"{verb.title()}Logs"]["Properties"]
    assert logs["RetentionInDays"] == {"Ref": "LogRetentionDays"}


def test_lambda_lets_every_line_of_ours_through_and_tells_of_failed_runs_alone(
    template: Template,
) -> None:
    logging = template.body["Globals"]["Function"]["LoggingConfig"]
    assert logging["LogFormat"] == "JSON"  # with plain text levels mean nothing
    # Lines of metrics have no level and count as INFO: a higher one would drop them.
    assert logging["ApplicationLogLevel"] == {"Fn::If": ["WithDebugLogs", "DEBUG", "INFO"]}
    assert logging["SystemLogLevel"] == {"Fn::If": ["WithDebugLogs", "INFO", "WARN"]}
    assert template.body["Conditions"]["WithDebugLogs"] == {
        "Fn::Equals": [{"Ref": "LogLevel"}, "DEBUG"]
    }


@pytest.mark.parametrize("verb", VERBS)
def test_the_environment_is_exactly_what_the_code_reads(
    template: Template, verb: str, app: Callable[[str], ModuleType]
) -> None:
    shared = set(template.body["Globals"]["Function"]["Environment"]["Variables"])
    own = set(properties(template, verb).get("Environment", {}).get("Variables", {}))
    read = {field.name.upper() for field in dataclasses.fields(app(verb).Settings)}
    assert read <= shared | own
    assert own <= read


def test_only_senders_read_the_api_key(template: Template) -> None:
    readers = [
        verb
        for verb in VERBS
        for statement in template.statements(f"{verb.title()}Role")
        if "ApiKey" in json.dumps(statement.get("Resource"))
    ]
    assert readers == ["send", "dispatch"]


def test_only_what_checks_or_sends_messages_reads_the_secret_of_the_hashes(
    template: Template,
) -> None:
    readers = [
        verb
        for verb in VERBS
        if "HashSecret" in json.dumps(template.statements(f"{verb.title()}Role"))
    ]
    assert readers == ["send", "enqueue", "dispatch"]


@pytest.mark.parametrize("verb", ["store", "publish", "fetch", "dispatch"])
def test_partial_failures_are_reported(template: Template, verb: str) -> None:
    for source in properties(template, verb)["Events"].values():
        assert source["Properties"]["FunctionResponseTypes"] == ["ReportBatchItemFailures"]


def test_the_stream_filter_lets_new_events_and_news_through(template: Template) -> None:
    source = template.functions["PublishFunction"]["Events"]["TableStream"]["Properties"]
    patterns = [json.loads(row["Pattern"]) for row in source["FilterCriteria"]["Filters"]]
    assert patterns == [
        {"eventName": ["INSERT"], "dynamodb": {"NewImage": {"kind": {"S": ["event"]}}}},
        {
            "eventName": ["INSERT", "MODIFY"],
            "dynamodb": {"NewImage": {"news": {"S": [{"exists": True}]}}},
        },
    ]


def test_a_record_is_retried_until_it_is_old_and_then_its_place_is_a_dead_letter(
    template: Template,
) -> None:
    source = template.functions["PublishFunction"]["Events"]["TableStream"]["Properties"]
    assert source["MaximumRetryAttempts"] == -1
    assert 82_800 <= source["MaximumRecordAgeInSeconds"] < 86_400  # the stream keeps them a day
    assert source["BisectBatchOnFunctionError"] is True
    assert source["DestinationConfig"]["OnFailure"]["Destination"] == {
        "Fn::GetAtt": ["PublishDeadLetterQueue", "Arn"]
    }


def test_concurrency_is_reserved_only_on_request(template: Template) -> None:
    assert template.body["Parameters"]["SendReservedConcurrency"]["Default"] == "0"
    found = template.functions["SendFunction"]["ReservedConcurrentExecutions"]
    assert found["Fn::If"] == [
        "ReserveSend",
        {"Ref": "SendReservedConcurrency"},
        {"Ref": "AWS::NoValue"},
    ]
