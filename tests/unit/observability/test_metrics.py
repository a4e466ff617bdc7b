"""The table of metrics is what the code records, and the lines are what CloudWatch reads."""

from __future__ import annotations

import ast
import json
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from skycore import logs, metrics
from skycore.metrics import REJECTION_CLASSES
from skycore.problems import TITLES
from tests.unit.observability import emf

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(metrics.__file__).parent
STACK = {"Stack": "skycore"}  # every metric's dimensions, or the first of two


@pytest.fixture(autouse=True)
def nothing_recorded() -> Iterator[None]:
    metrics._recorded.clear()
    logs.reset_context()
    yield
    metrics._recorded.clear()


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Any:
    def written() -> list[str]:
        metrics.flush()
        return capsys.readouterr().out.splitlines()

    return written


@cache
def calls() -> list[Any]:
    """Every call of count and record in the code: its name or names, and whether it has `by`."""
    found = []
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            called = ast.unparse(node.func)
            if path == PACKAGE / "metrics.py":
                called = f"metrics.{called}"
            if called in {"metrics.count", "metrics.record"}:
                by = any(keyword.arg == "by" for keyword in node.keywords)
                found.append((called.removeprefix("metrics."), ast.unparse(node.args[0]), by))
    return found


# Names that are put together: what the source says, and what that comes to.
PUT_TOGETHER = {
    "status.capitalize()": ["Unknown", "Expired"],
    "f'{name.capitalize()}Allowance'": ["SecondAllowance", "MinuteAllowance", "DayAllowance"],
}


def named(source: str) -> list[str]:
    return PUT_TOGETHER.get(source) or [ast.literal_eval(source)]


def test_the_code_records_every_metric_of_the_table_and_no_other() -> None:
    assert {name for _, source, _ in calls() for name in named(source)} == set(metrics.METRICS)


@pytest.mark.parametrize("name", metrics.METRICS)
def test_a_metric_is_recorded_as_the_table_says(name: Any) -> None:
    metric = metrics.METRICS[name]
    assert metric.unit in {"Count", "Seconds", "Percent", "None"}
    assert len(metric.meaning) > 10
    for kind, source, by in calls():
        if name in named(source):
            assert (kind == "count") == (metric.unit == "Count")
            assert by == (metric.by is not None)


@pytest.mark.parametrize("code", TITLES)
def test_every_problem_of_a_send_has_a_class(code: Any) -> None:
    of_other_routes = {"message_not_found", "event_not_found", "not_cancellable", "not_stored"}
    no_refusal = {"outcome_unknown", "gateway_failure"}
    before_counting = {"invalid_json"}  # the body is parsed before the function that counts
    uncounted = of_other_routes | no_refusal | before_counting
    assert (code in REJECTION_CLASSES) != (code in uncounted)


def test_nothing_recorded_is_no_line(lines: Any) -> None:
    metrics.count("Duplicates", 0)
    assert lines() == []


def test_one_line_holds_the_metrics_that_have_no_dimension_of_their_own(lines: Any) -> None:
    logs.reset_context(request_id="r-1", api_request_id="a-1")
    metrics.count("Accepted")
    metrics.count("Accepted")
    metrics.record("SkycoreSeconds", 0.25)
    metrics.record("SkycoreSeconds", 1)
    metrics.record("Silence", 1)
    (line,) = lines()
    assert sorted(emf.read(line)) == [
        ("Skycore", "Accepted", "Count", STACK, (2,)),
        ("Skycore", "Silence", "None", STACK, (1,)),
        ("Skycore", "SkycoreSeconds", "Seconds", STACK, (0.25, 1)),
    ]
    told = json.loads(line)
    assert (told["request_id"], told["api_request_id"]) == ("r-1", "a-1")
    assert lines() == []


def test_each_value_of_a_dimension_takes_a_line(lines: Any) -> None:
    logs.reset_context(request_id="r-1")
    for event in ("sms_sent", "sms_delivered", "sms_sent"):
        metrics.count("Postbacks", by=event)
    metrics.count("LimiterFull", by="day")
    metrics.count("Duplicates", 3)
    written = lines()
    data = [datum for line in written for datum in emf.read(line)]
    assert sorted(data, key=str) == [
        ("Skycore", "Duplicates", "Count", STACK, (3,)),
        ("Skycore", "LimiterFull", "Count", {**STACK, "Window": "day"}, (1,)),
        ("Skycore", "Postbacks", "Count", {**STACK, "Event": "sms_delivered"}, (1,)),
        ("Skycore", "Postbacks", "Count", {**STACK, "Event": "sms_sent"}, (2,)),
    ]
    assert [json.loads(line)["request_id"] for line in written] == ["r-1"] * 4


def test_an_invocation_takes_nothing_over_from_the_one_before(lines: Any) -> None:
    logs.reset_context(request_id="r-1", api_request_id="a-1")
    metrics.count("Rejected", by="account")
    metrics.record("DeliverySeconds", 1)
    lines()
    logs.reset_context(request_id="r-2")
    metrics.count("Accepted")
    (line,) = lines()
    assert emf.read(line) == [("Skycore", "Accepted", "Count", STACK, (1,))]
    assert (json.loads(line)["request_id"], "api_request_id" in line) == ("r-2", False)


def test_a_line_that_was_not_written_is_not_written_with_the_next(
    lines: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    metrics.record("DeliverySeconds", 1)
    with monkeypatch.context() as patched:
        patched.setattr("builtins.print", lambda _: 1 / 0)
        metrics.flush()
    metrics.count("Accepted")
    (line,) = lines()
    assert [datum.name for datum in emf.read(line)] == ["Accepted"]


def test_more_values_than_a_line_may_have_take_another(lines: Any) -> None:
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


def test_as_many_values_as_fill_a_line_take_one(lines: Any) -> None:
    for number in range(100):
        metrics.record("DeliverySeconds", number)
    (line,) = lines()
    assert [len(datum.values) for datum in emf.read(line)] == [100]


def test_threads_lose_no_count(lines: Any) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: metrics.count("Accepted"), range(5000)))
    (line,) = lines()
    assert emf.read(line)[0].values == (5000,)


@pytest.mark.parametrize("fault", ["no such metric", "no stack name", "no output"])
def test_a_metric_is_never_worth_an_invocation(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    metrics.count("Nothing" if fault == "no such metric" else "Accepted")
    if fault == "no stack name":
        monkeypatch.delenv("STACK_NAME")
    if fault == "no output":
        monkeypatch.setattr("builtins.print", lambda _: 1 / 0)
    metrics.flush()
    assert metrics._recorded == []
