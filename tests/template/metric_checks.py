"""Whether a metric that the template names is one that somebody publishes."""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest

from skycore import metrics
from skycore.metrics import REJECTION_CLASSES
from tests.template.service_metrics import NAMED_BY, SERVICE_METRICS
from tests.unit.observability import emf

if TYPE_CHECKING:
    from collections.abc import Mapping

# What a dimension's value may be in the template: resource and attribute, text, or parameter.
type Value = str | tuple[str, str]

OWN_VALUES = {"Class": set(REJECTION_CLASSES.values()), "Window": {"second", "minute", "day"}}


@cache
def emitted(template: Any) -> dict[str, set[str]]:
    """Return each metric's dimensions, from lines written under the template's fixed variables.

    A Powertools variable there may add dimensions, and no alarm would see its metric again.
    """
    variables = template.body["Globals"]["Function"]["Environment"]["Variables"]
    output = io.StringIO()
    with redirect_stdout(output), pytest.MonkeyPatch.context() as patched:
        for name, value in variables.items():
            if isinstance(value, str):
                patched.setenv(name, value)
        for name, metric in metrics.METRICS.items():
            if metric.unit == "Count":
                metrics.count(name, by="some" if metric.by else None)
            else:
                metrics.record(name, 1)
        metrics.flush()
    data = [datum for line in output.getvalue().splitlines() for datum in emf.read(line)]
    assert {datum.namespace for datum in data} == {"Skycore"}
    return {datum.name: set(datum.dimensions) for datum in data}


def check(template: Any, namespace: str, name: str, dimensions: Mapping[str, Value]) -> None:
    """Fails unless the metric is published with exactly these dimensions."""
    if namespace == "Skycore":
        assert set(dimensions) == emitted(template)[name], name
        assert dimensions["Stack"] == ("AWS::StackName", "Ref")
        for dimension, values in OWN_VALUES.items():
            assert dimensions.get(dimension) in {None, *values}
        return
    assert set(dimensions) in SERVICE_METRICS[namespace, name], name
    for dimension, value in dimensions.items():
        if dimension in NAMED_BY:
            kind, attribute = NAMED_BY[dimension]
            assert isinstance(value, tuple)
            assert template.resources[value[0]]["Type"] == kind
            assert value[1] == attribute
    if namespace == "AWS/ApiGateway":
        _check_api(template, dimensions)


def _check_api(template: Any, dimensions: Mapping[str, Value]) -> None:
    api = template.resources["Api"]["Properties"]
    assert api["Name"] == {"Ref": "AWS::StackName"}
    assert dimensions["ApiName"] == ("AWS::StackName", "Ref")
    assert dimensions.get("Stage", api["StageName"]) == api["StageName"]
    if "Method" not in dimensions:
        return
    route = (str(dimensions["Method"]), str(dimensions["Resource"]))
    events = [
        event["Properties"]
        for function in template.functions.values()
        for event in function["Events"].values()
        if event["Type"] == "Api"
    ]
    assert route in [(event["Method"].upper(), event["Path"]) for event in events]
    # Detailed metrics are published only where they are switched on, under the route's pattern.
    detailed = [
        (setting["HttpMethod"], setting["ResourcePath"].replace("/~1", "/").replace("~1", "/"))
        for setting in api["MethodSettings"]
        if setting.get("MetricsEnabled")
    ]
    assert route in detailed
