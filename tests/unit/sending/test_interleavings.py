"""No message is sent twice and no answer is untrue, however calls, copies and faults interleave."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
from pynamodb.exceptions import DeleteError

from skycore import metrics
from skycore.catalogue.statuses import RANKS
from skycore.sending import outcomes
from skycore.table import batches, messages, models, queue_transitions
from skycore.table.messages import MessageRow
from tests.unit.sending.interleaving import PROFILES, play
from tests.unit.table.fake_dynamodb import FakeDynamoDB

if TYPE_CHECKING:
    from collections.abc import Iterator

RUNS = 25  # of each profile; 200 in all
RUNS_ON_DYNAMODB_LOCAL = 1  # of each profile: a thousand calls of some milliseconds
SLOW = "makes a thousand calls of the table in each run"
LONG_RUNS = 640  # of each profile; more than 5,000 in all


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Log and count nothing, which would take longer than the runs."""
    for name in ("count", "record"):
        monkeypatch.setattr(metrics, name, lambda *_, **__: None)
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


def check(table: Any, monkeypatch: pytest.MonkeyPatch, profile: str, seeds: range) -> None:
    """Play the runs of these seeds; the failure names each seed, which gives the same run again."""
    found = {}
    for seed in seeds:
        with monkeypatch.context() as patch:
            if violations := play(seed, profile, table, patch):
                found[seed] = violations
    assert not found


@pytest.mark.parametrize("profile", PROFILES)
def test_random_runs(table: FakeDynamoDB, monkeypatch: pytest.MonkeyPatch, profile: Any) -> None:
    in_memory = isinstance(table, FakeDynamoDB)
    check(table, monkeypatch, profile, range(RUNS if in_memory else RUNS_ON_DYNAMODB_LOCAL))


@pytest.mark.long
@pytest.mark.in_memory(SLOW)
@pytest.mark.parametrize("profile", PROFILES)
def test_many_random_runs(
    table: FakeDynamoDB, monkeypatch: pytest.MonkeyPatch, profile: Any
) -> None:
    check(table, monkeypatch, profile, range(RUNS, RUNS + LONG_RUNS))


def without_take_over(patch: Any) -> None:
    patch.setattr(queue_transitions, "take_over", lambda *_: True)


def with_deleted_rows(patch: Any) -> None:
    """Delete a row that is released, as earlier releases did."""

    def delete(message_id: str, attempt: str) -> bool:
        row = MessageRow(models.message_partition(message_id), models.MESSAGE)
        try:
            row.delete((MessageRow.attempt == attempt) & (MessageRow.rank <= RANKS["sending"]))
        except DeleteError as failure:
            if not models.condition_failed(failure):
                raise
            return messages.get(message_id) is None
        return True

    patch.setattr(queue_transitions, "release", delete)


def with_batch_writes(patch: Any) -> None:
    """Put the rows of a batch without a condition."""
    patch.setattr(batches, "put_all_new", lambda rows: not batches.put_all(rows))


def without_records(patch: Any) -> None:
    """Queue no outcome that the table did not take."""
    patch.setattr(outcomes, "queue_outcomes", lambda *_: set())


BROKEN = {
    "take_over": (without_take_over, "queue out", "a 202 is lost"),
    "tombstones": (with_deleted_rows, "late, no keys", "said not sent, and sent"),
    "conditions": (with_batch_writes, "late, no keys", "sent twice"),
    "records": (without_records, "errors", "unknown, and not sent"),
}


@pytest.mark.long
@pytest.mark.in_memory(SLOW)
@pytest.mark.parametrize("name", BROKEN)
def test_a_fault_that_was_fixed_is_found_when_it_comes_back(
    table: FakeDynamoDB, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    break_it, profile, kind = BROKEN[name]
    for seed in range(LONG_RUNS):
        with monkeypatch.context() as patch:
            break_it(patch)
            if kind in {violation[0] for violation in play(seed, profile, table, patch)}:
                return
    pytest.fail(f"{LONG_RUNS} runs did not find that {name} are missing")
