"""The limiter's item: one write a call, and nothing lost when many write at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from pynamodb.exceptions import VerboseClientError

from skycore.messages.limits import USABLE_MS, Granted, Limits, Remaining, Wait, remaining
from skycore.storage import limiter as module
from skycore.storage.limiter import PAUSE_KNOWN_FOR_MS, TRIES, Limiter
from tests.unit.messages.limit_table import Table

NOW = 1_800_000_000_000
MINUTE = Limits(per_minute=100)


class Clock:
    def __init__(self) -> None:
        self.ms = NOW

    def __call__(self) -> int:
        return self.ms

    def sleep(self, seconds: float) -> None:
        self.ms += round(seconds * 1000)


@pytest.fixture
def table(monkeypatch):
    fake = Table()
    connection = type("Connection", (), {"connection": fake})
    monkeypatch.setattr(module.Row, "_get_connection", classmethod(lambda _: connection))
    return fake


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def process(clock):
    return lambda: Limiter(clock, clock.sleep)


def test_a_call_is_one_write(table, process):
    one = process()
    for _ in range(5):
        assert one.take(MINUTE) == Granted((NOW,))
    assert table.calls == ["UpdateItem"] * 5
    assert table.item["kind"] == {"S": "limiter"}
    assert remaining(table.state, NOW, MINUTE).minute == 95


def test_a_block_is_one_write(table, process):
    assert process().take(MINUTE, count=50, bulk=True) == Granted((NOW,) * 50)
    assert table.calls == ["UpdateItem"]


@pytest.mark.parametrize(
    "tells_item, calls",
    [(True, ["UpdateItem"] * 2), (False, ["UpdateItem", "GetItem", "UpdateItem"])],
    ids=["told the item", "not told"],
)
def test_a_process_that_others_were_quicker_than_tries_again(table, process, tells_item, calls):
    table.tells_item = tells_item
    one, other = process(), process()
    one.take(MINUTE)
    other.take(MINUTE)
    table.calls.clear()
    assert isinstance(one.take(MINUTE), Granted)
    assert table.calls == calls
    assert remaining(table.state, NOW + 100, MINUTE).minute == 97


def test_a_write_in_between_is_not_overwritten(table, process):
    one, other = process(), process()
    one.take(MINUTE)
    table.before = lambda: other.take(MINUTE, count=10)
    one.take(MINUTE)
    assert remaining(table.state, NOW + 100, MINUTE).minute == 100 - 12


def test_a_lost_answer_is_known_again(table, process):
    # The write was made, its answer lost; botocore tries again and finds its own version.
    one = process()
    one.take(MINUTE)

    def lost():
        raise table.refused({"ReturnValuesOnConditionCheckFailure": "ALL_OLD"})

    table.after = lost
    table.calls.clear()
    assert one.take(MINUTE) == Granted((NOW,))
    assert table.calls == ["UpdateItem"]
    assert remaining(table.state, NOW, MINUTE).minute == 98


def test_other_failures_are_raised(table, process):
    def throttled():
        raise VerboseClientError({"Error": {"Code": "ThrottlingException"}}, "UpdateItem")

    table.before = throttled
    with pytest.raises(VerboseClientError):
        process().take(MINUTE)


def test_a_refusal_takes_nothing_and_is_not_told_from_memory(table, process, clock):
    one, other = process(), process()
    one.take(MINUTE, count=100)
    clock.ms += 5_000
    version = table.item["version"]
    table.calls.clear()
    told = one.take(MINUTE, longest_wait_ms=2_000)
    assert told == Wait(NOW + 62_100, "minute", 58)
    assert table.calls == ["GetItem"]
    assert table.item["version"] == version
    # An operator deleted the item: nobody goes on waiting.
    table.item = None
    assert one.take(MINUTE) == Granted((clock.ms,))
    assert isinstance(other.take(MINUTE), Granted)


def test_a_write_that_took_too_long_is_taken_again(table, process, clock):
    def slow():
        clock.ms += USABLE_MS + 1

    table.after = slow
    result = process().take(MINUTE)
    assert isinstance(result, Granted)
    assert result.slots_ms[0] > NOW + USABLE_MS
    assert remaining(table.state, clock.ms, MINUTE).minute == 98  # the late slot is lost


def test_of_a_late_block_the_slots_that_are_still_good_are_given(table, process, clock):
    def slow():
        clock.ms += 700

    table.after = slow
    result = process().take(
        Limits(per_second=10, priority_share=0), count=10, bulk=True, longest_wait_ms=3_000
    )
    assert [slot - NOW for slot in result.slots_ms] == [209, 313, 417, 521, 626, 730, 834, 938]


def test_too_many_at_once_is_a_wait(table, process, clock):
    one, other = process(), process()

    def quicker():
        other.take(Limits(per_minute=100_000))
        table.before = quicker

    table.before = quicker
    assert one.take(MINUTE) == Wait(clock.ms + 1_000, "second", 1)
    assert len(table.calls) <= 3 * TRIES
    assert clock.ms - NOW < 4_000


@pytest.mark.parametrize("limits", [Limits(), MINUTE], ids=["no limits", "limits"])
def test_a_pause_holds_in_every_process(table, process, clock, limits):
    one, other = process(), process()
    one.take(limits)
    other.take(limits)
    assert one.teach(limits, "E106", 30) == Wait(clock.ms + 30_000, "second", 30)
    until = clock.ms + 30_000
    assert one.take(limits).until_ms == until
    clock.ms += PAUSE_KNOWN_FOR_MS
    assert other.take(limits).until_ms == until
    clock.ms = until
    assert other.take(limits) == Granted((until,))


@pytest.mark.parametrize("limits", [Limits(), MINUTE], ids=["no limits", "limits"])
def test_an_operator_holds_every_process_and_lets_go(table, process, clock, limits):
    one, operator = process(), process()
    one.take(limits)
    until = operator.hold(15_000)
    assert until == clock.ms + 15_000
    clock.ms += PAUSE_KNOWN_FOR_MS
    assert one.take(limits).until_ms == until
    operator.let_go(until)
    clock.ms += PAUSE_KNOWN_FOR_MS
    assert isinstance(one.take(limits), Granted)


def test_letting_go_ends_no_pause_of_skycore_s(table, process, clock):
    one, operator = process(), process()
    until = operator.hold(15_000)
    taught = one.teach(Limits(), "E106", 60)
    operator.let_go(until)
    assert one.take(Limits()).until_ms == taught.until_ms
    operator.let_go(operator.hold(15_000))  # shorter than the pause that there is
    assert process().take(Limits()).until_ms == taught.until_ms


def test_without_limits_a_process_reads_seldom_and_writes_never(table, process, clock):
    one = process()
    for _ in range(100):
        assert one.take(Limits()) == Granted((clock.ms,))
        clock.ms += 100
    assert table.calls == ["GetItem"] * 2


def test_a_quota_pause_doubles_in_the_item_and_ends_with_a_success(table, process, clock):
    one, other = process(), process()
    pauses = []
    for limiter in (one, other, one):
        told = limiter.teach(MINUTE, "E120", None)
        assert told.window == "day"
        pauses.append(told.retry_after_s)
        clock.ms = told.until_ms
    assert pauses == [1, 2, 4]
    table.calls.clear()
    one.take(MINUTE)
    one.succeeded()
    assert table.state.doubling_ms == 0
    assert table.calls == ["UpdateItem"] * 2
    for _ in range(3):
        one.succeeded()
    assert table.calls == ["UpdateItem"] * 2  # nothing more to write


def test_many_are_told_of_the_same_used_up_quota_at_once(table, process):
    processes = [process() for _ in range(10)]
    told = [limiter.teach(Limits(), "E120", None) for limiter in processes]
    assert table.state.doubling_ms == 1_000
    assert {wait.until_ms for wait in told} == {NOW + 1_000}


def test_a_code_that_teaches_nothing_writes_nothing(table, process):
    assert process().teach(Limits(), "E999", None) == Wait(NOW + 1_000, "second", 1)
    assert table.calls == []


def test_the_allowance_is_read(table, process):
    assert process().allowance(MINUTE) == Remaining(None, 100, None)
    process().take(MINUTE, count=30)
    assert process().allowance(MINUTE) == Remaining(None, 70, None)


def test_many_processes_together_take_exactly_what_there_is(table):
    limits = Limits(per_minute=100)
    processes = [Limiter(lambda: NOW) for _ in range(12)]

    def work(limiter: Limiter) -> int:
        taken = 0
        while isinstance(result := limiter.take(limits, count=2), Granted):
            taken += len(result.slots_ms)
        assert result.window == "minute"
        return taken

    with ThreadPoolExecutor(len(processes)) as pool:
        assert sum(pool.map(work, processes)) == 100
    assert remaining(table.state, NOW, limits).minute == 0


def test_the_functions_are_one_process():
    assert module.take.__self__ is module.teach.__self__
    assert module.succeeded.__self__ is module.allowance.__self__


def test_two_threads_of_one_process_lose_no_call(table, process, monkeypatch):
    # The second thread takes its call after the first has reckoned and before it writes.
    one = process()
    one.take(MINUTE)
    reckon = module.rules.take

    def interrupted(*arguments, **options):
        result = reckon(*arguments, **options)
        monkeypatch.setattr(module.rules, "take", reckon)
        one.take(MINUTE, count=10)
        return result

    monkeypatch.setattr(module.rules, "take", interrupted)
    assert isinstance(one.take(MINUTE), Granted)
    assert remaining(table.state, NOW + 100, MINUTE).minute == 100 - 12


@pytest.mark.parametrize("change", ["taught", "succeeded"])
def test_what_a_thread_learns_loses_no_call_of_another(table, process, clock, monkeypatch, change):
    one = process()
    one.teach(MINUTE, "E120", None)
    clock.ms += 86_400_000
    taken = table.state
    learn = getattr(module.rules, change)

    def interrupted(*arguments):
        result = learn(*arguments)
        monkeypatch.setattr(module.rules, change, learn)
        assert one._write(taken, one._seen)  # another thread's write
        return result

    monkeypatch.setattr(module.rules, change, interrupted)
    table.calls.clear()
    if change == "taught":
        one.teach(MINUTE, "E113", 1)
    else:
        one.succeeded()
    assert table.calls == ["UpdateItem"] * 3  # the other's, ours that was too late, ours again
