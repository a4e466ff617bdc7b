"""Everything between the functions and AWS fails now and then: nothing is lost or sent twice."""

from __future__ import annotations

import pytest

from tests.chaos.faults import Faults
from tests.chaos.storm import UNFINISHED, Aftermath, Storm, weather
from tests.integration.conftest import Stack, brought_up
from tests.patience import PATIENCE_SECONDS

# Nothing that takes seconds by itself: with this seed store and publish are killed, but no send is,
# whose outcome would be told after half a minute only.
# A failed message comes again after 8 seconds, because a call on a slow machine takes as long.
SHORT = Storm(
    60, 12, 4, 8, PATIENCE_SECONDS, Faults(267, without=frozenset({"silence", "die_before"}))
)
LONG = Storm(5_000, 500, 8, 30, 900, Faults(4711), poison=True, stream_behind=True)
LIMITS = "MaxCallsPerSecond=20 MaxCallsPerMinute=900"  # so that the limits' one item is fought for


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_short_storm(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    left = weather(stack, SHORT)
    with capsys.disabled():
        print(f"\n{left}")
    nothing_is_lost(left, SHORT)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_long_storm(capsys: pytest.CaptureFixture[str]) -> None:
    with brought_up(".local/chaos", LIMITS) as stack:
        left = weather(stack, LONG)
    with capsys.disabled():
        print(f"\n{left}")
    nothing_is_lost(left, LONG)


def nothing_is_lost(left: Aftermath, storm: Storm) -> None:
    """What the design promises, of all that was seen from outside."""
    assert left.acknowledged == storm.postbacks
    assert not left.expected.missing(left.subscriber)
    stored = {id_: left.stored[id_] for id_ in left.expected.ids}
    assert stored == dict.fromkeys(left.expected.ids, 1)
    # What has no time of its own was stored once if it has one id.
    assert all(len(left.subscriber.of_undated[one]) == 1 for one in left.expected.undated)
    assert not left.untold
    assert set(left.sent.values()) == {1}
    assert not left.lost
    assert not left.ends.keys() & UNFINISHED
    assert left.dead_letters == left.poison
    assert left.calm
