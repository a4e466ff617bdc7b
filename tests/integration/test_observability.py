"""What an operator sees of the deployed stack: lines with ids, metrics, alarms, a dashboard."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.integration.conftest import ROOT, Stack
from tests.integration.test_redaction import fresh_number, logs_of
from tests.patience import until
from tests.unit.observability import emf


def lines_about(stack: Stack, message_id: str) -> Any:
    found = [line for line in logs_of(stack).splitlines() if line.startswith('{"level"')]
    told = [json.loads(line) for line in found if message_id in line]
    return [line for line in told if line.get("message_id") == message_id]


def test_the_lines_of_a_message_lead_from_its_caller_to_its_tracking_id(
    stack: Stack, sms: dict[str, Any]
) -> None:
    answer = stack.post("/messages", {**sms, "to": fresh_number()})
    message = answer.json()

    def accepted() -> Any:
        return [
            line
            for line in lines_about(stack, message["message_id"])
            if line["message"] == "message accepted"
        ]

    assert until(accepted)
    (line,) = accepted()
    assert line["tracking_id"] == message["tracking_id"]
    assert line["request_id"]
    assert line["api_request_id"]
    assert line["to"] == "…" + message["to"][-2:]


def test_a_message_is_counted_from_its_acceptance_to_its_receipt(
    stack: Stack, sms: dict[str, Any]
) -> None:
    message = stack.post("/messages", {**sms, "to": fresh_number()}).json()
    path = f"/messages/{message['message_id']}"
    assert until(lambda: stack.get(path).json()["status"] == "delivered")

    def seen() -> set[str]:
        data = [
            datum
            for line in logs_of(stack).splitlines()
            if emf.is_emf(line)
            for datum in emf.read(line)
        ]
        assert {datum.dimensions["Stack"] for datum in data} <= {stack.description["stack_name"]}
        return {datum.name for datum in data}

    wanted = {"Accepted", "SkycoreSeconds", "Silence", "Postbacks", "DeliverySeconds"}
    assert until(lambda: wanted <= seen())


@pytest.fixture(scope="module")
def alarms(stack: Stack) -> Any:
    pages = stack.admin("cloudwatch").get_paginator("describe_alarms").paginate()
    own = f"{stack.description['stack_name']}-"
    rows = [row for page in pages for row in page["MetricAlarms"]]
    return [row for row in rows if row["AlarmName"].startswith(own)]


def test_the_alarms_watch_what_is_there(stack: Stack, alarms: Any) -> None:
    names = {
        "QueueName": {
            url.rsplit("/", 1)[1] for url in stack.admin("sqs").list_queues()["QueueUrls"]
        },
        "FunctionName": {
            row["FunctionName"] for row in stack.admin("lambda").list_functions()["Functions"]
        },
        "ApiName": {row["name"] for row in stack.admin("apigateway").get_rest_apis()["items"]},
        "Stack": {stack.description["stack_name"]},
    }
    in_template = (ROOT / "template.yaml").read_text().count("Type: AWS::CloudWatch::Alarm")
    assert len(alarms) == in_template
    for alarm in alarms:
        for row in alarm["Dimensions"]:
            assert row["Value"] in names.get(row["Name"], {row["Value"]}), alarm["AlarmName"]


def test_the_dashboard_is_one_that_cloudwatch_reads(stack: Stack, alarms: Any) -> None:
    name = stack.resource("Dashboard")
    body = stack.admin("cloudwatch").get_dashboard(DashboardName=name)["DashboardBody"]
    assert "${" not in body
    widgets = json.loads(body)["widgets"]
    (shown,) = [w["properties"]["alarms"] for w in widgets if w["type"] == "alarm"]
    assert set(shown) == {row["AlarmArn"] for row in alarms if "Silence" not in row["AlarmName"]}
