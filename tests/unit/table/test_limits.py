"""The limiter's rules, one by one: what is granted, what waits, for how long and why."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skycore.table.limiter import Pause, new_item
from skycore.table.limits import (
    BULK_DAY,
    BULK_MINUTE,
    BULK_WAIT_MS,
    DAY,
    LATE_MS,
    MINUTE,
    PASSED_MS,
    SINGLE_WAIT_MS,
    SKEW_MS,
    USABLE_MS,
    Limits,
    Take,
    Wait,
    bucket_key,
    plan,
    remaining,
    usable,
)
from tests.unit.table.fake_dynamodb import size_of
from tests.unit.table.limit_table import encode, written

NOW = MINUTE.width_ms * 1_384_615_385  # on the border of a minute's bucket


def slots(item: Any, now: Any, limits: Any, **options: Any) -> Any:
    take = plan(item, now, limits, **options)
    assert isinstance(take, Take), take
    after = written(item, take)
    return after, take.slots_ms(after)


def wait(item: Any, now: Any, limits: Any, **options: Any) -> Any:
    result = plan(item, now, limits, **options)
    assert isinstance(result, Wait), result
    return result


def leaves_at(slot: Any, window: Any = MINUTE) -> Any:
    """When a call with that slot counts no more."""
    return (slot // window.width_ms + window.span + 1) * window.width_ms


def paused(pause: Any) -> Any:
    return new_item() | {"pause": asdict(pause)}


def test_without_limits_every_call_goes_now() -> None:
    assert slots(new_item(), NOW, Limits(), count=1_000)[1] == (NOW,) * 1_000


@pytest.mark.parametrize("bulk", [False, True], ids=["single", "bulk"])
def test_a_quiet_account_uses_its_allowance_at_once(bulk: bool) -> None:
    limits = Limits(per_day=10_000)
    assert slots(new_item(), NOW, limits, count=5, bulk=bulk)[1] == (NOW,) * 5
    assert slots(new_item(), NOW, limits, count=8_000, bulk=bulk)[1] == (NOW,) * 8_000


@pytest.mark.parametrize(
    "limits, window",
    [
        (Limits(per_minute=5), MINUTE),
        (Limits(per_day=5), DAY),
        (Limits(100, 5, 100), MINUTE),
        (Limits(100, 100, 5), DAY),
    ],
)
def test_a_full_window_waits_exactly_until_a_call_fits(limits: Any, window: Any) -> None:
    item, _ = slots(new_item(), NOW, limits, count=5, longest_wait_ms=1_000)
    told = wait(item, NOW + 1_500, limits, longest_wait_ms=SINGLE_WAIT_MS)
    assert told.window == window.name
    assert told.until_ms == leaves_at(NOW, window)
    assert told.until_ms - NOW <= window.length_ms + LATE_MS + SKEW_MS + 1.001 * window.width_ms
    assert told.retry_after_s == -(-(told.until_ms - NOW - 1_500) // 1000)
    wait(item, told.until_ms - 1, limits)
    assert slots(item, told.until_ms, limits)[1] == (told.until_ms,)
    again = NOW + 1_500 + told.retry_after_s * 1000
    assert slots(item, again, limits)[1] == (again,)


def test_a_single_call_is_given_a_slot_that_is_near_enough() -> None:
    limits = Limits(per_minute=1)
    item, _ = slots(new_item(), NOW, limits)
    free = leaves_at(NOW)
    assert slots(item, free - 2_000, limits, longest_wait_ms=2_000)[1] == (free,)
    assert wait(item, free - 2_001, limits, longest_wait_ms=2_000).until_ms == free


def test_the_second_is_kept_by_spacing() -> None:
    _, given_slots = slots(
        new_item(), NOW, Limits(per_second=10, priority_share=0), count=20, longest_wait_ms=5_000
    )
    assert [slot - NOW for slot in given_slots[:4]] == [0, 105, 209, 313]
    assert given_slots[10] - given_slots[0] == 1_042


def test_the_second_names_itself() -> None:
    limits = Limits(per_second=1)
    item, _ = slots(new_item(), NOW, limits, count=4, longest_wait_ms=5_000)
    assert wait(item, NOW, limits, longest_wait_ms=SINGLE_WAIT_MS) == Wait(NOW + 4_167, "second", 5)


@pytest.mark.parametrize(
    "limits, spacing_ms",
    [
        (Limits(10, 0, 0, 0), 105),  # 96%
        (Limits(10, 480, 0, 0), 118),  # the minute lets 8 a second through: 85%
        (Limits(10, 481, 0, 0), 105),
        (Limits(10, 0, 691_200, 0), 118),
        (Limits(10, 0, 691_201, 0), 105),
    ],
    ids=["second alone", "minute decides", "minute is wider", "day decides", "day is wider"],
)
def test_the_pace_is_relaxed_where_a_longer_window_decides(limits: Any, spacing_ms: int) -> None:
    _, given_slots = slots(new_item(), NOW, limits, count=2, longest_wait_ms=1_000)
    assert given_slots[1] - given_slots[0] == spacing_ms


def test_a_block_is_as_many_as_have_a_slot_in_time() -> None:
    limits = Limits(per_second=10, per_minute=6, priority_share=0)
    _, given_slots = slots(new_item(), NOW, limits, count=10, bulk=True, longest_wait_ms=300)
    assert len(given_slots) == 3
    item, given_slots = slots(
        new_item(), NOW, limits, count=10, bulk=True, longest_wait_ms=BULK_WAIT_MS
    )
    assert len(given_slots) == 6
    assert wait(item, NOW + 700, limits, bulk=True, longest_wait_ms=1).window == "minute"


@pytest.mark.parametrize(
    "most, share, bulk_part",
    [
        (300, 20, 240),
        (5, 20, 4),
        (4, 20, 3),
        (2, 20, 1),
        (1, 20, 1),
        (1, 90, 1),
        (10, 90, 1),
        (10, 0, 10),
        (7, 50, 3),
    ],
)
@pytest.mark.parametrize("window", ["minute", "day"])
def test_bulk_leaves_the_priority_share(window: str, most: int, share: int, bulk_part: int) -> None:
    limits = Limits(**{f"per_{window}": most, "priority_share": share})
    item, given_slots = slots(new_item(), NOW, limits, count=most + 1, bulk=True)
    assert len(given_slots) == bulk_part
    assert wait(item, NOW, limits, bulk=True, longest_wait_ms=BULK_WAIT_MS).window == window
    if most > bulk_part:
        item, given_slots = slots(item, NOW, limits, count=most + 1)
        assert len(given_slots) == most - bulk_part
    assert wait(item, NOW, limits, longest_wait_ms=SINGLE_WAIT_MS).window == window


def test_single_calls_may_use_everything() -> None:
    assert len(slots(new_item(), NOW, Limits(per_minute=300), count=400)[1]) == 300


def test_bulk_calls_find_their_part_although_single_calls_used_theirs() -> None:
    limits = Limits(per_minute=10)
    item, _ = slots(new_item(), NOW, limits, count=2)
    assert len(slots(item, NOW, limits, count=10, bulk=True)[1]) == 8


def test_bulk_is_left_one_call_although_single_calls_came_first() -> None:
    limits = Limits(per_minute=10, priority_share=99)
    item, _ = slots(new_item(), NOW, limits, count=2)
    assert slots(item, NOW, limits, count=10, bulk=True)[1] == (NOW,)


def test_a_batch_catches_up_what_a_single_call_delayed() -> None:
    limits = Limits(per_second=4)  # spaced by 260.4 ms, bulk calls by 325.5 ms
    item, _ = slots(new_item(), NOW, limits)
    _, given_slots = slots(item, NOW, limits, count=5, bulk=True, longest_wait_ms=BULK_WAIT_MS)
    assert [slot - NOW for slot in given_slots] == [261, 521, 782, 1_042, 1_303]


def test_a_waiting_batch_costs_single_calls_nothing() -> None:
    limits = Limits(per_second=10, per_minute=50)
    item, _ = slots(new_item(), NOW, limits, count=40, bulk=True, longest_wait_ms=10_000)
    free = leaves_at(NOW)
    told = wait(item, free - 2_000, limits, bulk=True, longest_wait_ms=BULK_WAIT_MS)
    assert (told.until_ms, told.window) == (free, "minute")
    assert slots(item, free - 2_000, limits)[1] == (free - 2_000,)


def test_a_single_call_has_a_lane_of_its_own_while_a_batch_runs() -> None:
    limits = Limits(per_second=10)
    item, given_slots = slots(
        new_item(), NOW, limits, count=30, bulk=True, longest_wait_ms=BULK_WAIT_MS
    )
    assert len(given_slots) == 24
    item, given_slots = slots(item, NOW + 5, limits, count=9, longest_wait_ms=SINGLE_WAIT_MS)
    assert [slot - NOW for slot in given_slots] == [5, 526, 1_047, 1_568]


@pytest.mark.parametrize("per_second", [1, 2, 3, 4])
def test_without_a_lane_of_its_own_a_single_call_still_finds_a_slot(per_second: int) -> None:
    limits = Limits(per_second=per_second)
    item, given_slots = slots(
        new_item(), NOW, limits, count=30, bulk=True, longest_wait_ms=BULK_WAIT_MS
    )
    assert given_slots[-1] < NOW + SINGLE_WAIT_MS
    slots(item, NOW + 500, limits, longest_wait_ms=SINGLE_WAIT_MS)


def test_time_never_goes_back() -> None:
    limits = Limits(per_minute=100)
    item, _ = slots(new_item(), NOW, limits)
    assert wait(item, NOW - 80, limits) == Wait(NOW, "second", 1)
    after, given_slots = slots(item, NOW - 80, limits, longest_wait_ms=SINGLE_WAIT_MS)
    assert given_slots == (NOW,)
    assert after["last_minute"]["at"] * MINUTE.width_ms == NOW


@pytest.mark.parametrize(
    "late_ms, good", [(-5, True), (0, True), (USABLE_MS, True), (USABLE_MS + 1, False)]
)
def test_a_slot_is_usable_for_half_a_second(late_ms: Any, good: bool) -> None:
    assert usable(NOW, NOW + late_ms) is good


@pytest.mark.parametrize(
    "told, pause_s, window",
    [
        (("E106", None), 1, "second"),
        (("E106", 7), 7, "second"),
        (("e106 ", 7), 7, "second"),
        (("E106", 999_999), 900, "second"),
        (("E113", None), 1, "second"),
        (("E113", 7), 1, "second"),
        (("E120", None), 1, "day"),
        (("E120", 7), 1, "day"),
    ],
)
@pytest.mark.parametrize("limits", [Limits(), Limits(10, 300, 10_000)], ids=["none", "all"])
@pytest.mark.parametrize("bulk", [False, True], ids=["single", "bulk"])
def test_everyone_pauses_when_skycore_says_so(
    limits: Any, bulk: bool, told: Any, pause_s: int, window: Any
) -> None:
    item = paused(Pause().throttled(NOW, *told))
    assert wait(item, NOW + 1, limits, bulk=bulk) == Wait(NOW + pause_s * 1000, window, pause_s)
    end = NOW + pause_s * 1000
    assert slots(item, end, limits, bulk=bulk)[1] == (end,)


def test_a_short_pause_is_waited_for() -> None:
    item = paused(Pause().throttled(NOW, "E113", None))
    assert slots(item, NOW, Limits(), longest_wait_ms=SINGLE_WAIT_MS)[1] == (NOW + 1_000,)


@pytest.mark.parametrize("code", ["E114", "E503", "", "E1060"])
def test_other_codes_pause_nobody(code: str) -> None:
    pause = Pause()
    assert pause.throttled(NOW, code, 5) is pause


def test_a_shorter_pause_does_not_end_a_longer_one() -> None:
    pause = Pause().throttled(NOW, "E106", 60).throttled(NOW + 10, "E113", None)
    assert pause.until_ms == NOW + 60_000
    pause = pause.throttled(NOW + 20, "E120", None)
    assert (pause.until_ms, pause.window) == (NOW + 60_000, "second")


def test_the_pause_for_a_quota_doubles_up_to_fifteen_minutes_until_a_call_succeeds() -> None:
    pause, now, pauses = Pause(), NOW, []
    for _ in range(12):
        pause = pause.throttled(now, "E120", None)
        pauses.append((pause.until_ms - now) // 1000)
        now = pause.until_ms
    assert pauses == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]
    pause = pause.succeeded(now)
    assert pause.throttled(now, "E120", None).until_ms == now + 1_000


def test_calls_made_before_a_pause_neither_lengthen_nor_end_it() -> None:
    pause = Pause().throttled(NOW, "E120", None)
    assert pause.throttled(NOW + 500, "E120", None) is pause
    assert pause.succeeded(NOW + 999) is pause
    assert pause.succeeded(NOW + 1_000).doubling_ms == 0
    assert Pause().succeeded(NOW) == Pause()


def test_what_remains() -> None:
    limits = Limits(10, 300, 10_000)
    item = new_item()
    assert remaining(item, NOW, limits) == {"second": 10, "minute": 300, "day": 10_000}
    for _ in range(12):
        item, _ = slots(item, NOW, limits, longest_wait_ms=SINGLE_WAIT_MS)
    assert remaining(item, NOW, limits) == {"second": 0, "minute": 288, "day": 9_988}
    assert remaining(item, NOW + 700, limits)["second"] == 3
    assert remaining(item, NOW + 90_000, limits) == {"second": 10, "minute": 300, "day": 9_988}
    assert remaining(item, NOW, Limits()) == {}
    assert remaining(item, NOW, Limits(0, 5)) == {"minute": 0}


@pytest.mark.parametrize(
    "fields", [{"per_second": -1}, {"per_day": -1}, {"priority_share": 100}, {"priority_share": -1}]
)
def test_limits_are_possible_ones(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"limit|PriorityShare"):
        Limits(**fields)


def test_no_call_is_not_a_take() -> None:
    with pytest.raises(ValueError, match="at least one"):
        plan(new_item(), NOW, Limits(), count=0)


LIMITS = st.builds(
    Limits,
    per_second=st.integers(0, 30),
    per_minute=st.integers(0, 60),
    per_day=st.integers(0, 90),
    priority_share=st.integers(0, 99),
)
STEPS = st.lists(
    st.tuples(st.integers(-200, 90_000), st.booleans(), st.integers(1, 12), st.integers(0, 4_000)),
    max_size=40,
)


@given(LIMITS, STEPS)
def test_a_call_is_taken_from_all_windows_or_from_none(limits: Any, steps: Any) -> None:
    item, now = new_item(), NOW
    for passed, bulk, count, longest in steps:
        now += passed
        result = plan(item, now, limits, count=count, bulk=bulk, longest_wait_ms=longest)
        if isinstance(result, Wait):
            assert result.until_ms > now
            assert result.retry_after_s == max(1, -(-(result.until_ms - now) // 1000))
            # Then, and not earlier, the same call is granted.
            if not bulk or result.window != "second":
                assert slots(item, result.until_ms, limits, bulk=bulk)[1][0] == result.until_ms
            continue
        after = written(item, result)
        granted = result.slots_ms(after)
        assert 1 <= len(granted) <= count
        assert list(granted) == sorted(granted)
        assert now - PASSED_MS <= granted[0]
        assert granted[-1] <= now + longest
        for window in (MINUTE, DAY, BULK_MINUTE, BULK_DAY):
            held = after[window.attribute]
            kept = sum(
                calls
                for bucket, calls in window.buckets(item)
                if bucket >= held["at"] - window.span
            )
            counted = len(granted) if bulk or window in {MINUTE, DAY} else 0
            assert held["n"] == sum(held["counts"].values()) == kept + counted
        item = after


@given(
    st.lists(st.tuples(st.integers(-61_000, 60_000), st.booleans()), max_size=60),
    st.integers(1, 20),
    st.integers(1, 20),
    st.integers(0, 300_000),
)
def test_windows_count_as_a_plain_list_would(
    calls: Any, most: Any, most_bulk: Any, later: Any
) -> None:
    counts, bulk_counts, start = Counter[str](), Counter[str](), NOW // MINUTE.width_ms
    for slot, bulk in calls:
        key = bucket_key((NOW + slot) // MINUTE.width_ms)
        counts[key] += 1
        bulk_counts[key] += bulk
    item = new_item() | {
        "last_minute": {"at": start, "n": len(calls), "counts": counts},
        "bulk_minute": {"at": start, "n": bulk_counts.total(), "counts": bulk_counts},
    }

    def fits(moment: Any) -> Any:
        at = moment // MINUTE.width_ms * MINUTE.width_ms
        left = [bulk for slot, bulk in calls if leaves_at(NOW + slot) > at]
        return len(left) < most and sum(left) < most_bulk

    now = NOW + later
    found = MINUTE.opens_at(item, now, most)
    found = BULK_MINUTE.opens_at(item, found, most_bulk)
    assert found >= now
    assert fits(found)
    assert found == now or not fits(found - 1)


def test_every_bucket_of_a_day_fits_into_a_write_unit_and_bulk_calls_into_another() -> None:
    window = {"at": 10**9, "n": 10**6, "counts": {f"{n:02}": 8_640 for n in range(50)}}
    none = {"at": 10**9, "n": 0, "counts": {}}
    lanes = dict.fromkeys(("shared", "kept", "bulk"), NOW * 1_000 + 123)
    item = new_item() | lanes | {"pk": "limiter", "sk": "windows"}
    item |= {"last_minute": window, "last_day": window, "bulk_minute": none, "bulk_day": none}
    item["pause"] = asdict(Pause(NOW, "second", 900_000))
    assert size_of(encode(item)) <= 1_024
    item |= {"bulk_minute": window, "bulk_day": window}
    assert size_of(encode(item)) <= 2_048
