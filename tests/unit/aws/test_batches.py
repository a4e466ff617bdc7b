"""Batches stay within what a call may hold, and what was refused is tried once more."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skycore.aws import queues as cutting
from skycore.aws.queues import send_in_batches


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> Any:
    pauses: list[int] = []
    monkeypatch.setattr(cutting, "back_off", pauses.append)
    return pauses


@given(st.lists(st.sets(st.integers(0, 24)), min_size=3, max_size=3))
def test_what_is_refused_in_every_round_is_left_over(refused: Any) -> None:
    tries: dict[int, int] = {}

    def send(indexes: list[int]) -> set[int]:
        for index in indexes:
            tries[index] = tries.get(index, 0) + 1
        return {index for index in indexes if index not in refused[tries[index] - 1]}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cutting, "back_off", lambda _: None)
        left = send_in_batches([1] * 25, 1000, send, rounds=3, seconds=60)
    assert left == refused[0] & refused[1] & refused[2]
    for index in range(25):
        first = next((n for n, these in enumerate(refused, 1) if index not in these), 3)
        assert tries[index] == first


def test_each_round_but_the_first_waits_and_none_does_in_vain(no_pauses: Any) -> None:
    send_in_batches([1], 1000, lambda _: set(), rounds=4, seconds=60)
    assert no_pauses == [1, 2, 3]
    no_pauses.clear()
    send_in_batches([1], 1000, set, rounds=4, seconds=60)
    assert no_pauses == []


def test_no_call_begins_after_the_time_is_up(
    monkeypatch: pytest.MonkeyPatch, no_pauses: Any
) -> None:
    now = 0.0
    monkeypatch.setattr("skycore.aws.queues.time.monotonic", lambda: now)

    def slow(indexes: list[int]) -> set[int]:
        nonlocal now
        now += 3
        return set(indexes)

    assert send_in_batches([1] * 50, 1000, slow, rounds=5, seconds=5) == set(range(20, 50))
