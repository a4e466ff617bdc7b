"""The rules of the account pause, as a table and over random histories."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skycore.table import pauses
from skycore.table.pauses import (
    MAX_LISTED,
    MAX_PROBE_SECONDS,
    MAX_UNKNOWN,
    NO_PAUSE,
    NO_PAUSES,
    UNKNOWN_OUTCOMES,
    WITNESSES,
    Pause,
)

NOW = 1_800_000_000
HOUR = 3600


def failed(cause: str = "E104", at: int = 0, message_id: str | None = None) -> Any:
    return lambda pause: pauses.failed(pause, cause, NOW + at, message_id)


def unknown(at: int = 0) -> Any:
    return lambda pause: pauses.unknown(pause, NOW + at)


def sent(at: int = 0) -> Any:
    return lambda pause: pauses.succeeded(pause, NOW + at, is_send=True)


def read(at: int = 0) -> Any:
    return lambda pause: pauses.succeeded(pause, NOW + at, is_send=False)


def alone(at: int = 0) -> Any:
    return lambda pause: pauses.failed_alone(pause, "E104")


def probed(at: int = 0) -> Any:
    return lambda pause: pauses.claim(pause, NOW + at, is_send=False)


def by_hand(at: int = 0) -> Any:
    return lambda pause: pauses.resumed(pause, NOW + at, "ann")


def after(*steps: Any) -> Pause:
    pause = NO_PAUSE
    for step in steps:
        pause = step(pause)
    return pause


PAUSED, SINGLE, CLEAR = "paused", "one at a time", "clear"
HISTORIES = [
    # what calls met, what follows, and why
    ((), CLEAR, None),
    ((failed("E104"),), PAUSED, "E104"),
    ((failed("no_connection"),), PAUSED, "no_connection"),
    ((failed("E104"), failed("E112")), PAUSED, "E104"),
    ((failed("E104"), sent()), CLEAR, "E104"),
    ((failed("E104"), read()), CLEAR, "E104"),
    ((failed("E104"), by_hand()), CLEAR, "E104"),
    ((failed("E104"), by_hand(), failed("E104", 1)), PAUSED, "E104"),
    ((unknown(),), SINGLE, None),
    ((unknown(), sent()), CLEAR, None),
    ((unknown(), read()), SINGLE, None),
    ((unknown(),) * 4, SINGLE, None),
    ((unknown(),) * 4 + (sent(), unknown()), SINGLE, None),
    ((unknown(),) * 5, PAUSED, UNKNOWN_OUTCOMES),
    ((unknown(),) * 9, PAUSED, UNKNOWN_OUTCOMES),
    ((unknown(),) * 5 + (sent(),), CLEAR, UNKNOWN_OUTCOMES),
    # Reads work, sends may not: one at a time, and one more unknown outcome pauses again.
    ((unknown(),) * 5 + (read(),), SINGLE, UNKNOWN_OUTCOMES),
    ((unknown(),) * 5 + (read(), unknown()), PAUSED, UNKNOWN_OUTCOMES),
    ((unknown(),) * 5 + (read(), sent()), CLEAR, UNKNOWN_OUTCOMES),
    # An unknown outcome of a probe: the next probes send nothing.
    ((failed("E104"), unknown()), PAUSED, UNKNOWN_OUTCOMES),
    # A message that fails alone pauses nobody, however often.
    ((failed(), sent(60), alone(), sent(120), alone(), sent(180)), CLEAR, "E104"),
    # Many such messages: after a recovery it takes several failures in a row.
    ((failed(), sent(60), failed("E104", 61)), CLEAR, "E104"),
    ((failed(), sent(60), *(failed("E104", 61),) * WITNESSES), PAUSED, "E104"),
    ((failed(), sent(60), failed("E104", 61), sent(62), failed("E104", 63)), CLEAR, "E104"),
    ((failed(), sent(60), failed("E112", 61)), PAUSED, "E112"),
    ((failed(), sent(60), failed("E104", 61 + HOUR)), PAUSED, "E104"),
]


@pytest.mark.parametrize(("history", "state", "cause"), HISTORIES)
def test_what_calls_met_decides_how_the_next_go(history: Any, state: Any, cause: Any) -> None:
    pause = after(*history)
    now = PAUSED if pause.paused else SINGLE if pause.one_at_a_time else CLEAR
    assert (now, pause.cause) == (state, cause)


def test_a_success_changes_nothing_unless_the_item_shows_failures() -> None:
    for pause in (NO_PAUSE, after(failed(), sent(5)), after(failed(), by_hand())):
        assert sent(9)(pause) is pause
        assert read(9)(pause) is pause


def probe_times(pause: Pause, hours: int, cause: str = "E104") -> list[int]:
    """When probes are made that all fail, asked for every minute."""
    made = []
    for minute in range(hours * 60):
        now = NOW + minute * 60
        claimed = pauses.claim(pause, now, is_send=False)
        if claimed is not None:
            made.append(minute)
            pause = pauses.failed(claimed, cause, now)
    return made


def test_probes_come_every_minute_and_back_off_to_fifteen() -> None:
    times = probe_times(after(failed()), 4)
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert times[0] == 1
    assert gaps[:45] == [1] * 45
    assert sorted(gaps) == gaps
    assert gaps[-1] == MAX_PROBE_SECONDS / 60


def test_one_probe_is_made_however_many_ask() -> None:
    pause = after(failed())
    assert pauses.claim(pause, NOW + 30, is_send=True) is None
    claimed = pauses.claim(pause, NOW + 60, is_send=True)
    assert claimed is not None
    assert pauses.claim(claimed, NOW + 61, is_send=True) is None


def test_after_unknown_outcomes_the_probe_is_no_send() -> None:
    pause = after(*(unknown(),) * MAX_UNKNOWN)
    assert pauses.claim(pause, NOW + 60, is_send=True) is None
    assert pauses.claim(pause, NOW + 60, is_send=False) is not None


def test_without_success_of_reads_a_send_probes_every_15_minutes() -> None:
    pause, sends = after(*(unknown(),) * MAX_UNKNOWN), []
    for minute in range(1, 61):
        now = NOW + minute * 60
        claimed = pauses.claim(pause, now, is_send=True)
        if claimed is not None:
            sends.append(minute)
            pause = pauses.unknown(claimed, now)
        pause = pauses.claim(pause, now, is_send=False) or pause
    assert sends == [15, 30, 45, 60]
    assert pause.reads > 50


def test_no_send_probes_before_reads_had_no_success() -> None:
    pause = after(*(unknown(),) * MAX_UNKNOWN)
    assert pauses.claim(pause, NOW + HOUR, is_send=True) is None


def test_after_one_unknown_outcome_calls_go_one_at_a_time() -> None:
    pause = after(unknown())
    claimed = pauses.claim(pause, NOW, is_send=True)
    assert claimed is not None
    assert pauses.claim(claimed, NOW + 5, is_send=True) is None
    assert pauses.claim(unknown(6)(claimed), NOW + 6, is_send=True) is not None
    # The process that had the call died.
    assert pauses.claim(claimed, NOW + pauses.CALL_SECONDS, is_send=True) is not None


def test_sends_that_hang_while_reads_work_become_unknown_ever_more_rarely() -> None:
    """One more message each time that a probe says that Skycore answers."""
    pause, lost = after(*(unknown(),) * MAX_UNKNOWN), MAX_UNKNOWN
    for second in range(0, 45 * 60, 10):
        claimed = pauses.claim(pause, NOW + second, is_send=False)
        if pause.paused and claimed is not None:
            pause = unknown(second)(read(second)(claimed))
            lost += 1
    assert lost <= 11


def test_a_message_that_fails_again_while_others_succeed_fails_by_itself() -> None:
    pause = after(failed("E104", 0, "m"), sent(60))
    assert pauses.is_own_failure(pause, "E104", "E104", NOW)
    assert not pauses.is_own_failure(pause, "E112", "E104", NOW), "another failure"
    assert not pauses.is_own_failure(pause, "E104", None, 0), "its first failure"
    assert not pauses.is_own_failure(pause, "E104", "E104", NOW + 60), "nobody succeeded since"
    assert not pauses.is_own_failure(after(failed()), "E104", "E104", NOW), "all fail"


def test_a_pause_that_was_ended_by_hand_proves_nothing_about_the_message() -> None:
    pause = after(failed("E104", 0, "m"), by_hand(60))
    assert not pauses.is_own_failure(pause, "E104", "E104", NOW)
    assert (pause.ended_by, pause.ended_at) == ("ann", NOW + 60)


def test_the_message_that_failed_is_the_last_probe() -> None:
    pause = after(failed("E104", 0, "poison"))
    for message_id in "abcdefg":
        pause = pauses.list_next(pause, message_id)
    assert pause.candidates == (*"abcde", "poison")
    pause = pauses.failed(pause, "E104", NOW + 60, "a")
    assert pause.candidates == (*"bcde", "poison", "a")
    assert pauses.unlist(pause, frozenset("bp")).candidates == (*"cde", "poison", "a")


def test_few_messages_are_listed_however_many_fail() -> None:
    pause = after(failed())
    for n in range(50):
        pause = pauses.failed(pause, "E104", NOW, f"m{n}")
    assert len(pause.last) == MAX_LISTED


STEPS = st.sampled_from(["fail", "alone", "unknown", "sent", "read", "probe", "resume"])


@given(st.lists(st.tuples(STEPS, st.integers(1, 600)), max_size=60))
def test_every_pause_ends_by_the_first_send_and_lets_probes_through(history: Any) -> None:
    pause, now = NO_PAUSE, NOW
    for step, seconds in history:
        now += seconds
        match step:
            case "fail":
                pause = pauses.failed(pause, "E104", now, f"m{seconds}")
            case "alone":
                pause = pauses.failed_alone(pause, "E104")
            case "unknown":
                pause = pauses.unknown(pause, now)
            case "sent":
                pause = pauses.succeeded(pause, now, is_send=True)
                assert not pause.shows_failures
            case "read":
                pause = pauses.succeeded(pause, now, is_send=False)
                assert not pause.paused
            case "probe":
                pause = pauses.claim(pause, now, is_send=False) or pause
            case "resume":
                pause = pauses.resumed(pause, now, "ann")
                assert not pause.paused
        assert pause.cause is not None or not pause.paused
        assert len(pause.candidates) <= 2 * MAX_LISTED
        if pause.paused:
            assert pauses.claim(pause, now + MAX_PROBE_SECONDS, is_send=False) is not None
        else:
            assert pauses.claim(pause, now + pauses.CALL_SECONDS, is_send=True) is not None


@pytest.mark.usefixtures("table")
class TestItem:
    def test_it_reads_as_it_was_written(self) -> None:
        pause = after(failed("E104", 0, "m"), probed(60))
        seen = pauses.write(NO_PAUSES, "account", pause)
        assert seen is not None
        assert pauses.write(seen, "sendMMS", replace(pause, cause="E107")) is not None
        read = pauses.read(consistent=True)
        assert read.of("account") == pause
        assert read.of("sendMMS").cause == "E107"
        assert read.of("sendSMS") == NO_PAUSE

    def test_a_write_in_place_of_what_is_gone_is_refused(self) -> None:
        first = pauses.write(NO_PAUSES, "account", after(failed()))
        assert first is not None
        assert pauses.write(NO_PAUSES, "account", after(unknown())) is None
        assert pauses.write(first, "account", after(unknown())) is not None
        assert pauses.write(first, "account", NO_PAUSE) is None

    def test_what_a_later_release_added_is_ignored(self) -> None:
        values = {"paused": True, "cause": "E104", "colour": "red"}
        assert pauses._from_json(values) == Pause(paused=True, cause="E104")
