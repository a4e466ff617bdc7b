"""No message is sent twice and no answer is untrue, however calls, copies and faults interleave."""

from __future__ import annotations

import logging

import pytest

from skycore import metrics
from tests.unit.sending.interleaving import PROFILES, play

RUNS = 25  # of each profile; 200 in all
LONG_RUNS = 640  # of each profile; more than 5,000 in all


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    """Log and count nothing, which would take longer than the runs."""
    for name in ("count", "record"):
        monkeypatch.setattr(metrics, name, lambda *_, **__: None)
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


def check(table, monkeypatch, profile: str, seeds: range) -> None:
    """Play the runs of these seeds; the failure names each seed, which gives the same run again."""
    found = {}
    for seed in seeds:
        with monkeypatch.context() as patch:
            if violations := play(seed, profile, table, patch):
                found[seed] = violations
    assert not found


@pytest.mark.in_memory("hands over between threads at each call")
@pytest.mark.parametrize("profile", PROFILES)
def test_random_runs(table, monkeypatch, profile):
    check(table, monkeypatch, profile, range(RUNS))


@pytest.mark.long
@pytest.mark.in_memory("hands over between threads at each call")
@pytest.mark.parametrize("profile", PROFILES)
def test_many_random_runs(table, monkeypatch, profile):
    check(table, monkeypatch, profile, range(RUNS, RUNS + LONG_RUNS))
