"""The dashboard answers four questions, and everything on it exists."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from skycore import metrics
from tests.template.conftest import Template
from tests.template.metric_checks import check

QUESTIONS = [
    "Are we sending?",
    "Is it arriving?",
    "Is anything stuck?",
    "What does it cost?",
]
BODY = Template().resources["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
WIDGETS = json.loads(BODY)["widgets"]
CHARTS = {w["properties"]["title"]: w["properties"] for w in WIDGETS if w["type"] == "metric"}
REFERENCE = re.compile(r"\$\{([A-Za-z:]+)(?:\.([A-Za-z]+))?\}")
SEARCH = re.compile(
    r"SEARCH\('\{Skycore,Stack,(\w+)\} MetricName=\"(\w+)\" "
    r"Stack=\"\$\{AWS::StackName\}\"', 'Sum', 300\)"
)


def value(text: str) -> Any:
    found = REFERENCE.fullmatch(text)
    return (found[1], found[2] or "Ref") if found else text


def spelt_out(rows: list[list[Any]]) -> list[tuple[str, str, dict[str, Any], dict[str, Any]]]:
    """Namespace, name, dimensions and options of each row."""
    told = []
    for row in rows:
        options = row[-1] if isinstance(row[-1], dict) else {}
        namespace, name, *rest = [cell for cell in row if isinstance(cell, str)] or ["", ""]
        dimensions = dict(zip(rest[::2], map(value, rest[1::2]), strict=True))
        told.append((namespace, name, dimensions, options))
    return told


def matched(expression: str) -> re.Match[str]:
    found = SEARCH.fullmatch(expression)
    assert found, expression
    return found


@pytest.mark.parametrize("title", CHARTS)
def test_every_metric_on_it_is_published(template: Template, title: Any) -> None:
    for namespace, name, dimensions, options in spelt_out(CHARTS[title]["metrics"]):
        if "expression" in options:
            by, searched = matched(options["expression"]).groups()
            assert metrics.METRICS[searched].by == by
        else:
            check(template, namespace, name, dimensions)


def test_every_metric_of_ours_is_on_it() -> None:
    shown = {
        matched(options["expression"])[2] if "expression" in options else name
        for chart in CHARTS.values()
        for _, name, _, options in spelt_out(chart["metrics"])
    }
    # Silence is for its alarm: a minimum of 0 and 1 is no curve.
    assert set(metrics.METRICS) - shown == {"Silence"}


def test_it_answers_the_questions_from_top_to_bottom() -> None:
    texts = [w for w in WIDGETS if w["type"] == "text"]
    assert [w["properties"]["markdown"] for w in texts] == [f"## {q}" for q in QUESTIONS]
    assert [w["y"] for w in texts] == sorted(w["y"] for w in texts)


def test_every_alarm_is_on_it(template: Template) -> None:
    (widget,) = [w for w in WIDGETS if w["type"] == "alarm"]
    alarms = set(template.of_type("AWS::CloudWatch::Alarm"))
    # SilenceAlarm may not be there, and a reference to it would fail the deployment then.
    shown = {f"${{{name}.Arn}}" for name in alarms - {"SilenceAlarm"}}
    assert set(widget["properties"]["alarms"]) == shown


def test_widgets_lie_side_by_side() -> None:
    taken: dict[tuple[int, int], int] = {}
    for number, w in enumerate(WIDGETS):
        assert w["x"] + w["width"] <= 24
        for x in range(w["x"], w["x"] + w["width"]):
            for y in range(w["y"], w["y"] + w["height"]):
                assert taken.setdefault((x, y), number) == number


def test_all_it_refers_to_is_in_the_template(template: Template) -> None:
    named = {found[1] for found in REFERENCE.finditer(BODY)}
    assert named - {"AWS::StackName", "AWS::Region"} <= set(template.resources)
