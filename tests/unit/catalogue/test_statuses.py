"""A status moves by rank: any order and any repetition of reports gives the same end."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skycore.catalogue.statuses import OWN_STEPS, RANKS

REPORTS = ["sent", "expired", "failed", "delivered"]


def end(reports: list[str]) -> str:
    status = "accepted"
    for report in reports:
        if RANKS[report] > RANKS[status]:
            status = report
    return status


@given(
    st.lists(st.sampled_from(REPORTS)).flatmap(lambda r: st.tuples(st.just(r), st.permutations(r)))
)
def test_order_and_repetition_do_not_matter(pair: Any) -> None:
    reports, shuffled = pair
    assert end(reports) == end(shuffled) == end(reports + shuffled)


@pytest.mark.parametrize(
    ("lower", "higher"),
    [
        ("queued", "sending"),
        ("sending", "unknown"),
        ("sending", "accepted"),
        ("unknown", "accepted"),
        ("accepted", "sent"),
        ("sent", "expired"),
        ("expired", "failed"),
        ("failed", "delivered"),
        ("sending", "rejected"),
        ("queued", "cancelled"),
    ],
)
def test_the_ladder(lower: str, higher: str) -> None:
    assert RANKS[lower] < RANKS[higher]


def test_every_own_step_is_a_status() -> None:
    assert set(OWN_STEPS) <= set(RANKS)
