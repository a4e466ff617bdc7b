"""A list of slots is what single calls would be given, and what is left of it was never taken."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from skycore.messages.limit_ahead import LONGEST, counted, decode, encode, laid_out
from skycore.messages.limit_state import State
from skycore.messages.limits import Granted, Limits, take

NOW = 1_800_000_000_123
SOME_LIMITS = st.builds(
    Limits,
    per_second=st.sampled_from([0, 1, 3, 10, 50]),
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
    ahead, slots = laid_out(state, now, limits, longest_wait_ms)
    assert decode(encode(ahead)) == ahead
    assert len(slots) == ahead.count <= LONGEST
    drawn = min(drawn, len(slots))
    one_by_one, taken = state, []
    for _ in range(drawn):
        one_by_one, result = take(one_by_one, now, limits, longest_wait_ms=ahead.longest_wait_ms)
        assert isinstance(result, Granted)
        taken += result.slots_ms
    assert tuple(taken) == slots[:drawn]
    assert counted(state, ahead, len(slots) - drawn) == one_by_one
