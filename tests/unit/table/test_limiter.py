"""The limiter's item: one write a call, and nothing lost when many write at once."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from pynamodb.exceptions import VerboseClientError

from skycore.table import limiter as module
from skycore.table import limiter_item
from skycore.table.limit_state import decode, encode
from skycore.table.limiter import CROWDED_MS, PASSED_MS, PAUSE_KNOWN_FOR_MS, TRIES, Limiter
from skycore.table.limits import USABLE_MS, Granted, Limits, Remaining, Wait, remaining
from tests.unit.table.limit_table import Table

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
def table():
    fake = Table()
    with fake.connected():
        yield fake


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
    one, other = process(), process()
    one.take(MINUTE)
    other._read(consistent=True)
    other.take(MINUTE)
    table.tells_item = tells_item
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
        raise table.refused()

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


# --- Slots laid out ahead ---------------------------------------------------------------------


PER_SECOND = Limits(per_second=10, per_minute=300)


@pytest.fixture
def crowd(table, process):
    """Two processes that met: the one that was slower has laid out a list."""
    one, other = process(), process()
    one.take(PER_SECOND, longest_wait_ms=2_000)
    other.take(PER_SECOND, longest_wait_ms=2_000)
    table.calls.clear()
    return one, other


def test_who_meets_nobody_lays_out_nothing(table, process, clock):
    one = process()
    for _ in range(30):
        one.take(PER_SECOND, longest_wait_ms=2_000)
        clock.ms += 200
    assert table.calls == ["UpdateItem"] * 30
    assert table.left is None


def test_where_many_meet_a_call_is_one_write_too(table, process, crowd):
    assert len(table.left) == 20  # the calls of two seconds
    crowd[1].take(PER_SECOND, longest_wait_ms=2_000)
    table.calls.clear()
    slots = [
        limiter.take(PER_SECOND, longest_wait_ms=2_000).slots_ms[0] for limiter in [*crowd] * 4
    ]
    # The first write of `one` was in place of what it had last seen; it learnt of the list then.
    assert table.calls == ["UpdateItem"] * 9
    assert slots == sorted(slots)
    assert max(Counter(slots).values()) <= 2  # one in each lane
    assert remaining(table.state, NOW, PER_SECOND).minute == 300 - 11


def test_nobody_takes_a_slot_that_lies_too_far_ahead(table, process, clock, crowd):
    while isinstance(told := crowd[0].take(PER_SECOND, longest_wait_ms=1_000), Granted):
        assert told.slots_ms[0] <= clock.ms + 1_000
    assert table.left  # there are slots, but they come later
    assert told.window == "second"
    assert clock.ms + 1_000 < told.until_ms <= clock.ms + 1_200
    table.calls.clear()
    assert crowd[0].take(PER_SECOND, longest_wait_ms=1_000) == told
    assert table.calls == ["GetItem"]  # a refusal costs no write
    clock.ms = told.until_ms - 1_000
    assert crowd[0].take(PER_SECOND, longest_wait_ms=1_000).slots_ms == (told.until_ms,)


@pytest.mark.parametrize("late", [0, PASSED_MS])
def test_a_slot_is_drawn_until_it_has_just_passed(table, clock, crowd, late):
    slot = table.left[0]
    clock.ms = slot + late
    assert crowd[1].take(PER_SECOND, longest_wait_ms=2_000).slots_ms == (slot,)


def test_a_slot_that_has_passed_is_not_drawn(table, clock, crowd):
    clock.ms += 700
    assert crowd[1].take(PER_SECOND, longest_wait_ms=2_000).slots_ms[0] >= clock.ms
    assert remaining(table.state, clock.ms, PER_SECOND).minute == 300 - 3


def test_a_slot_that_was_told_too_late_is_lost_and_another_one_taken(table, clock, crowd):
    def slow():
        clock.ms += USABLE_MS + 200

    table.after = slow
    result = crowd[1].take(PER_SECOND, longest_wait_ms=2_000)
    assert result.slots_ms[0] >= clock.ms
    assert remaining(table.state, clock.ms, PER_SECOND).minute == 300 - 4


@pytest.mark.parametrize(
    "count, bulk", [(4, False), (4, True), (1, True)], ids=["a block", "bulk calls", "a bulk call"]
)
def test_others_count_what_was_drawn_and_end_the_list(table, process, crowd, count, bulk):
    crowd[1].take(PER_SECOND, longest_wait_ms=2_000)
    result = process().take(PER_SECOND, count=count, bulk=bulk, longest_wait_ms=3_000)
    assert len(result.slots_ms) == count
    assert table.left is None
    assert remaining(table.state, NOW, PER_SECOND).minute == 300 - 3 - count


def test_a_pause_ends_the_list(table, clock, crowd):
    until = crowd[0].teach(PER_SECOND, "E106", 30).until_ms
    assert table.left is None
    assert crowd[1].take(PER_SECOND, longest_wait_ms=2_000) == Wait(until, "second", 30)
    assert remaining(table.state, NOW, PER_SECOND).minute == 300 - 2


@pytest.mark.parametrize("who", ["block", "pause", "hold"])
def test_draws_do_not_keep_others_from_writing(table, process, crowd, who):
    # Somebody draws before each write, as in a flood of single calls.
    other = process()
    other._read(consistent=True)
    drawn = 0

    def draws():
        nonlocal drawn
        version = table.item["version"]
        was = table.left
        table.before = None
        crowd[1]._draw(PER_SECOND, 2_000)
        drawn += table.item["version"] == version and table.left != was
        table.before = draws

    table.before = draws
    if who == "block":
        assert len(other.take(PER_SECOND, count=5, longest_wait_ms=3_000).slots_ms) == 5
    elif who == "pause":
        assert other.teach(PER_SECOND, "E106", 30).until_ms >= NOW + 30_000
        assert table.state.pause_until >= NOW + 30_000
    else:
        assert table.state.pause_until == 0
        other.hold(15_000)
        assert table.state.pause_until >= NOW + 15_000
    table.before = None
    assert drawn >= 1  # until the list was closed
    taken = 5 if who == "block" else 0
    assert remaining(table.state, NOW, PER_SECOND).minute == 300 - 2 - drawn - taken


def test_a_list_is_drawn_from_only_by_those_who_have_its_limits(table, process, crowd):
    fewer = Limits(per_second=10, per_minute=3)
    others = [process() for _ in range(5)]
    for other in others:
        other._read(consistent=True)
    taken = [other.take(fewer, longest_wait_ms=2_000) for other in others]
    assert sum(isinstance(result, Granted) for result in taken) == 3 - 2


def test_whose_view_is_old_takes_nothing_too_far_ahead_from_a_list(table, process, clock):
    one, other = process(), process()
    one.take(PER_SECOND, longest_wait_ms=2_000)
    other.take(PER_SECOND, longest_wait_ms=2_000)
    one.take(PER_SECOND, longest_wait_ms=2_000)  # remembers a list whose next slot is near
    while isinstance(other.take(PER_SECOND, longest_wait_ms=1_500), Granted):
        pass
    told = one.take(PER_SECOND, longest_wait_ms=500)
    assert isinstance(told, Wait)
    assert told.until_ms > clock.ms + 500


def test_a_used_up_list_has_a_successor(table, clock, crowd):
    while table.left:
        crowd[1].take(PER_SECOND, longest_wait_ms=3_000)
    clock.ms += CROWDED_MS  # nobody was beaten lately
    crowd[1]._read(consistent=True)
    assert isinstance(crowd[1].take(PER_SECOND, longest_wait_ms=3_000), Granted)
    assert table.left


def test_a_draw_that_is_not_told_the_item_reads_it(table, clock, crowd):
    table.tells_item = False
    clock.ms += 700
    table.calls.clear()
    assert isinstance(crowd[1].take(PER_SECOND, longest_wait_ms=2_000), Granted)
    assert table.calls == ["UpdateItem", "GetItem", "UpdateItem"]


def test_a_repeated_write_knows_itself_though_others_drew_since(table, process, crowd):
    one = crowd[1]
    one._read(consistent=True)
    seen = one._seen

    def lost():
        # The write was made, others drew from its list; then botocore tries it again.
        assert len(table.left) > 5
        crowd[0]._seen = limiter_item._seen(table.item)
        crowd[0].take(PER_SECOND, longest_wait_ms=2_000)
        raise table.refused()

    state, taken = module.rules.take(seen.state, NOW, PER_SECOND, longest_wait_ms=2_000)
    assert isinstance(taken, Granted)
    table.after = lost
    assert one._write(state, seen, (PER_SECOND, 2_000))
    assert remaining(one._seen.state, NOW, PER_SECOND).minute == 300 - 2 - 1 - 1


def test_an_earlier_release_sees_all_of_a_list_as_taken(table, process, crowd):
    # It knows no lists: it reads `windows` alone, and leaves the attributes of a list as they are.
    drawn = crowd[1].take(PER_SECOND, longest_wait_ms=2_000)
    known = decode(table.item["windows"]["S"])
    assert remaining(known, NOW, PER_SECOND).minute == 300 - 2 - 20
    state, taken = module.rules.take(known, NOW, PER_SECOND, count=10, longest_wait_ms=5_000)
    table.item |= {"version": {"S": "earlier"}, "windows": {"S": encode(state)}}
    result = crowd[1].take(PER_SECOND, longest_wait_ms=9_000)
    assert result.slots_ms[0] >= taken.slots_ms[-1] > drawn.slots_ms[0]  # and not from the list
    assert remaining(table.state, NOW, PER_SECOND).minute == 300 - 2 - 20 - 10 - 1


def test_where_nobody_meets_any_more_there_is_no_list(table, clock, crowd):
    clock.ms += CROWDED_MS + 3_000
    for _ in range(3):
        assert isinstance(crowd[1].take(PER_SECOND, longest_wait_ms=2_000), Granted)
    assert table.left is None


def test_many_processes_draw_no_slot_twice(table):
    processes = [Limiter(lambda: NOW) for _ in range(12)]
    limits = Limits(per_second=1_000, per_minute=200)

    def work(limiter: Limiter) -> list[int]:
        slots = []
        while isinstance(result := limiter.take(limits, longest_wait_ms=2_000), Granted):
            slots += result.slots_ms
        assert result.window == "minute"
        return slots

    with ThreadPoolExecutor(len(processes)) as pool:
        slots = [slot for taken in pool.map(work, processes) for slot in taken]
    assert len(slots) == 200
    most = max(Counter(slots).values())
    assert most <= 2  # one in each lane, which may meet in a millisecond


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

    others = []

    def interrupted(*arguments):
        result = learn(*arguments)
        if not others:
            others.append(one._write(taken, one._seen))  # another thread's write
        return result

    monkeypatch.setattr(module.rules, change, interrupted)
    table.calls.clear()
    if change == "taught":
        one.teach(MINUTE, "E113", 1)
    else:
        one.succeeded()
    assert table.calls == ["UpdateItem"] * 3  # the other's, ours that was too late, ours again
