"""With a limit of calls, `dispatch` wastes few of its runs on the default parameters.

make test-long PART=tests/chaos/test_wasted_runs.py
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.conftest import Stack, brought_up
from tests.patience import until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]

PER_SECOND = 10
MESSAGES = 600  # 75 seconds of what queued messages may use
MAX_WASTED = 0.1  # of the runs


@pytest.fixture(scope="module")
def limited() -> Iterator[Stack]:
    with brought_up(".local/wasted", f"MaxCallsPerSecond={PER_SECOND}") as made:
        made.control("settings", {"outcome": "no_postback"}, "PATCH")
        yield made


def runs(stack: Stack) -> tuple[int, int]:
    """Return how many runs of `dispatch` wrote metrics, and how many of them got no slot."""
    logs = stack.admin("logs")
    group = f"/aws/lambda/{stack.description['stack_name']}-dispatch"
    every: list[Any] = []
    for page in logs.get_paginator("filter_log_events").paginate(logGroupName=group):
        every += [
            json.loads(one["message"]) for one in page["events"] if '"_aws"' in one["message"]
        ]
    # A run that asks for slots records what is left of each limit, also when it gets none.
    return sum("SecondAllowance" in one for one in every), sum(
        "LimiterFull" in one for one in every
    )


def test_a_limit_of_ten_a_second_wastes_few_runs_of_dispatch(limited: Stack) -> None:
    messages = [
        {"to": f"+1774318{1000 + n}", "from": "60856", "text": f"wasted {n}"}
        for n in range(MESSAGES)
    ]
    before = runs(limited)
    answer = limited.post("/messages/batch", {"messages": messages})
    assert answer.status_code == 202

    def arrived() -> int:
        rows = limited.control("messages?limit=50000")["messages"]
        return sum(row["text"].startswith("wasted ") for row in rows)

    assert until(lambda: arrived() == MESSAGES, 900)
    after = runs(limited)
    all_runs, wasted = (last - first for last, first in zip(after, before, strict=True))
    print(f"{MESSAGES} messages at {PER_SECOND}/s: {all_runs} runs, {wasted} of them sent nothing")
    assert all_runs >= MESSAGES / 10
    assert wasted <= MAX_WASTED * all_runs
