"""MaxPerRecipientPerDay: a number gets no more, and what waits goes the next day."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from skycore import keyed_hash
from skycore.problems import Problem
from skycore.table import messages, opt_outs, queue_transitions
from tests.unit.sending.waiting_world import World
from tests.unit.table.conftest import table

if TYPE_CHECKING:
    from tests.unit.table.fake_dynamodb import FakeDynamoDB

__all__ = ["table"]


@pytest.fixture
def world(table: FakeDynamoDB, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


@pytest.fixture(autouse=True)
def two_a_day(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HASH_SECRET", "hash-secret")
    monkeypatch.setattr(keyed_hash, "_key", lambda _name: b"a secret of this test")
    world.context = replace(world.context, daily_ceiling=2)


def sent(world: World) -> int:
    return sum(done for _, _, done in world.calls)


def test_a_direct_send_over_the_ceiling_is_refused_until_the_next_day(world: World) -> None:
    world.send()
    world.send()
    with pytest.raises(Problem, match="ceiling_reached") as caught:
        world.send()
    tomorrow = (world.now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    assert caught.value.status == 422
    assert caught.value.retryable
    wait = (tomorrow - world.now).total_seconds()
    assert abs(int(caught.value.headers()["Retry-After"]) - wait) <= 2
    assert sent(world) == 2


def test_equivalent_forms_of_a_number_share_a_ceiling(world: World) -> None:
    world.send(to="+525512345678")
    world.send(to="+525512345678")
    with pytest.raises(Problem, match="ceiling_reached"):
        world.send(to="+525512345678")
    world.send(to="+525512345679")


def test_a_queued_message_over_the_ceiling_goes_the_next_day(world: World) -> None:
    world.now = world.now.replace(hour=22, minute=45)
    ids = [world.enqueue() for _ in range(3)]
    day = world.now.date()
    world.run(minutes=10)
    assert sent(world) == 2
    row = next(row for id_ in ids if (row := messages.get(id_)) and row.status == "queued")
    assert row.tries == 0
    world.run(hours=3)
    assert sent(world) == 3
    assert world.calls[-1][0].date() > day


def test_a_direct_send_that_sent_nothing_does_not_count(world: World) -> None:
    from skycore.client.errors import NotSent

    world.fails = lambda *_: NotSent("refused")
    for _ in range(5):
        with pytest.raises(Problem, match="skycore_unreachable"):
            world.send()
    world.fails = lambda *_: None
    world.send()
    world.send()
    assert sent(world) == 2


def test_a_queued_message_counts_once_however_often_it_is_claimed(world: World) -> None:
    from skycore.client.errors import NotSent

    world.fails = lambda *_: NotSent("refused")
    world.enqueue()
    world.run(minutes=3)
    world.fails = lambda *_: None
    world.run(hours=1)
    world.send()
    assert sent(world) == 2
    with pytest.raises(Problem, match="ceiling_reached"):
        world.send()


def test_no_number_stands_in_the_row_that_counts(world: World, table: FakeDynamoDB) -> None:
    world.send()
    (row,) = table.of_kind("ceiling")
    assert "7743199144" not in str(row)


def test_a_send_that_was_never_counted_leaves_no_row(world: World, table: FakeDynamoDB) -> None:
    """An update of a row that is not there made an empty one, which nothing ever deletes."""
    queue_transitions.uncount_for_recipient("id", "17743199144", world.now.date())
    assert table.items == {}


def test_the_row_of_a_number_and_its_opt_out_have_different_hashes() -> None:
    number = "17743199144"
    hashed = {queue_transitions.ceiling_partition(number), opt_outs.hashed_partition(number)}
    assert len({key.partition("#")[2] for key in hashed}) == 2


def test_a_days_messages_fit_into_the_row_that_counts_them() -> None:
    template = (Path(__file__).parents[3] / "template.yaml").read_text()
    pattern = re.search(r"MaxPerRecipientPerDay:\n.*\n.*\n    AllowedPattern: (\S+)", template)
    assert pattern is not None
    assert re.fullmatch(pattern[1], "9999")
    assert not re.fullmatch(pattern[1], "10000")
    assert 9_999 * (32 + 1) < 400_000  # ids of 32 bytes, in an item of DynamoDB
