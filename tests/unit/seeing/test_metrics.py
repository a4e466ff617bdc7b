"""The table of metrics is what the code records, and the lines are what CloudWatch reads."""

from __future__ import annotations

import ast
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from skycore import logs, metrics
from skycore.metrics import CLASSES
from skycore.problems import TITLES
from tests.unit.seeing import emf

PACKAGE = Path(metrics.__file__).parent


@pytest.fixture(autouse=True)
def nothing_recorded():
    metrics._recorded.clear()
    logs.begin()
    yield
    metrics._recorded.clear()


@pytest.fixture
def lines(capsys):
    def written() -> list[str]:
        metrics.flush()
        return capsys.readouterr().out.splitlines()

    return written


def calls():
    """Every call of count and record in the code: its name or names, and whether it has `by`."""
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            called = ast.unparse(node.func)
            if path == PACKAGE / "metrics.py":
                called = f"metrics.{called}"
            if called in {"metrics.count", "metrics.record"}:
                by = any(keyword.arg == "by" for keyword in node.keywords)
                yield called.removeprefix("metrics."), ast.unparse(node.args[0]), by


# Names that are put together: what the source says, and what that comes to.
PUT_TOGETHER = {
    "status.capitalize()": ["Unknown", "Expired"],
    "f'{name.capitalize()}Allowance'": ["SecondAllowance", "MinuteAllowance", "DayAllowance"],
}


def named(source: str) -> list[str]:
    return PUT_TOGETHER.get(source) or [ast.literal_eval(source)]


def test_the_code_records_every_metric_of_the_table_and_no_other():
    assert {name for _, source, _ in calls() for name in named(source)} == set(metrics.METRICS)


@pytest.mark.parametrize("name", metrics.METRICS)
def test_a_metric_is_recorded_as_the_table_says(name):
    metric = metrics.METRICS[name]
    assert metric.unit in {"Count", "Seconds", "Percent", "None"}
    assert len(metric.meaning) > 10
    for kind, source, by in calls():
        if name in named(source):
            assert (kind == "count") == (metric.unit == "Count")
            assert by == (metric.by is not None)


@pytest.mark.parametrize("code", TITLES)
def test_every_problem_of_a_send_has_a_class(code):
    of_other_routes = {"message_not_found", "event_not_found", "not_cancellable", "not_stored"}
    no_refusal = {"outcome_unknown", "gateway_failure"}
    assert (code in CLASSES) != (code in of_other_routes | no_refusal)


def test_nothing_recorded_is_no_line(lines):
    metrics.count("Duplicates", 0)
    assert lines() == []


def test_one_line_holds_all_metrics_of_an_invocation(lines):
    logs.begin(request_id="r-1")
    metrics.count("Accepted")
    metrics.count("Accepted")
    metrics.record("SkycoreSeconds", 0.25)
    metrics.record("SkycoreSeconds", 1)
    metrics.count("Rejected", by="account")
    metrics.count("LimiterFull", by="day")
    (line,) = lines()
    stack = {"Stack": "skycore"}
    assert sorted(emf.read(line)) == [
        ("Skycore", "Accepted", "Count", stack, (2,)),
        ("Skycore", "LimiterFull", "Count", {**stack, "Window": "day"}, (1,)),
        ("Skycore", "Rejected", "Count", {**stack, "Class": "account"}, (1,)),
        ("Skycore", "SkycoreSeconds", "Seconds", stack, (0.25, 1)),
    ]
    assert json.loads(line)["request_id"] == "r-1"
    assert lines() == []


def test_each_further_value_of_a_dimension_takes_a_line(lines):
    for event in ("sms_sent", "sms_delivered", "sms_sent"):
        metrics.count("Postbacks", by=event)
    metrics.count("Duplicates", 3)
    first, second = lines()
    stack = {"Stack": "skycore"}
    assert emf.read(first) == [
        ("Skycore", "Postbacks", "Count", {**stack, "Event": "sms_sent"}, (2,)),
        ("Skycore", "Duplicates", "Count", stack, (3,)),
    ]
    assert emf.read(second) == [
        ("Skycore", "Postbacks", "Count", {**stack, "Event": "sms_delivered"}, (1,)),
    ]


def test_more_values_than_a_line_may_have_take_another(lines):
    metrics.count("Accepted", 250)
    for number in range(250):
        metrics.record("DeliverySeconds", number)
    data = [datum for line in lines() for datum in emf.read(line)]
    assert [len(datum.values) for datum in data if datum.name == "DeliverySeconds"] == [
        100,
        100,
        50,
    ]
    assert [datum.values for datum in data if datum.name == "Accepted"] == [(250,)]


def test_threads_lose_no_count(lines):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: metrics.count("Accepted"), range(5000)))
    (line,) = lines()
    assert emf.read(line)[0].values == (5000,)


@pytest.mark.parametrize("fault", ["no such metric", "no stack name", "no output"])
def test_a_metric_is_never_worth_an_invocation(fault, monkeypatch):
    metrics.count("Nothing" if fault == "no such metric" else "Accepted")
    if fault == "no stack name":
        monkeypatch.delenv("STACK_NAME")
    if fault == "no output":
        monkeypatch.setattr("builtins.print", lambda _: 1 / 0)
    metrics.flush()
    assert metrics._recorded == []
