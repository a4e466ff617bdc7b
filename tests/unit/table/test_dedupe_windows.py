"""Postbacks without a time or id: a repeat within 30 minutes of the first arrival, news later."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skycore.postbacks.parser import read_postback
from skycore.table.events import claim_first_arrival
from tests.unit.table.tables import new_table

if TYPE_CHECKING:
    from skycore.postbacks.event import Event
    from tests.unit.table.fake_dynamodb import FakeDynamoDB

START = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
BODY = (
    b"<POSTBACK><ORIGIN>EMAIL_SUB</ORIGIN><CODE>N303</CODE><EMAIL>a@example.com</EMAIL></POSTBACK>"
)


def event(minutes: float) -> Event:
    (one,) = read_postback(BODY, START + timedelta(minutes=minutes))
    assert not one.has_own_identity
    return one


def first(minutes: float) -> float:
    return (claim_first_arrival(event(minutes), 90) - START) / timedelta(minutes=1)


@pytest.mark.parametrize(
    ("arrivals", "firsts"),
    [
        ([0], [0]),
        ([0, 5, 29, 30], [0, 0, 0, 0]),
        ([0, 31], [0, 31]),
        ([0, 31, 62, 63], [0, 31, 62, 62]),
        ([20, 0], [20, 20]),  # the first one waited longer in the queue
        ([0, 40, 0], [0, 40, 0]),  # redelivered after the next window began
        ([0, 40, 5, 29], [0, 40, 0, 0]),  # its repeats came out of the dead-letter queue
        ([0, 31, 25], [0, 31, 0]),
        ([0, 60 * 24 * 13, 5], [0, 60 * 24 * 13, 0]),
    ],
    ids=str,
)
def test_an_arrival_belongs_to_a_first_one(table: FakeDynamoDB, arrivals: Any, firsts: Any) -> None:
    assert [first(minutes) for minutes in arrivals] == firsts


def test_copies_that_arrive_together_share_one_first_arrival(table: FakeDynamoDB) -> None:
    """Between reading and writing, another copy is written."""
    raced = iter([2.0, 1.0])

    def race(_: int, operation: str, __: object) -> None:
        if operation == "PutItem":
            other = next(raced, None)
            if other is not None:
                first(other)

    table.before = race
    assert first(3) == 1


def test_a_lost_race_after_the_window_is_found_again(table: FakeDynamoDB) -> None:
    first(0)
    others = iter([45.0])

    def race(calls: int, operation: str, request: dict[str, Any]) -> None:
        if operation == "PutItem" and "#0 = :0" in request["ConditionExpression"]:
            other = next(others, None)
            if other is not None:
                first(other)

    table.before = race
    assert first(50) == 45


def test_a_window_outlives_the_queues(table: FakeDynamoDB) -> None:
    claim_first_arrival(event(0), 2)
    (row,) = table.items.values()
    assert int(row["expires"]["N"]) >= (START + timedelta(days=14)).timestamp()


@pytest.mark.in_memory("stores a thousand arrivals")
def test_a_steady_content_does_not_grow_its_row_for_ever(table: FakeDynamoDB) -> None:
    for n in range(0, 60 * 24 * 40, 60):
        first(n)
    (row,) = table.items.values()
    assert len(row["first_seen"]["S"].split()) == 14 * 24 + 1


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(0, 200), max_size=12), st.randoms())
def test_redelivery_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, arrivals: Any, random: Any
) -> None:
    from pynamodb.connection.base import Connection

    monkeypatch.setattr(Connection, "client", new_table())
    firsts = {first(minutes) for minutes in arrivals}
    again = arrivals * 3
    random.shuffle(again)
    assert {first(minutes) for minutes in again} <= firsts
    assert all(abs(a - b) > 30 for a, b in itertools.combinations(firsts, 2))
