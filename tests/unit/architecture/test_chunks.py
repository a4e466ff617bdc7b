"""Parts stay within what a call may hold, in order, and no entry is lost."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skycore.chunks import chunked


@pytest.mark.parametrize("most", [1, 10, None])
@given(st.lists(st.integers(0, 300_000), max_size=60))
def test_every_entry_is_in_one_part_of_legal_size(most: int | None, sizes: Any) -> None:
    made = list(chunked(sizes, lambda size: size, most=most, most_bytes=250_000))
    assert [size for part in made for size in part] == sizes
    for part in made:
        assert len(part) <= (most or 60)
        assert len(part) == 1 or sum(part) <= 250_000


def test_parts_are_as_large_as_they_may_be() -> None:
    assert list(chunked([3, 3, 3, 9, 1], lambda size: size, most=2, most_bytes=6)) == [
        [3, 3],
        [3],
        [9],
        [1],
    ]
