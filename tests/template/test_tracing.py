"""Tracing is off unless asked for, and never of the API, whose traces would hold the token."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.template.conftest import Template

VERBS = ["Ack", "Store", "Publish", "Fetch", "Send", "Enqueue", "Dispatch", "Messages", "Sweep"]


def test_functions_are_traced_on_request(template: Template) -> None:
    assert template.body["Parameters"]["Tracing"]["Default"] == "off"
    assert template.body["Conditions"]["WithTracing"] == {"Fn::Equals": [{"Ref": "Tracing"}, "on"]}
    traced = {"Fn::If": ["WithTracing", "Active", "PassThrough"]}
    assert template.body["Globals"]["Function"]["Tracing"] == traced


def test_the_api_is_never_traced(template: Template) -> None:
    assert "TracingEnabled" not in template.resources["Api"]["Properties"]
    assert "Api" not in template.body["Globals"]
    assert "TracingEnabled" not in template.text


@pytest.mark.parametrize("verb", VERBS)
def test_a_role_may_write_traces_only_then(template: Template, verb: str) -> None:
    statements = template.statements(f"{verb}Role")
    tracing = [s["Fn::If"] for s in statements if s.get("Fn::If", [""])[0] == "WithTracing"]
    assert tracing == [
        [
            "WithTracing",
            {
                "Effect": "Allow",
                "Action": ["xray:PutTraceSegments", "xray:PutTelemetryRecords"],
                "Resource": "*",  # they have no resource
            },
            {"Ref": "AWS::NoValue"},
        ]
    ]
    rest = [s for s in statements if s.get("Fn::If", [""])[0] != "WithTracing"]
    assert "xray" not in str(rest)


def test_no_function_carries_a_tracing_library() -> None:
    from tests.template.conftest import ROOT

    pinned = (ROOT / "layers" / "dependencies" / "requirements.txt").read_text().lower()
    assert "xray" not in pinned
