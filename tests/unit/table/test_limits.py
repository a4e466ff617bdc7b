"""The limiter's rules, one by one: what is granted, what waits, for how long and why."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skycore.table.limit_state import DAY, GUARD_MS, MINUTE, State
from skycore.table.limits import (
    BULK_WAIT_MS,
    SINGLE_WAIT_MS,
    USABLE_MS,
    Granted,
    Limits,
    Remaining,
    Wait,
    remaining,
    succeeded,
    take,
    taught,
    usable,
)

NOW = 1_800_000_000_000  # on the border of a second's and of a day's bucket


def slots(state, now, limits, **options):
    state, result = take(state, now, limits, **options)
    assert isinstance(result, Granted), result
    return state, result.slots_ms


def wait(state, now, limits, **options):
    after, result = take(state, now, limits, **options)
    assert isinstance(result, Wait), result
    assert after is state  # nothing is taken
    return result


def test_without_limits_every_call_goes_now():
    assert slots(State(), NOW, Limits(), count=1_000)[1] == (NOW,) * 1_000


@pytest.mark.parametrize("bulk", [False, True], ids=["single", "bulk"])
def test_a_quiet_account_uses_its_allowance_at_once(bulk):
    limits = Limits(per_day=10_000)
    assert slots(State(), NOW, limits, count=5, bulk=bulk)[1] == (NOW,) * 5
    assert slots(State(), NOW, limits, count=8_000, bulk=bulk)[1] == (NOW,) * 8_000


@pytest.mark.parametrize(
    "limits, window, length_ms, width_ms",
    [
        (Limits(per_minute=5), "minute", MINUTE.length_ms, MINUTE.width_ms),
        (Limits(per_day=5), "day", DAY.length_ms, DAY.width_ms),
        (Limits(100, 5, 100), "minute", MINUTE.length_ms, MINUTE.width_ms),
        (Limits(100, 100, 5), "day", DAY.length_ms, DAY.width_ms),
    ],
)
def test_a_full_window_waits_exactly_until_a_call_fits(limits, window, length_ms, width_ms):
    state, _ = slots(State(), NOW, limits, count=5, longest_wait_ms=1_000)
    told = wait(state, NOW + 1_500, limits, longest_wait_ms=SINGLE_WAIT_MS)
    assert told.window == window
    assert told.until_ms == NOW + width_ms + length_ms + GUARD_MS
    assert told.retry_after_s == -(-(told.until_ms - NOW - 1_500) // 1000)
    wait(state, told.until_ms - 1, limits)
    assert slots(state, told.until_ms, limits)[1] == (told.until_ms,)
    again = NOW + 1_500 + told.retry_after_s * 1000
    assert slots(state, again, limits)[1] == (again,)


def test_a_single_call_is_given_a_slot_that_is_near_enough():
    limits = Limits(per_minute=1)
    state, _ = slots(State(), NOW, limits)
    free = NOW + 1_000 + 60_000 + GUARD_MS
    assert slots(state, free - 2_000, limits, longest_wait_ms=2_000)[1] == (free,)
    assert wait(state, free - 2_001, limits, longest_wait_ms=2_000).until_ms == free


def test_the_second_is_kept_by_spacing():
    _, given_slots = slots(
        State(), NOW, Limits(per_second=10, priority_share=0), count=20, longest_wait_ms=5_000
    )
    assert [slot - NOW for slot in given_slots[:4]] == [0, 105, 209, 313]
    assert given_slots[10] - given_slots[0] == 1_042


def test_the_second_names_itself():
    limits = Limits(per_second=1)
    state, _ = slots(State(), NOW, limits, count=4, longest_wait_ms=5_000)
    assert wait(state, NOW, limits, longest_wait_ms=SINGLE_WAIT_MS) == Wait(
        NOW + 4_167, "second", 5
    )


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
def test_the_pace_is_relaxed_where_a_longer_window_decides(limits, spacing_ms):
    _, given_slots = slots(State(), NOW, limits, count=2, longest_wait_ms=1_000)
    assert given_slots[1] - given_slots[0] == spacing_ms


def test_a_block_is_as_many_as_have_a_slot_in_time():
    limits = Limits(per_second=10, per_minute=6, priority_share=0)
    _, given_slots = slots(State(), NOW, limits, count=10, bulk=True, longest_wait_ms=300)
    assert len(given_slots) == 3
    state, given_slots = slots(
        State(), NOW, limits, count=10, bulk=True, longest_wait_ms=BULK_WAIT_MS
    )
    assert len(given_slots) == 6
    assert wait(state, NOW + 700, limits, bulk=True, longest_wait_ms=1).window == "minute"


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
def test_bulk_leaves_the_priority_share(window, most, share, bulk_part):
    limits = Limits(**{f"per_{window}": most, "priority_share": share})
    state, given_slots = slots(State(), NOW, limits, count=most + 1, bulk=True)
    assert len(given_slots) == bulk_part
    assert wait(state, NOW, limits, bulk=True, longest_wait_ms=BULK_WAIT_MS).window == window
    if most > bulk_part:
        state, given_slots = slots(state, NOW, limits, count=most + 1)
        assert len(given_slots) == most - bulk_part
    assert wait(state, NOW, limits, longest_wait_ms=SINGLE_WAIT_MS).window == window


def test_single_calls_may_use_everything():
    assert len(slots(State(), NOW, Limits(per_minute=300), count=400)[1]) == 300


def test_bulk_calls_find_their_part_although_single_calls_used_theirs():
    limits = Limits(per_minute=10)
    state, _ = slots(State(), NOW, limits, count=2)
    assert len(slots(state, NOW, limits, count=10, bulk=True)[1]) == 8


def test_bulk_is_left_one_call_although_single_calls_came_first():
    limits = Limits(per_minute=10, priority_share=99)
    state, _ = slots(State(), NOW, limits, count=2)
    assert slots(state, NOW, limits, count=10, bulk=True)[1] == (NOW,)


def test_a_batch_catches_up_what_a_single_call_delayed():
    limits = Limits(per_second=4)  # spaced by 260.4 ms, bulk calls by 325.5 ms
    state, _ = slots(State(), NOW, limits)
    _, given_slots = slots(state, NOW, limits, count=5, bulk=True, longest_wait_ms=BULK_WAIT_MS)
    assert [slot - NOW for slot in given_slots] == [261, 521, 782, 1_042, 1_303]


def test_a_waiting_batch_costs_single_calls_nothing():
    limits = Limits(per_second=10, per_minute=50)
    state, _ = slots(State(), NOW, limits, count=40, bulk=True, longest_wait_ms=10_000)
    free = NOW + 61_000 + GUARD_MS
    told = wait(state, free - 2_000, limits, bulk=True, longest_wait_ms=BULK_WAIT_MS)
    assert (told.until_ms, told.window) == (free, "minute")
    assert slots(state, free - 2_000, limits)[1] == (free - 2_000,)


def test_a_single_call_has_a_lane_of_its_own_while_a_batch_runs():
    limits = Limits(per_second=10)
    state, given_slots = slots(
        State(), NOW, limits, count=30, bulk=True, longest_wait_ms=BULK_WAIT_MS
    )
    assert len(given_slots) == 24
    state, given_slots = slots(state, NOW + 5, limits, count=9, longest_wait_ms=SINGLE_WAIT_MS)
    assert [slot - NOW for slot in given_slots] == [5, 526, 1_047, 1_568]


@pytest.mark.parametrize("per_second", [1, 2, 3, 4])
def test_without_a_lane_of_its_own_a_single_call_still_finds_a_slot(per_second):
    limits = Limits(per_second=per_second)
    state, given_slots = slots(
        State(), NOW, limits, count=30, bulk=True, longest_wait_ms=BULK_WAIT_MS
    )
    assert given_slots[-1] < NOW + SINGLE_WAIT_MS
    slots(state, NOW + 500, limits, longest_wait_ms=SINGLE_WAIT_MS)


def test_time_never_goes_back():
    limits = Limits(per_minute=100)
    state, _ = slots(State(), NOW, limits)
    assert wait(state, NOW - 80, limits) == Wait(NOW, "second", 1)
    after, given_slots = slots(state, NOW - 80, limits, longest_wait_ms=SINGLE_WAIT_MS)
    assert given_slots == (NOW,)
    assert after.now == NOW


@pytest.mark.parametrize(
    "late_ms, good", [(-5, True), (0, True), (USABLE_MS, True), (USABLE_MS + 1, False)]
)
def test_a_slot_is_usable_for_half_a_second(late_ms, good):
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
def test_everyone_pauses_when_skycore_says_so(limits, bulk, told, pause_s, window):
    state = taught(State(), NOW, *told)
    assert wait(state, NOW + 1, limits, bulk=bulk) == Wait(NOW + pause_s * 1000, window, pause_s)
    end = NOW + pause_s * 1000
    assert slots(state, end, limits, bulk=bulk)[1] == (end,)


def test_a_short_pause_is_waited_for():
    state = taught(State(), NOW, "E113", None)
    assert slots(state, NOW, Limits(), longest_wait_ms=SINGLE_WAIT_MS)[1] == (NOW + 1_000,)


@pytest.mark.parametrize("code", ["E114", "E503", "", "E1060"])
def test_other_codes_teach_nothing(code):
    state = State(now=NOW)
    assert taught(state, NOW, code, 5) is state


def test_a_shorter_pause_does_not_end_a_longer_one():
    state = taught(taught(State(), NOW, "E106", 60), NOW + 10, "E113", None)
    assert state.pause_until == NOW + 60_000
    state = taught(state, NOW + 20, "E120", None)
    assert (state.pause_until, state.pause_window) == (NOW + 60_000, "second")


def test_the_pause_for_a_quota_doubles_up_to_fifteen_minutes_until_a_call_succeeds():
    state, now, pauses = State(), NOW, []
    for _ in range(12):
        state = taught(state, now, "E120", None)
        pauses.append((state.pause_until - now) // 1000)
        now = state.pause_until
    assert pauses == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]
    state = succeeded(state, now)
    assert taught(state, now, "E120", None).pause_until == now + 1_000


def test_calls_made_before_a_pause_neither_lengthen_nor_end_it():
    state = taught(State(), NOW, "E120", None)
    assert taught(state, NOW + 500, "E120", None) is state
    assert succeeded(state, NOW + 999) is state
    assert succeeded(state, NOW + 1_000).doubling_ms == 0
    assert succeeded(State(), NOW) == State()


def test_what_remains():
    limits = Limits(10, 300, 10_000)
    state = State()
    assert remaining(state, NOW, limits) == Remaining(10, 300, 10_000)
    state, _ = slots(state, NOW, limits, count=12, longest_wait_ms=SINGLE_WAIT_MS)
    assert remaining(state, NOW, limits) == Remaining(0, 288, 9_988)
    assert remaining(state, NOW + 700, limits).second == 3
    assert remaining(state, NOW + 90_000, limits) == Remaining(10, 300, 9_988)
    assert remaining(state, NOW, Limits()) == Remaining(None, None, None)
    assert remaining(state, NOW, Limits(0, 5)).minute == 0


@pytest.mark.parametrize(
    "fields", [{"per_second": -1}, {"per_day": -1}, {"priority_share": 100}, {"priority_share": -1}]
)
def test_limits_are_possible_ones(fields):
    with pytest.raises(ValueError, match=r"limit|PriorityShare"):
        Limits(**fields)


def test_no_call_is_not_a_take():
    with pytest.raises(ValueError, match="at least one"):
        take(State(), NOW, Limits(), count=0)


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
def test_a_call_is_taken_from_all_windows_or_from_none(limits, steps):
    state, now = State(), NOW
    for passed, bulk, count, longest in steps:
        now += passed
        before = state
        state, result = take(state, now, limits, count=count, bulk=bulk, longest_wait_ms=longest)
        if isinstance(result, Wait):
            assert state is before
            assert result.until_ms > now
            assert result.retry_after_s == max(1, -(-(result.until_ms - now) // 1000))
            # Then, and not earlier, the same call is granted.
            if not bulk or result.window != "second":
                assert slots(before, result.until_ms, limits, bulk=bulk)[1][0] == result.until_ms
            continue
        assert 1 <= len(result.slots_ms) <= count
        assert list(result.slots_ms) == sorted(result.slots_ms)
        assert result.slots_ms[0] >= before.now
        assert now <= result.slots_ms[0]
        assert result.slots_ms[-1] <= now + longest
        for window, old, new in (
            (MINUTE, before.minute, state.minute),
            (DAY, before.day, state.day),
        ):
            kept = sum(s + b for n, s, b in old if window.free_at(n) > state.now)
            assert sum(s + b for _, s, b in new) == kept + len(result.slots_ms)
            assert [bucket[0] for bucket in new] == sorted({bucket[0] for bucket in new})
