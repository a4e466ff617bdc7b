"""An outage of Skycore, or trouble with the account, ends no queued message."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest

from skycore.client.errors import CredentialsMissing, NotSent, OutcomeUnknown, Refused
from skycore.table import pauses
from tests.unit.sending.waiting_world import BATCH, World, row, status

IN_MINUTES = 45
N = 60
OUTAGES = {
    "refused connections": NotSent("connection refused"),
    "wrong key": Refused("E104", "API key/User does not exist", {}),
    "no key": CredentialsMissing(),
    "502 pages": OutcomeUnknown("HTTP 502"),
    "timeouts": OutcomeUnknown("no whole reply in time"),
}


@pytest.fixture
def world(table, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def account() -> pauses.Pause:
    return pauses.read(consistent=True).of("account")


@pytest.mark.in_memory("45 minutes of 500 messages")
@pytest.mark.parametrize("kind", OUTAGES)
def test_an_outage_of_45_minutes_ends_no_message(world, kind):
    world.run(minutes=1)
    world.fails = lambda *_: OUTAGES[kind]
    ids = [world.enqueue() for _ in range(N)]
    world.run(minutes=IN_MINUTES)
    assert account().paused
    waiting = world.receives
    assert waiting < 3 * len(ids), "what waits is looked at again and again"
    recovery, world.fails = world.now, lambda *_: None
    world.run(minutes=2)
    first = min(world.accepted_at())
    assert first - recovery < timedelta(minutes=2)
    world.run(minutes=3)
    found = Counter(status(id_) for id_ in ids)
    unknown = found.pop("unknown", 0)
    assert found == {"accepted": len(ids) - unknown}, found
    # A batch is in flight when the outage begins; then calls go one at a time, and none.
    assert unknown <= (BATCH if isinstance(OUTAGES[kind], OutcomeUnknown) else 0)
    assert {int(row(id_).tries) for id_ in ids} == {0}
    assert world.dead == []
    assert not account().paused
