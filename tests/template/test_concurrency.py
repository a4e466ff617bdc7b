"""Little's law: no setting makes the send queue's poller starve, or pull what it must let fall.

AWS's bounds are those of "Using Lambda with Amazon SQS" (scaling, MaximumConcurrency 2 to 1,000).
"""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Any

import pytest

from skycore.client.client import SkycoreClient
from skycore.sending.rate_limit import PATIENCE_MS
from skycore.table.limits import BULK_WAIT_MS, PACE, SINGLE_WAIT_MS
from skycore.table.models import Row
from tests.template.deployed import Deployed

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from tests.template.conftest import Template

SEEN_SECONDS = 0.5  # that Skycore takes for an answer, as docs/limits.md reckons


def source(template: Template) -> Any:
    return template.functions["DispatchFunction"]["Events"]["Queue"]["Properties"]


def bounds(template: Template, name: str) -> tuple[int, int]:
    pattern = re.compile(template.body["Parameters"][name]["AllowedPattern"])
    taken = [number for number in range(100_000) if pattern.fullmatch(str(number))]
    return taken[0], taken[-1]


def pollers(source: str, **parameters: str) -> int:
    """Return how many executions an event source may start with these parameters."""
    properties = Deployed("skycore", **parameters).properties(source)
    return int(properties["ScalingConfig"]["MaximumConcurrency"])


@pytest.mark.parametrize("most", ["2", "35", "1000"])
def test_a_queue_starts_as_many_executions_as_its_parameter_says(most: str) -> None:
    assert pollers("StoreFunctionPostbacks", StoreMaximumConcurrency=most) == int(most)
    limited = {"MaxCallsPerSecond": "10"}
    for others in ({}, limited):
        chosen = {"DispatchMaximumConcurrency": most, **others}
        assert pollers("DispatchFunctionQueue", **chosen) == int(most)


def test_the_pollers_executions_are_within_what_aws_takes(template: Template) -> None:
    assert bounds(template, "StoreMaximumConcurrency") == (2, 1000)
    assert bounds(template, "DispatchMaximumConcurrency") == (0, 1000)
    pattern = template.body["Parameters"]["DispatchMaximumConcurrency"]["AllowedPattern"]
    assert not re.fullmatch(pattern, "1")  # 0 is a default, and the least that AWS takes is 2


@pytest.mark.parametrize("limit", ["MaxCallsPerSecond", "MaxCallsPerMinute", "MaxCallsPerDay"])
def test_any_limit_keeps_environments_from_waiting_for_slots(limit: str) -> None:
    assert pollers("DispatchFunctionQueue", **{limit: "10"}) == 5
    assert pollers("DispatchFunctionQueue") == 40


def test_no_postback_waits_for_a_batch_to_fill(template: Template) -> None:
    properties = template.functions["StoreFunction"]["Events"]["Postbacks"]["Properties"]
    assert properties.get("MaximumBatchingWindowInSeconds", 0) == 0
    assert properties["BatchSize"] <= 10  # a larger batch needs a window (AWS Lambda)


def test_no_reserved_concurrency_refuses_what_the_poller_has_pulled(template: Template) -> None:
    # A throttled batch counts as a receive: five of them would be in the dead-letter queue unsent.
    assert "ReservedConcurrentExecutions" not in template.functions["DispatchFunction"]


@pytest.mark.parametrize("parameter", ["SendReservedConcurrency", "AckReservedConcurrency"])
def test_nothing_is_reserved_by_default(template: Template, parameter: str) -> None:
    assert template.body["Parameters"][parameter]["Default"] == "0"


def test_a_batch_ends_before_its_function_however_slow_skycore_is(
    template: Template, app: Callable[[str], ModuleType]
) -> None:
    defaults = inspect.signature(SkycoreClient.__init__).parameters
    call = defaults["connect_timeout"].default + defaults["read_timeout"].default
    waits = (PATIENCE_MS + BULK_WAIT_MS) / 1000
    assert waits + call <= app("dispatch").DEADLINE_SECONDS


def test_all_messages_of_a_batch_go_out_side_by_side(template: Template) -> None:
    assert source(template)["BatchSize"] <= Row.Meta.max_pool_connections


def test_what_is_pulled_is_dealt_with_before_the_queue_gives_it_to_another(
    template: Template,
) -> None:
    visible = template.resources["SendQueue"]["Properties"]["VisibilityTimeout"]
    timeout = template.functions["DispatchFunction"]["Timeout"]
    window = source(template).get("MaximumBatchingWindowInSeconds", 0)
    assert visible >= 6 * timeout + window


def test_a_few_lost_batches_set_nothing_aside(template: Template) -> None:
    redrive = template.resources["SendQueue"]["Properties"]["RedrivePolicy"]
    assert redrive["maxReceiveCount"] >= 5  # the least that AWS advises for an event source


@pytest.mark.parametrize("per_second", [1, 5, 10, 20, 60])
def test_the_default_executions_keep_usual_limits_busy(template: Template, per_second: int) -> None:
    # A copy holds a batch from its first slot to its last answer: batch / rate + t seconds.
    batch, share = source(template)["BatchSize"], template.body["Parameters"]["PriorityShare"]
    rate = per_second * PACE / 100 * (1 - int(share["Default"]) / 100)
    copies = pollers("DispatchFunctionQueue", MaxCallsPerSecond=str(per_second))
    assert copies * batch / (batch / rate + SEEN_SECONDS) >= 0.95 * rate


def test_a_single_send_ends_before_its_function(app: Callable[[str], ModuleType]) -> None:
    defaults = inspect.signature(SkycoreClient.__init__).parameters
    call = defaults["connect_timeout"].default + defaults["read_timeout"].default
    assert SINGLE_WAIT_MS / 1000 + call < app("send").DEADLINE_SECONDS
