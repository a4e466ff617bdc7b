"""Batches stay within what a call may hold, and what was refused is tried once more."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from skycore.aws.batches import ENTRIES, batches, send_twice


@given(st.lists(st.integers(0, 300_000), max_size=60))
def test_every_entry_is_in_one_call_of_legal_size(sizes):
    made = list(batches(range(len(sizes)), sizes, 250_000))
    assert [index for batch in made for index in batch] == list(range(len(sizes)))
    for batch in made:
        assert len(batch) <= ENTRIES
        assert len(batch) == 1 or sum(sizes[index] for index in batch) <= 250_000


@given(st.sets(st.integers(0, 24)), st.sets(st.integers(0, 24)))
def test_what_is_refused_twice_is_left_over(first, second):
    tries: dict[int, int] = {}

    def send(indexes: list[int]) -> set[int]:
        for index in indexes:
            tries[index] = tries.get(index, 0) + 1
        return {index for index in indexes if index not in (first if tries[index] == 1 else second)}

    assert send_twice([1] * 25, 1000, send) == first & second
    assert all(tries[index] == (2 if index in first else 1) for index in range(25))
