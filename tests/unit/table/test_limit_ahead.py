"""A list of slots is what single calls would be given, and what is left of it was never taken."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from skycore.table.limit_state import State, decode, encode
from skycore.table.limiter_item import LONGEST, given_back, laid_out, name_of
from skycore.table.limits import Granted, Limits, take

NOW = 1_800_000_000_123
SOME_LIMITS = st.builds(
    Limits,
    per_second=st.sampled_from([1, 3, 10, 50]),
    per_minute=st.sampled_from([0, 1, 20, 300]),
    per_day=st.sampled_from([0, 7, 1_000]),
    priority_share=st.integers(0, 90),
)
HISTORY = st.lists(
    st.tuples(st.integers(0, 5_000), st.integers(1, 8), st.booleans()), max_size=12
)  # milliseconds before, calls, whether they are bulk calls


@given(SOME_LIMITS, HISTORY, st.integers(0, 3_000), st.integers(0, LONGEST))
def test_a_list_is_what_takers_one_by_one_are_given(limits, history, longest_wait_ms, drawn):
    state, now = State(), NOW
    for pause, calls, bulk in history:
        now += pause
        state, _ = take(state, now, limits, count=calls, bulk=bulk, longest_wait_ms=3_000)
    laid = laid_out(state, now, limits, longest_wait_ms)
    if laid is None:
        return
    all_taken, ahead = laid
    assert len(ahead.slots) == len(ahead.lanes) <= LONGEST
    drawn = min(drawn, len(ahead.slots))
    one_by_one, taken = state, []
    for _ in range(drawn):
        one_by_one, result = take(one_by_one, now, limits, longest_wait_ms=longest_wait_ms + 1_000)
        assert isinstance(result, Granted)
        taken += result.slots_ms
    assert tuple(taken) == ahead.slots[:drawn]
    left = ahead.slots[drawn:]
    told = given_back(decode(encode(all_taken)), left, ahead.lanes)
    # What is counted is exact but for what had not been pruned; lanes are on the safe side, by
    # less than the slot that each would give next.
    assert _counts(told.minute) == _counts(one_by_one.minute)
    assert _counts(told.day) == _counts(one_by_one.day)
    assert told.shared_us >= one_by_one.shared_us
    assert told.kept_us >= one_by_one.kept_us
    assert told.bulk_us >= one_by_one.bulk_us
    longest_wait_ms += 1_000
    _, after = take(one_by_one, now, limits, longest_wait_ms=longest_wait_ms)
    if left:
        assert after == Granted(left[:1])
        assert take(told, now, limits, longest_wait_ms=longest_wait_ms)[1] == after


def _counts(buckets):
    return sum(single for _, single, _ in buckets), sum(bulk for *_, bulk in buckets)


def test_no_list_where_it_would_be_of_no_use():
    assert laid_out(State(), NOW, Limits(per_minute=100), 2_000) is None
    assert laid_out(State(), NOW, Limits(per_second=1_000, priority_share=0), 2_000) is None
    assert laid_out(State(pause_until=NOW + 60_000), NOW, Limits(10), 2_000) is None


def test_a_list_is_known_by_all_limits_that_it_was_made_by():
    names = {
        name_of(limits)
        for limits in (
            Limits(1, 2, 3, 20),
            Limits(11, 2, 3, 20),
            Limits(1, 22, 3, 20),
            Limits(1, 2, 33, 20),
            Limits(1, 2, 3, 2),
        )
    }
    assert len(names) == 5
    assert not any(one != other and one.startswith(other) for one in names for other in names)
