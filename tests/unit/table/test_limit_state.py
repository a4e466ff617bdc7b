"""The state's text: whole, short, and readable by every release."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skycore.table.limit_state import MINUTE, State, added, decode, encode, free_from, pruned, used

MS = st.integers(0, 4_000_000_000_000)
BUCKETS = st.dictionaries(
    st.integers(1, 500),
    st.tuples(st.integers(0, 9_999), st.integers(0, 9_999)).filter(any),
    max_size=100,
).map(lambda found: tuple((number, *found[number]) for number in sorted(found)))


@given(
    st.builds(
        State,
        now=MS,
        shared_us=MS,
        kept_us=MS,
        bulk_us=MS,
        minute=BUCKETS,
        day=BUCKETS,
        pause_until=MS,
        pause_window=st.sampled_from(["second", "minute", "day"]),
        doubling_ms=st.integers(0, 900_000),
    )
)
def test_a_state_survives_its_text(state):
    assert decode(encode(state)) == state


def test_the_form_stays_as_it_is():
    text = (
        '{"now":1800000000000,"lanes":[104167,0,0],"minute":[1800000000,[1,-2,3],[-3,4]],'
        '"day":[2000000,[4],[4]],"pause":[1800000001000,2,1000]}'
    )
    state = State(
        now=1_800_000_000_000,
        shared_us=1_800_000_000_104_167,
        kept_us=1_800_000_000_000_000,
        bulk_us=1_800_000_000_000_000,
        minute=((1_800_000_000, 1, 0), (1_800_000_003, 3, 4)),
        day=((2_000_000, 4, 4),),
        pause_until=1_800_000_001_000,
        pause_window="day",
        doubling_ms=1_000,
    )
    assert decode(text) == state
    assert encode(state) == text


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"now":1}'])
def test_anything_else_is_an_error(text):
    with pytest.raises((ValueError, KeyError, TypeError)):
        decode(text)


@pytest.mark.parametrize("bulk_too", [False, True], ids=["single calls", "single and bulk"])
def test_a_busy_day_fits_into_a_write_unit_or_two(bulk_too):
    state = State(
        now=1_800_088_200_000,
        shared_us=1_800_088_200_104_167,
        kept_us=1_800_088_200_520_834,
        bulk_us=1_800_088_200_000_000,
        minute=tuple((1_800_088_137 + n, 10, 10 * bulk_too) for n in range(63)),
        day=tuple((2_000_000 + n, 8_640, 8_640 * bulk_too) for n in range(98)),
    )
    names_and_keys = 100
    assert len(encode(state)) + names_and_keys <= (2_048 if bulk_too else 1_024)


@given(
    st.lists(st.tuples(st.integers(0, 200_000), st.booleans()), max_size=60),
    st.integers(1, 20),
    st.integers(1, 20),
    st.integers(0, 300_000),
)
def test_windows_count_as_a_plain_list_would(calls, most, most_bulk, now):
    buckets = ()
    for slot, bulk in calls:
        buckets = added(MINUTE, buckets, slot, bulk=bulk)
    assert used(buckets) == len(calls)

    def fits(moment):
        left = [bulk for slot, bulk in calls if MINUTE.free_at(slot // MINUTE.width_ms) > moment]
        return len(left) < most and sum(left) < most_bulk

    found = free_from(MINUTE, buckets, now, most, most_bulk)
    assert found >= now
    assert fits(found)
    assert found == now or not fits(found - 1)
    kept = pruned(MINUTE, buckets, now)
    assert free_from(MINUTE, kept, now, most, most_bulk) == found
