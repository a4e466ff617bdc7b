"""Many copies, jitter and skew, simulated and counted independently of the limiter."""

from __future__ import annotations

import random
from bisect import bisect_left
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skycore.table.limits import Limits, Wait
from tests.unit.table.limit_model import (
    START,
    Copy,
    Faults,
    Processes,
    Rules,
    any_within,
    batch,
    most_in,
    quick,
    simulate,
    singles,
    worst_excess,
)

pytestmark = pytest.mark.in_memory("takes thousands of calls on a virtual clock")
DAY_S = 86_400
SECONDS = 100
# Processes takes its slots by the rules, but through the table. The rules alone, without the
# table's delays and repeats, are for make test-long.
RULES = pytest.param(Rules, marks=pytest.mark.long)


@pytest.mark.parametrize("limiter", [RULES, Processes])
def test_no_minute_of_any_alignment_is_exceeded_and_it_is_used(limiter: Any) -> None:
    copies = singles(50, skew_ms=100)
    run = simulate(Limits(10, 300), 600, copies, travel=quick(10), limiter=limiter)
    assert most_in(run.times(), 60_000) <= 300
    assert run.refusals["minute"] == run.refusals["day"] == 0
    assert run.refusals["second"] <= 0.005 * len(run.arrivals)
    assert len(run.times(accepted=True)) >= 0.95 * 300 * 10


def test_a_batch_uses_its_part_of_the_minute() -> None:
    run = simulate(Limits(10, 300), 1_800, batch(), travel=quick(10))
    assert 0.95 * 240 * 30 <= len(run.times(accepted=True)) <= 240 * 31
    assert most_in(run.times(), 60_000) <= 240


@pytest.mark.parametrize("per_second", [1, 2, 5, 7, 10, 40])
@pytest.mark.parametrize(
    "kind, limiter",
    [
        pytest.param("single", Rules, marks=pytest.mark.long),
        ("single", Processes),
        ("bulk", Rules),
    ],
)
def test_the_second_is_used_and_seldom_refused(per_second: int, kind: str, limiter: Any) -> None:
    copies = singles(50) if kind == "single" else batch()
    run = simulate(Limits(per_second), SECONDS, copies, travel=quick(3), limiter=limiter)
    open_to_it = per_second * (1 if kind == "single" else 0.8)
    assert len(run.times(accepted=True)) >= 0.95 * open_to_it * SECONDS
    assert run.refusals["second"] <= 0.005 * len(run.arrivals)
    assert len(run.times()) <= open_to_it * SECONDS + per_second


def test_a_full_day_with_a_batch_and_single_calls() -> None:
    # 27 hours: the day's limit is used up after ten, and opens again after one day.
    limits = Limits(per_second=2, per_minute=10, per_day=6_000)
    copies = [
        *batch(2, skew_ms=50),
        *[Copy(skew_ms=-50, from_ms=n, pause_ms=2_000) for n in range(3)],
    ]
    run = simulate(limits, 27 * 3_600, copies, travel=any_within(300))
    times = run.times()
    assert most_in(times, 86_400_000) <= 6_000
    assert most_in(times, 60_000) <= 10
    assert run.refusals["minute"] == run.refusals["day"] == 0
    first_day = bisect_left(times, START + DAY_S * 1000)
    assert first_day >= 0.95 * 6_000
    assert len(times) - first_day >= 0.95 * 10 * 60  # of an hour, out of the three
    assert len(run.times(bulk=False)) >= 0.2 * 6_000


def test_a_day_at_the_minutes_rate() -> None:
    run = simulate(Limits(per_minute=5), DAY_S, singles(3, 100), travel=any_within(1_000))
    assert most_in(run.times(), 60_000) <= 5
    assert len(run.times(accepted=True)) >= 0.95 * 5 * 1_440


@pytest.mark.parametrize("per_second", [5, 10, 50])
@pytest.mark.parametrize("flood", [1, 20], ids=["one single copy", "a flood of single calls"])
@pytest.mark.parametrize("limiter", [RULES, Processes])
def test_neither_kind_keeps_the_other_out(per_second: int, flood: int, limiter: Any) -> None:
    copies = batch(skew_ms=0) + singles(flood)
    run = simulate(Limits(per_second), SECONDS, copies, travel=quick(3), limiter=limiter)
    bulk, single = (len(run.times(bulk=kind)) / SECONDS for kind in (True, False))
    assert bulk >= 0.35 * per_second
    assert single >= min(0.95 * 0.2 * per_second, 5)


@pytest.mark.parametrize("limits", [Limits(1), Limits(2), Limits(4), Limits(1, 5), Limits(0, 2)])
@pytest.mark.parametrize("limiter", [RULES, Processes])
def test_neither_kind_starves_under_small_limits(limits: Any, limiter: Any) -> None:
    run = simulate(limits, 600, batch() + singles(20), travel=quick(3), limiter=limiter)
    allowed = min(600 * (limits.per_second or 10), 10 * (limits.per_minute or 600))
    assert len(run.times(bulk=True)) >= 0.2 * allowed
    assert len(run.times(bulk=False)) >= 0.15 * allowed


def test_a_used_up_quota_is_asked_after_less_and_less() -> None:
    # The account's own limit is lower than the one that was set: five copies find out.
    run = simulate(Limits(10), 7_200, singles(5), travel=quick(3), account=Limits(per_day=100))
    assert len(run.times(accepted=True)) == 100
    # Pauses of 1, 2, 4 ... 512 and 900 seconds; after each some calls are under way at once.
    assert 16 <= run.refusals["day"] <= 5 * 17


COPIES = st.lists(
    st.builds(
        Copy,
        bulk=st.booleans(),
        block=st.integers(1, 12),
        longest_wait_ms=st.integers(0, 4_000),
        skew_ms=st.integers(-50, 50),
        from_ms=st.integers(0, 100_000),
        pause_ms=st.integers(0, 5_000),
    ),
    min_size=1,
    max_size=12,
)
SOME_LIMITS = st.builds(
    Limits,
    per_second=st.sampled_from([0, 1, 2, 5, 20]),
    per_minute=st.integers(1, 60),
    per_day=st.integers(0, 150),
    priority_share=st.integers(0, 90),
)


@pytest.mark.parametrize("limiter", [RULES, Processes, Faults])
@settings(max_examples=25, deadline=None)
@given(SOME_LIMITS, COPIES, st.integers(0, 1_000), st.integers(0, 9), st.booleans())
def test_whatever_the_copies_do_no_minute_or_day_is_exceeded(
    limiter: Any, limits: Any, copies: Any, latest: Any, seed: Any, teaching: Any
) -> None:
    travel = any_within(latest)
    run = simulate(
        limits, 200, copies, travel=travel, seed=seed, teaching=teaching, limiter=limiter
    )
    times = run.times()
    assert most_in(times, 60_000) <= limits.per_minute
    if limits.per_day:
        assert len(times) <= limits.per_day


@pytest.mark.parametrize("limiter", [RULES, Processes])
@settings(max_examples=25, deadline=None)
@given(st.integers(1, 60), st.integers(0, 99), COPIES, st.integers(0, 9))
def test_no_second_is_exceeded_when_all_calls_travel_equally_long(
    limiter: Any, per_second: Any, share: Any, copies: Any, seed: Any
) -> None:
    copies = [Copy(c.bulk, c.block, c.longest_wait_ms, 0, c.from_ms % 5_000, 10) for c in copies]
    run = simulate(
        Limits(per_second, priority_share=share),
        30,
        copies,
        travel=lambda rng: 20 + rng.randint(0, 30),
        seed=seed,
        limiter=limiter,
    )
    assert most_in(run.times(), 1_000) <= per_second
    assert not run.refusals


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 30), st.integers(0, 999), st.integers(0, 900))
def test_a_day_of_any_alignment_is_kept(per_day: Any, start_ms: Any, start_s: Any) -> None:
    rules = Rules(Limits(per_day=per_day), random.Random(0))
    now = START + start_s * 1_000 + start_ms
    times: list[int] = []
    for step in range(400):
        result = rules.take(Copy(block=1 + step % 3, longest_wait_ms=0), now)
        if isinstance(result, Wait):
            now = result.until_ms if step % 2 else now + 3_600_000
        else:
            times += result
            now += 1_200_000
    assert most_in(sorted(times), 86_400_000) <= per_day


@pytest.mark.parametrize("skew_ms, exceeded", [(0, False), (100, False), (2_000, True)])
def test_skew_is_covered_up_to_what_is_promised(skew_ms: int, exceeded: bool) -> None:
    most = max(worst_excess(skew_ms, aligned) for aligned in range(0, 1_300, 7))
    assert (most > 300) is exceeded
