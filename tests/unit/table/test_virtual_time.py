"""What the limiter costs many callers at once, on a table that is 8 ms away."""

from __future__ import annotations

import pytest

from skycore.table.limits import Limits
from tests.unit.table.virtual_time import measure

pytestmark = pytest.mark.in_memory("its time is virtual")


@pytest.mark.parametrize("callers", [1, 10, 50])
@pytest.mark.parametrize("per_second", [10, 50, 200])
def test_a_contended_call_costs_few_writes_and_little_time(per_second: int, callers: int) -> None:
    found = measure(Limits(per_second), callers, seconds=10)
    assert found.writes_a_call <= (1.1 if callers == 1 else 2.5)
    assert found.percentile(99) <= 100
    most_asked = callers * 1_000 / 130  # a caller's call takes 100 ms, and its slot up to 30
    assert len(found.slots_ms) >= 0.95 * 10 * min(0.96 * per_second, most_asked)


def test_a_contended_minute_is_used_and_its_refusals_cost_few_writes() -> None:
    found = measure(Limits(10, 300), 50, seconds=70)
    assert found.writes <= 1.5 * len(found.took_ms)  # two of three takes are refused
    assert found.percentile(99) <= 150
    slots = sorted(found.slots_ms)
    assert len(slots) >= 0.95 * 300 * 70 / 60
    assert all(later - slot >= 60_000 for slot, later in zip(slots, slots[300:], strict=False))
