"""Limits over rolling windows: refused calls send nothing and use nothing up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator_harness import Skycore
from skycore_simulator import limits
from skycore_simulator.limits import Limits, max_in_window
from skycore_simulator.replies import RefusalError
from skycore_simulator.settings import Settings

SMS = {"TO": "17743199144", "FROM": "60856", "TEXT": "Hello"}


class Clock:
    """Stands in for the time module."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.mark.parametrize(
    "setting, code, length",
    [("max_per_second", "E106", 1), ("max_per_minute", "E113", 60), ("max_per_day", "E120", 86400)],
)
def test_windows_roll(
    monkeypatch: pytest.MonkeyPatch, setting: str, code: str, length: float
) -> None:
    clock = Clock()
    monkeypatch.setattr(limits, "time", clock)
    account, settings = Limits(), Settings().changed({setting: 2})
    account.take(settings, "sendSMS")
    clock.now += length / 2
    account.take(settings, "sendMMS")
    clock.now += length / 2 - 0.25
    for _ in range(3):
        with pytest.raises(RefusalError, match=code):
            account.take(settings, "sendSMS")
    clock.now += 0.25
    account.take(settings, "sendSMS")
    with pytest.raises(RefusalError, match=code):
        account.take(settings, "sendSMS")


def test_one_action_can_have_its_own(skycore: Skycore) -> None:
    skycore.set(action_limits={"sendsms": 1})
    assert skycore.call("sendSMS", **SMS)["STATUS"] == "Success"
    assert skycore.call("sendSMS", **SMS)["ERRORCODE"] == "E113"
    assert skycore.call("loginUser")["STATUS"] == "Success"


def test_the_refusal_names_the_seconds_and_sends_nothing(skycore: Skycore) -> None:
    skycore.set(max_per_second=3)
    replies = [skycore.call("sendSMS", **SMS) for _ in range(5)]
    assert [reply["STATUS"] for reply in replies] == ["Success"] * 3 + ["Failure"] * 2
    assert "minimum 1 seconds" in replies[-1]["ERRORINFO"]
    counts = skycore.control("GET", "counts")
    assert counts["accepted"] == counts["accepted_sends"] == counts["messages"] == 3
    assert counts["most_accepted_in"] == {"second": 3, "minute": 3, "day": 3}
    assert counts["most_calls_in"]["second"] == 5
    assert counts["refusals"] == {"E106": 2}
    assert counts["accepted_by_action"] == {"sendSMS": 3}


@given(st.lists(st.integers(0, 50)), st.integers(1, 10))
def test_most_in_a_window(times: list[int], length: int) -> None:
    ordered = sorted(times)
    slow = max((sum(t <= u < t + length for u in ordered) for t in ordered), default=0)
    assert max_in_window(ordered, length) == slow
