"""Every alarm watches a metric that exists, has a threshold to turn and a page in the runbook."""

from __future__ import annotations

import re
from typing import Any

import pytest

from skycore import metrics
from tests.template.conftest import ROOT, Template
from tests.template.metric_checks import check

RUNBOOK = (ROOT / "docs" / "operations.md").read_text()
ALARMS = Template().of_type("AWS::CloudWatch::Alarm")
WEEK = 7 * 86_400


def anchors() -> dict[str, str]:
    """The sections under "Alarms" by their anchors."""
    part = re.split(r"^## ", RUNBOOK, flags=re.MULTILINE)
    (alarms,) = [text for text in part if text.startswith("Alarms\n")]
    sections = re.split(r"^### ", alarms, flags=re.MULTILINE)[1:]
    return {
        re.sub(r"[^a-z0-9 -]", "", section.split("\n", 1)[0].lower()).replace(" ", "-"): section
        for section in sections
    }


def value(node: Any) -> Any:
    if isinstance(node, dict):
        ((kind, inner),) = node.items()
        return (inner, "Ref") if kind == "Ref" else tuple(inner)
    return node


def of(metric: str) -> list[dict[str, Any]]:
    return [alarm for alarm in ALARMS.values() if alarm["MetricName"] == metric]


@pytest.mark.parametrize("name", ALARMS)
def test_its_metric_is_published_with_exactly_its_dimensions(template: Template, name: Any) -> None:
    alarm = ALARMS[name]
    dimensions = {row["Name"]: value(row["Value"]) for row in alarm["Dimensions"]}
    check(template, alarm["Namespace"], alarm["MetricName"], dimensions)


@pytest.mark.parametrize("name", ALARMS)
def test_its_threshold_is_a_parameter_with_a_default(template: Template, name: Any) -> None:
    turned = [ALARMS[name][part] for part in ("Threshold", "EvaluationPeriods")]
    parameters = [node["Ref"] for node in turned if isinstance(node, dict)]
    assert len(parameters) == 1
    assert float(template.body["Parameters"][parameters[0]]["Default"]) >= 0


@pytest.mark.parametrize("name", ALARMS)
def test_its_description_names_its_section_of_the_runbook(name: Any) -> None:
    found = re.fullmatch(
        r"(.{15,120})\. Runbook: docs/operations\.md#([a-z-]+)", ALARMS[name]["AlarmDescription"]
    )
    assert found
    told, anchor = found.groups()
    assert told
    section = anchors()[anchor]
    for part in ("**Means.**", "**Look.**", "**Do.**", "**Resolved**"):
        assert part in section, (anchor, part)


def test_every_section_of_the_runbook_is_of_an_alarm() -> None:
    named = {alarm["AlarmDescription"].rsplit("#", 1)[1] for alarm in ALARMS.values()}
    assert named == set(anchors())


@pytest.mark.parametrize("parameter", list(Template().body["Parameters"]))
def test_a_parameter_of_alarms_is_in_the_runbook(template: Template, parameter: Any) -> None:
    groups = template.body["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    (of_alarms,) = [g["Parameters"] for g in groups if g["Label"]["default"] == "Alarms"]
    if parameter in of_alarms:
        assert re.search(rf"[`\s]{parameter}\b", RUNBOOK.split("## Alarms", 1)[1])


def test_the_runbook_lists_the_metrics_as_they_are() -> None:
    rows = re.findall(r"^- `(\w+)` \((\w+)(?:, by `(\w+)`)?\): (.+)$", RUNBOOK, flags=re.MULTILINE)
    assert rows == [
        (name, metric.unit, metric.by or "", metric.meaning)
        for name, metric in metrics.METRICS.items()
    ]


@pytest.mark.parametrize("name", ALARMS)
def test_it_goes_to_the_topic_when_it_rings_and_when_it_is_over(name: Any) -> None:
    to_topic = {"Fn::If": ["WithAlarmTopic", [{"Ref": "AlarmTopicArn"}], {"Ref": "AWS::NoValue"}]}
    assert ALARMS[name]["AlarmActions"] == to_topic
    assert ALARMS[name]["OKActions"] == to_topic


@pytest.mark.parametrize("name", ALARMS)
def test_cloudwatch_takes_its_periods(template: Template, name: Any) -> None:
    alarm = ALARMS[name]
    periods = alarm["EvaluationPeriods"]
    if isinstance(periods, dict):
        pattern = template.body["Parameters"][periods["Ref"]]["AllowedPattern"]
        periods = max(number for number in range(10_000) if re.fullmatch(pattern, str(number)))
    assert alarm["Period"] % 60 == 0
    # "Evaluating an alarm": at most a day, at most a week for periods of an hour or more.
    assert alarm["Period"] * periods <= (WEEK if alarm["Period"] >= 3600 else 86_400)


def test_every_queue_and_every_function_is_watched(template: Template) -> None:
    queues = set(template.of_type("AWS::SQS::Queue"))
    dead = {name for name in queues if name.endswith("DeadLetterQueue")}

    def watched(metric: str) -> set[str]:
        return {value(row["Value"])[0] for alarm in of(metric) for row in alarm["Dimensions"]}

    assert watched("ApproximateNumberOfMessagesVisible") == dead
    assert watched("ApproximateAgeOfOldestMessage") == queues - dead
    assert watched("Errors") == watched("Throttles") == set(template.functions)
    assert watched("RecursiveInvocationsDropped") == set(template.functions)
    assert watched("IteratorAge") == {"PublishFunction"}


def test_missing_data_never_rings() -> None:
    treated = {name: alarm["TreatMissingData"] for name, alarm in ALARMS.items()}
    assert {name for name, how in treated.items() if how != "notBreaching"} == {"SilenceAlarm"}
    # Missing stays missing there: a quiet account has no data and never rings, while an hour in
    # which messages were accepted and nothing was heard counts on through quiet hours.
    assert treated["SilenceAlarm"] == "missing"


def test_only_a_day_that_is_nearly_used_up_rings_below_its_threshold() -> None:
    below = [n for n, a in ALARMS.items() if a["ComparisonOperator"] == "LessThanThreshold"]
    assert below == ["DayAllowanceAlarm"]


def test_silence_can_be_switched_off(template: Template) -> None:
    assert template.resources["SilenceAlarm"]["Condition"] == "WithSilenceAlarm"
    assert template.body["Conditions"]["WithSilenceAlarm"] == {
        "Fn::Not": [{"Fn::Equals": [{"Ref": "SilenceHours"}, "0"]}]
    }
