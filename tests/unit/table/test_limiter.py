"""The limiter's item: one write a call, and nothing lost when many write at once."""

from __future__ import annotations

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from pynamodb.exceptions import VerboseClientError

from skycore.table.limiter import (
    CONTENDED_MS,
    KEY,
    MAX_ATTEMPTS,
    PAUSE_KNOWN_FOR_MS,
    PREVIOUS_KEY,
    Limiter,
)
from skycore.table.limits import (
    BULK_DAY,
    BULK_MINUTE,
    DAY,
    MINUTE,
    PASSED_MS,
    USABLE_MS,
    Limits,
    Wait,
    remaining,
)
from tests.unit.table.limit_table import Table

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW = MINUTE.width_ms * 1_384_615_385  # on the border of a minute's bucket
PER_MINUTE = Limits(per_minute=100)


class Clock:
    def __init__(self) -> None:
        self.ms = NOW

    def __call__(self) -> int:
        return self.ms

    def sleep(self, seconds: float) -> None:
        self.ms += round(seconds * 1000)


@pytest.fixture
def table() -> Iterator[Any]:
    fake = Table()
    with fake.connected():
        yield fake


@pytest.fixture
def clock() -> Any:
    return Clock()


@pytest.fixture
def process(clock: Any) -> Any:
    return lambda: Limiter(clock, clock.sleep)


@pytest.fixture
def made(table: Any, process: Any) -> None:
    """The item is there, as it is but for an account's first call."""
    process()._read(consistent=True)
    table.calls.clear()


def test_the_first_call_of_an_account_makes_the_item(table: Any, process: Any) -> None:
    assert process().take(PER_MINUTE) == (NOW,)
    assert table.calls == ["GetItem", "GetItem", "UpdateItem", "UpdateItem"]
    assert table.item["kind"] == "limiter"


def test_a_process_reads_once_and_then_a_call_is_one_write(
    table: Any, process: Any, made: None
) -> None:
    one = process()
    for _ in range(5):
        assert one.take(PER_MINUTE) == (NOW,)
    assert table.calls == ["GetItem"] + ["UpdateItem"] * 5
    assert remaining(table.item, NOW, PER_MINUTE)["minute"] == 95


def test_a_block_is_one_write(table: Any, process: Any, made: None) -> None:
    assert process().take(PER_MINUTE, count=50, bulk=True) == (NOW,) * 50
    assert table.calls == ["GetItem", "UpdateItem"]


def test_writes_from_the_same_view_all_succeed(table: Any, process: Any, made: None) -> None:
    # Nobody sees the others' writes, and nobody has to: they commute.
    limits = Limits(per_second=10, per_minute=100)
    processes = [process() for _ in range(5)]
    process().take(limits, longest_wait_ms=2_000)
    for one in processes:
        one._read(consistent=True)
    table.calls.clear()
    slots = [one.take(limits, longest_wait_ms=2_000) for one in processes[:1]]
    lead = processes[0]._item
    table.calls.clear()
    for one in processes[1:]:
        one._item = lead
        slots.append(one.take(limits, longest_wait_ms=2_000))
    assert table.calls == ["UpdateItem"] * 4
    assert len(set(slots)) == 5
    assert remaining(table.item, NOW, limits)["minute"] == 94


@pytest.mark.parametrize(
    "tells_item, calls",
    [(True, ["UpdateItem"] * 2), (False, ["UpdateItem", "GetItem", "UpdateItem", "UpdateItem"])],
    ids=["told the item", "not told"],
)
def test_a_process_whose_view_is_too_old_tries_again(
    table: Any, process: Any, clock: Any, tells_item: bool, calls: Any
) -> None:
    one, other = process(), process()
    one.take(PER_MINUTE)
    clock.ms += MINUTE.width_ms
    other.take(PER_MINUTE)  # moves the window on
    table.tells_item = tells_item
    table.calls.clear()
    assert isinstance(one.take(PER_MINUTE), tuple)
    assert table.calls == calls
    assert remaining(table.item, NOW, PER_MINUTE)["minute"] == 97


def test_after_a_failed_write_a_process_reads_before_it_writes(
    table: Any, process: Any, clock: Any, made: None
) -> None:
    one, other = process(), process()
    one.take(PER_MINUTE)
    clock.ms += MINUTE.width_ms
    other.take(PER_MINUTE)
    one.take(PER_MINUTE)
    for passed, calls in ((1, ["GetItem", "UpdateItem"]), (CONTENDED_MS, ["UpdateItem"])):
        clock.ms += passed
        table.calls.clear()
        assert isinstance(one.take(PER_MINUTE), tuple)
        assert table.calls == calls


def test_a_write_in_between_is_not_overwritten(table: Any, process: Any) -> None:
    one, other = process(), process()
    one.take(PER_MINUTE)
    table.before = lambda: other.take(PER_MINUTE, count=10)
    one.take(PER_MINUTE)
    assert remaining(table.item, NOW + 100, PER_MINUTE)["minute"] == 100 - 12


@pytest.mark.parametrize("bulk", [False, True], ids=["single", "bulk"])
def test_a_lost_answer_loses_its_calls_and_nothing_else(
    table: Any, process: Any, bulk: bool
) -> None:
    # The write was made and its answer lost, so botocore writes again: one call is nobody's.
    one = process()
    one.take(PER_MINUTE)

    def lost() -> None:
        repeated = table.requests[-1]
        try:
            table._table._make_api_call("UpdateItem", repeated)
        except ClientError as refused:
            response: Any = refused.response
            response.setdefault("Item", table.attributes)
            raise

    table.after = lost
    assert one.take(PER_MINUTE, bulk=bulk) == (NOW,)
    assert remaining(table.item, NOW, PER_MINUTE)["minute"] == 97


def test_other_failures_are_raised(table: Any, process: Any) -> None:
    def throttled() -> None:
        raise VerboseClientError({"Error": {"Code": "ThrottlingException"}}, "UpdateItem")

    table.before = throttled
    with pytest.raises(VerboseClientError):
        process().take(PER_MINUTE)


def test_a_refusal_takes_nothing_and_is_not_told_from_memory(
    table: Any, process: Any, clock: Any
) -> None:
    one, other = process(), process()
    one.take(PER_MINUTE, count=100)
    clock.ms += 5_000
    before = table.item
    table.calls.clear()
    told = one.take(PER_MINUTE, longest_wait_ms=2_000)
    assert told == Wait(NOW + 62_400, "minute", 58)
    assert table.calls == ["GetItem"]
    assert table.item == before
    # An operator deleted the item: nobody goes on waiting.
    table.delete()
    assert one.take(PER_MINUTE) == (clock.ms,)
    assert isinstance(other.take(PER_MINUTE), tuple)


def test_a_write_that_took_too_long_is_taken_again(
    table: Any, process: Any, clock: Any, made: None
) -> None:
    def slow() -> None:
        clock.ms += USABLE_MS + 1

    table.after = slow
    result = process().take(PER_MINUTE)
    assert isinstance(result, tuple)
    assert result[0] > NOW + USABLE_MS
    assert remaining(table.item, clock.ms, PER_MINUTE)["minute"] == 98  # the late slot is lost


def test_of_a_late_block_the_slots_that_are_still_good_are_given(
    table: Any, process: Any, clock: Any, made: None
) -> None:
    def slow() -> None:
        clock.ms += 700

    table.after = slow
    result = process().take(
        Limits(per_second=10, priority_share=0), count=10, bulk=True, longest_wait_ms=3_000
    )
    assert [slot - NOW for slot in result] == [209, 313, 417, 521, 626, 730, 834, 938]


def test_conditions_that_always_fail_are_a_wait(table: Any, process: Any, clock: Any) -> None:
    one, other = process(), process()

    def quicker() -> None:
        clock.ms += MINUTE.width_ms
        table.before = None
        other._read(consistent=True)
        other.take(Limits(per_minute=100_000))
        table.before = quicker

    one._read(consistent=True)
    table.before = quicker
    told = one.take(PER_MINUTE)
    assert told == Wait(clock.ms + 1_000, "second", 1)
    assert table.calls.count("UpdateItem") <= 3 * MAX_ATTEMPTS


@pytest.mark.parametrize("limits", [Limits(), PER_MINUTE], ids=["no limits", "limits"])
def test_a_pause_holds_in_every_process(table: Any, process: Any, clock: Any, limits: Any) -> None:
    one, other = process(), process()
    one.take(limits)
    other.take(limits)
    assert one.on_throttled(limits, "E106", 30) == Wait(clock.ms + 30_000, "second", 30)
    until = clock.ms + 30_000
    assert one.take(limits).until_ms == until
    clock.ms += PAUSE_KNOWN_FOR_MS
    assert other.take(limits).until_ms == until
    clock.ms = until
    assert other.take(limits) == (until,)


@pytest.mark.parametrize("limits", [Limits(), PER_MINUTE], ids=["no limits", "limits"])
def test_an_operator_holds_every_process_and_lets_go(
    table: Any, process: Any, clock: Any, limits: Any
) -> None:
    one, operator = process(), process()
    one.take(limits)
    until = operator.pause(15_000)
    assert until == clock.ms + 15_000
    clock.ms += PAUSE_KNOWN_FOR_MS
    assert one.take(limits).until_ms == until
    operator.resume(until)
    clock.ms += PAUSE_KNOWN_FOR_MS
    assert isinstance(one.take(limits), tuple)


def test_letting_go_ends_no_pause_of_skycore_s(table: Any, process: Any, clock: Any) -> None:
    one, operator = process(), process()
    until = operator.pause(15_000)
    taught = one.on_throttled(Limits(), "E106", 60)
    operator.resume(until)
    assert one.take(Limits()).until_ms == taught.until_ms
    operator.resume(operator.pause(15_000))  # shorter than the pause that there is
    assert process().take(Limits()).until_ms == taught.until_ms


def test_without_limits_a_process_reads_seldom_and_writes_never(
    table: Any, process: Any, clock: Any
) -> None:
    one = process()
    for _ in range(100):
        assert one.take(Limits()) == (clock.ms,)
        clock.ms += 100
    assert table.calls == ["GetItem"] * 2


def test_a_quota_pause_doubles_in_the_item_and_ends_with_a_success(
    table: Any, process: Any, clock: Any
) -> None:
    one, other = process(), process()
    pauses = []
    for limiter in (one, other, one):
        told = limiter.on_throttled(PER_MINUTE, "E120", None)
        assert told.window == "day"
        pauses.append(told.retry_after_s)
        clock.ms = told.until_ms
    assert pauses == [1, 2, 4]
    table.calls.clear()
    one.take(PER_MINUTE)
    one.on_success()
    assert table.item["pause"]["doubling_ms"] == 0
    assert table.calls.count("UpdateItem") == 2
    for _ in range(3):
        one.on_success()
    assert table.calls.count("UpdateItem") == 2  # nothing more to write


def test_many_are_told_of_the_same_used_up_quota_at_once(table: Any, process: Any) -> None:
    processes = [process() for _ in range(10)]
    told = [limiter.on_throttled(Limits(), "E120", None) for limiter in processes]
    assert table.item["pause"]["doubling_ms"] == 1_000
    assert {wait.until_ms for wait in told} == {NOW + 1_000}


def test_a_code_that_pauses_nobody_writes_nothing(table: Any, process: Any) -> None:
    assert process().on_throttled(Limits(), "E999", None) == Wait(NOW + 1_000, "second", 1)
    assert table.calls == []


def test_the_allowance_is_read(table: Any, process: Any) -> None:
    assert process().allowance(PER_MINUTE) == {"minute": 100}
    process().take(PER_MINUTE, count=30)
    assert process().allowance(PER_MINUTE) == {"minute": 70}


def test_many_processes_together_take_exactly_what_there_is(table: Any) -> None:
    limits = Limits(per_minute=100)
    processes = [Limiter(lambda: NOW) for _ in range(12)]

    def work(limiter: Limiter) -> int:
        taken = 0
        while isinstance(result := limiter.take(limits, count=2), tuple):
            taken += len(result)
        assert result.window == "minute"
        return taken

    with ThreadPoolExecutor(len(processes)) as pool:
        assert sum(pool.map(work, processes)) == 100
    assert remaining(table.item, NOW, limits)["minute"] == 0


def test_many_processes_draw_no_slot_twice(table: Any) -> None:
    processes = [Limiter(lambda: NOW) for _ in range(12)]
    limits = Limits(per_second=1_000, per_minute=200)

    def work(limiter: Limiter) -> list[int]:
        slots: list[int] = []
        while isinstance(result := limiter.take(limits, longest_wait_ms=2_000), tuple):
            slots += result
        assert result.window == "minute"
        return slots

    with ThreadPoolExecutor(len(processes)) as pool:
        slots = [slot for taken in pool.map(work, processes) for slot in taken]
    assert len(slots) == 200
    most = max(Counter(slots).values())
    assert most <= 2  # one in each lane, which may meet in a millisecond


@pytest.mark.parametrize("late", [0, PASSED_MS])
def test_a_busy_lane_may_have_just_passed(table: Any, process: Any, clock: Any, late: Any) -> None:
    limits = Limits(per_second=10, priority_share=0)
    one = process()
    one.take(limits)
    clock.ms += 104 + late  # microseconds before and after the slot
    assert one.take(limits, longest_wait_ms=1) == (NOW + 105,)


def test_an_idle_lane_starts_now(table: Any, process: Any, clock: Any) -> None:
    limits = Limits(per_second=10, priority_share=0)
    one = process()
    one.take(limits)
    clock.ms += 106 + PASSED_MS
    assert one.take(limits) == (clock.ms,)


def test_after_a_quiet_day_everything_is_dropped_in_one_write(
    table: Any, process: Any, clock: Any
) -> None:
    limits, one = Limits(per_second=5, per_minute=100, per_day=10_000), process()
    while clock.ms < NOW + 24 * 3_600_000:
        clock.ms += DAY.width_ms // 2
        one.take(limits, bulk=True)
    for _ in range(60):
        clock.ms += 1_100
        one.take(limits, bulk=True)
    clock.ms += 3 * 24 * 3_600_000
    table.calls.clear()
    assert one.take(limits, bulk=True) == (clock.ms,)
    assert table.calls == ["UpdateItem"]
    for window in (MINUTE, DAY, BULK_MINUTE, BULK_DAY):
        assert [calls for _, calls in window.buckets(table.item)] == [1]


def test_two_threads_of_one_process_lose_no_call(table: Any, process: Any) -> None:
    # The second thread takes its calls after the first has planned and before it writes.
    one = process()
    one.take(PER_MINUTE)
    table.before = lambda: one.take(PER_MINUTE, count=10)
    assert isinstance(one.take(PER_MINUTE), tuple)
    assert remaining(table.item, NOW, PER_MINUTE)["minute"] == 100 - 12


@pytest.mark.parametrize("learn", ["on_throttled", "on_success"])
def test_a_pause_loses_no_call_of_another(table: Any, process: Any, clock: Any, learn: str) -> None:
    one, other = process(), process()
    one.on_throttled(PER_MINUTE, "E120", None)
    clock.ms += 5_000
    table.before = lambda: other.take(PER_MINUTE, count=10)
    if learn == "on_success":
        one.on_success()
        assert table.item["pause"]["doubling_ms"] == 0
    else:
        one.on_throttled(PER_MINUTE, "E113", 1)
        assert table.item["pause"]["until_ms"] == clock.ms + 1_000
    assert remaining(table.item, NOW, PER_MINUTE)["minute"] == 100 - 10


@pytest.mark.parametrize("kind", ["block", "pause", "operator"])
def test_a_flood_of_single_calls_keeps_nobody_from_writing(
    table: Any, process: Any, clock: Any, kind: str
) -> None:
    limits, one, flood = Limits(per_second=100, per_minute=5_000), process(), process()
    flood.take(limits, longest_wait_ms=2_000)
    one._read(consistent=True)

    def takes() -> None:
        table.before = None
        flood.take(limits, longest_wait_ms=2_000)
        table.before = takes

    table.before = takes
    if kind == "block":
        assert len(one.take(limits, count=5, bulk=True, longest_wait_ms=3_000)) == 5
    elif kind == "pause":
        assert one.on_throttled(limits, "E106", 30).until_ms == clock.ms + 30_000
    else:
        assert one.pause(15_000) == clock.ms + 15_000
    table.before = None
    assert table.calls.count("UpdateItem") <= 8


PREVIOUS = {
    **PREVIOUS_KEY,
    "version": {"S": "0011223344556677"},
    "windows": {
        "S": json.dumps(
            {
                "now": NOW,
                "lanes": [104_167, 520_833, 0],
                "minute": [NOW // 1_000 - 3, [1, -1, 30, 3], [-2, 40, 4]],
                "day": [NOW // 900_000 - 50, [500, -49, 34], [-50, 44]],
                "pause": [NOW + 2_000, 2, 4_000],
            }
        )
    },
}


def test_an_upgrade_forgets_no_call_no_lane_and_no_pause(
    table: Any, process: Any, clock: Any
) -> None:
    table.put(PREVIOUS)
    limits = Limits(per_second=10, per_minute=78, per_day=600)
    more = Limits(per_second=10, per_minute=80, per_day=600)
    assert process().take(more) == Wait(NOW + 2_000, "day", 2)
    assert remaining(table.item, NOW, limits) == {"second": 8, "minute": 0, "day": 22}
    assert table.item["bulk_minute"]["n"] == table.item["bulk_day"]["n"] == 44
    assert table.item["shared"] == NOW * 1_000 + 104_167
    clock.ms = NOW + 2_000
    told = process().take(limits, longest_wait_ms=2_000)
    assert told.window == "minute"
    assert 0 <= told.until_ms - (NOW - 2_000 + 61_100) <= 2 * MINUTE.width_ms  # the first bucket


def test_an_item_of_the_previous_form_without_calls_is_a_new_one(table: Any, process: Any) -> None:
    state = {"now": NOW, "lanes": [0, 0, 0], "minute": [], "day": [], "pause": [0, 0, 0]}
    table.put(PREVIOUS | {"windows": {"S": json.dumps(state)}})
    assert process().take(PER_MINUTE) == (NOW,)
    assert table._table.items.keys() == {("limiter", "limiter"), ("limiter", "windows")}
    assert KEY["sk"]["S"] == "windows"
