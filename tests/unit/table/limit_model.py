"""Skycore, its callers and their clocks, simulated: what the limiter lets through, and when.

Run as a program it prints tables of what is let through.
"""

from __future__ import annotations

import heapq
import logging
import random
from collections import Counter, deque
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from skycore.sending.rate_limit import PATIENCE_MS
from skycore.table.limiter import Limiter, Pause, new_item
from skycore.table.limits import (
    BULK_WAIT_MS,
    MINUTE,
    Limits,
    Wait,
    plan,
)
from tests.unit.table.limit_table import QuickTable, Table, written

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LENGTHS = {"second": 1_000, "minute": 60_000, "day": 86_400_000}
START = 1_800_000_000_123  # milliseconds since 1970, not on any bucket's border

type Travel = Callable[[random.Random], int]


def quick(mean: float) -> Travel:
    """From a slot to the arrival: 20 ms and an exponential rest of this mean."""
    return lambda rng: 20 + round(rng.expovariate(1 / mean))


def any_within(most: int) -> Travel:
    """From a slot to the arrival: anything up to `most` ms."""
    return lambda rng: rng.randint(0, most)


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy of a function: what it sends, and how far its clock is from the true time."""

    bulk: bool = False
    block: int = 1
    longest_wait_ms: int = 2_000
    skew_ms: int = 0
    from_ms: int = 0
    pause_ms: int = 50  # after a call, before the next


@dataclass(slots=True)
class Run:
    """What Skycore saw: arrivals in true time, whether accepted, and whose they were."""

    arrivals: list[tuple[int, bool, bool]] = field(default_factory=list)  # ms, accepted, bulk
    refusals: Counter[str] = field(default_factory=Counter)
    waits: Counter[str] = field(default_factory=Counter)
    writes: int = 0

    def times(self, *, bulk: bool | None = None, accepted: bool = False) -> list[int]:
        return [
            at
            for at, taken, bulked in self.arrivals
            if (taken or not accepted) and bulk in (None, bulked)
        ]


def most_in(times: Sequence[int], length: int) -> int:
    """The most arrivals in any window of this length, whatever its alignment."""
    most = start = 0
    for end, last in enumerate(times):
        while last - times[start] >= length:
            start += 1
        most = max(most, end - start + 1)
    return most


class Skycore:
    """Counts arrivals over rolling windows; over a limit it refuses, which uses nothing up."""

    def __init__(self, limits: Limits) -> None:
        self.most = {
            "second": limits.per_second,
            "minute": limits.per_minute,
            "day": limits.per_day,
        }
        self.passed: dict[str, deque[int]] = {name: deque() for name in LENGTHS}

    def refuses(self, now: int) -> str | None:
        for name, length in LENGTHS.items():
            passed = self.passed[name]
            while passed and passed[0] <= now - length:
                passed.popleft()
            if self.most[name] and len(passed) >= self.most[name]:
                return name
        for passed in self.passed.values():
            passed.append(now)
        return None


class Rules:
    """The limiter as its rules alone: one item that every copy sees at once."""

    def __init__(self, limits: Limits, rng: random.Random) -> None:
        self.limits, self.item = limits, new_item()
        self.raced: list[tuple[Copy, tuple[int, ...]]] = []

    def take(self, copy: Copy, now: int) -> tuple[int, ...] | Wait:
        planned = plan(
            self.item,
            now,
            self.limits,
            count=copy.block,
            bulk=copy.bulk,
            longest_wait_ms=copy.longest_wait_ms,
        )
        if isinstance(planned, Wait):
            return planned
        self.item = written(self.item, planned)
        return planned.slots_ms(self.item)

    def report(self, copy: Copy, now: int, code: str | None) -> None:
        pause = Pause(**self.item["pause"])
        pause = pause.throttled(now, code, None) if code else pause.succeeded(now)
        self.item = self.item | {"pause": asdict(pause)}


class Processes:
    """The limiter as it is: each copy has its own `Limiter`, over one table."""

    def __init__(self, limits: Limits, rng: random.Random) -> None:
        self.limits, self.rng, self.now = limits, rng, 0
        self.table = self.new_table()
        self.of_copy: dict[int, Limiter] = {}
        self.copies: list[Copy] = []
        self.raced: list[tuple[Copy, tuple[int, ...]]] = []

    def new_table(self) -> Table:
        return QuickTable()

    def _limiter(self, copy: Copy, now: int) -> Limiter:
        self.now = now
        if id(copy) not in self.of_copy:
            self.copies.append(copy)
            # Its own clock is the moment of its take, also if another copy comes in between.
            self.of_copy[id(copy)] = Limiter(lambda: self.now, lambda _: None)
        return self.of_copy[id(copy)]

    def take(self, copy: Copy, now: int) -> tuple[int, ...] | Wait:
        with self.table.connected():
            return self._limiter(copy, now).take(
                self.limits,
                count=copy.block,
                bulk=copy.bulk,
                longest_wait_ms=copy.longest_wait_ms,
            )

    def report(self, copy: Copy, now: int, code: str | None) -> None:
        with self.table.connected():
            limiter = self._limiter(copy, now)
            if code:
                limiter.on_throttled(self.limits, code, None)
            else:
                limiter.on_success()


class Faults(Processes):
    """The same, and much goes wrong.

    Before every third write another copy takes calls. The answer of every tenth write is lost, so
    botocore writes again; every twentieth is carried out once more up to three seconds later.
    """

    def new_table(self) -> Table:
        return FaultyTable(self)

    def race(self) -> None:
        """Let another copy take calls, at the same true time by its own clock."""
        mine = self.now
        copy = self.rng.choice(self.copies)
        result = self.of_copy[id(copy)].take(
            self.limits,
            count=copy.block,
            bulk=copy.bulk,
            longest_wait_ms=copy.longest_wait_ms,
        )
        self.now = mine
        if isinstance(result, tuple):
            self.raced.append((copy, result))


class FaultyTable(QuickTable):
    def __init__(self, faults: Faults) -> None:
        super().__init__()
        self.faults, self.late, self.racing = faults, list[tuple[int, Any]](), False

    def _make_api_call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        rng, now = self.faults.rng, self.faults.now
        for due, late in self.late:
            if due <= now:
                self.apply(late)
        self.late = [one for one in self.late if one[0] > now]
        if operation == "UpdateItem" and not self.racing:
            if rng.random() < 1 / 3:
                self.racing = True
                self.faults.race()
                self.racing = False
            if rng.random() < 1 / 10:
                self.apply(request)
            if rng.random() < 1 / 20:
                self.late.append((now + rng.randint(0, 3_000), request))
        return super()._make_api_call(operation, request)

    def apply(self, request: dict[str, Any]) -> None:
        with suppress(ClientError):
            super()._make_api_call("UpdateItem", request)


CODES = {"second": "E106", "minute": "E113", "day": "E120"}


def simulate(
    limits: Limits,
    seconds: int,
    copies: Sequence[Copy],
    *,
    travel: Travel,
    seed: int = 0,
    teaching: bool = True,
    account: Limits | None = None,
    limiter: type[Rules | Processes] = Rules,
) -> Run:
    """All copies call as often as the limiter lets them, for so many seconds of true time.

    Skycore holds the account's own limits, which are the same unless given.
    """
    rng = random.Random(seed)
    run, skycore, gate, order = Run(), Skycore(account or limits), limiter(limits, rng), count()
    end = START + seconds * 1000
    events = [(START + copy.from_ms, next(order), "ask", copy) for copy in copies]
    heapq.heapify(events)
    while events and events[0][0] < end:
        now, _, what, copy = heapq.heappop(events)
        local = now + copy.skew_ms
        if what == "call":
            refused_by = skycore.refuses(now)
            run.arrivals.append((now, refused_by is None, copy.bulk))
            if refused_by:
                run.refusals[refused_by] += 1
            if teaching:
                gate.report(copy, local, CODES[refused_by] if refused_by else None)
            continue
        result = gate.take(copy, local)
        granted = [] if isinstance(result, Wait) else [(copy, result)]
        ask_at = now
        if isinstance(result, Wait):
            run.waits[result.window] += 1
            ask_at = _ask_again(copy, now, result.until_ms - copy.skew_ms + rng.randint(0, 20))
        for sender, given in granted + gate.raced:
            for slot in given:
                starts = max(now, slot - sender.skew_ms)
                arrives = starts + travel(rng)
                heapq.heappush(events, (arrives, next(order), "call", sender))
                # A single call waits for its answer; a block is sent while the next is taken.
                if sender is copy:
                    ask_at = starts if copy.bulk else arrives + copy.pause_ms
        gate.raced.clear()
        heapq.heappush(events, (max(now + 1, ask_at), next(order), "ask", copy))
    if isinstance(gate, Processes):
        run.writes = gate.table.calls.count("UpdateItem")
    return run


def _ask_again(copy: Copy, now: int, until: int) -> int:
    """When a copy that must wait until then asks again."""
    if not copy.bulk:
        return until
    # It has its slot given before that comes, or looks again now and then.
    look_again = 200 if until < now + PATIENCE_MS else PATIENCE_MS
    return max(until - copy.longest_wait_ms, min(until, now + look_again))


def singles(number: int, skew_ms: int = 0) -> list[Copy]:
    """Copies with single calls, their clocks spread evenly over `skew_ms`."""
    steps = max(1, number - 1)
    return [Copy(skew_ms=skew_ms * n // steps - skew_ms // 2, from_ms=n) for n in range(number)]


def worst_excess(skew_ms: int, aligned_ms: int) -> int:
    """The most in a minute when a copy that is behind uses a limit of 300 up, then others go on.

    The late copy's calls travel for a second, the others' for none: the worst that can be.
    """
    limits = Limits(per_minute=300)
    now = START - START % MINUTE.width_ms + aligned_ms
    first = plan(new_item(), now - skew_ms, limits, count=300)
    assert not isinstance(first, Wait)
    item = written(new_item(), first)
    told = plan(item, now + 10_000, limits)
    assert isinstance(told, Wait)
    second = plan(item, told.until_ms, limits, count=300)
    assert not isinstance(second, Wait)
    arrivals = [now + 1_000] * 300 + list(second.slots_ms(written(item, second)))
    return most_in(sorted(arrivals), 60_000)


def excess_by_skew() -> None:
    """By how much windows are exceeded when clocks differ by more than the limiter allows for."""
    print("300 a minute, calls up to 1,000 ms late")
    print("a: one copy is behind and uses all up at once, its calls late; b: 50 copies, their")
    print("clocks spread evenly, 30 minutes of random lateness")
    print(f"{'skew ms':>8} {'a: most, how often':>20} {'b: most':>20}")
    for skew in (0, 100, 101, 200, 500, 1_000, 1_100, 2_000, 5_000, 10_000):
        made_up = [worst_excess(skew, aligned) for aligned in range(0, MINUTE.width_ms, 65)]
        over = sum(most > 300 for most in made_up) / len(made_up)
        spread = max(
            most_in(
                simulate(
                    Limits(per_minute=300),
                    1_800,
                    singles(50, skew),
                    travel=any_within(1_000),
                    seed=seed,
                    teaching=False,
                ).times(),
                60_000,
            )
            for seed in range(2)
        )
        print(f"{skew:>8} {max(made_up):>10} in {over:>6.0%} {spread:>20}")


def use_by_jitter() -> None:
    """What of the second's limit is used and refused, by how unevenly calls travel."""
    print("10 a second, 50 copies, 10 minutes; travel time 20 ms + exponential")
    print(f"{'limits':>12} {'mean ms':>8} {'skew ms':>8} {'accepted':>9} {'refused':>8}")
    for limits in (Limits(10), Limits(10, 300)):
        average = min(10, limits.per_minute / 60 or 10)
        for mean in (2, 5, 10, 20, 40):
            for skew in (0, 100):
                run = simulate(limits, 600, singles(50, skew), travel=quick(mean), seed=1)
                accepted = len(run.times(accepted=True))
                refused = run.refusals["second"] / len(run.arrivals)
                told = f"{limits.per_second}/s" + (
                    f" {limits.per_minute}/min" if limits.per_minute else ""
                )
                print(
                    f"{told:>12} {mean:>8} {skew:>8} {accepted / average / 600:>9.1%}"
                    f" {refused:>8.2%}"
                )


def batch(copies: int = 2, block: int = 10, **options: int) -> list[Copy]:
    """Copies that send queued messages in blocks."""
    return [
        Copy(bulk=True, block=block, longest_wait_ms=BULK_WAIT_MS, **options) for _ in range(copies)
    ]


def faults() -> None:
    """What is let through while clocks differ, answers are lost and Skycore pauses everyone."""
    print("what is let through, in percent of the tightest limit, and the most in any window")
    print("                  limits  callers  faults   used   most s/min/day  writes")
    scenarios = [
        (Limits(10), 50, 0, 300),
        (Limits(10, 300), 50, 0, 600),
        (Limits(10, 300), 10, 2, 600),
        (Limits(10, 300), 0, 2, 600),
        (Limits(5, 100, 5_000), 3, 2, 600),
        (Limits(0, 60), 12, 2, 600),
        (Limits(50, 1_200), 20, 2, 200),
        (Limits(200), 50, 0, 30),
        (Limits(2, 50, 1_000), 3, 2, 7_200),
    ]
    for limits, single, bulk, seconds in scenarios:
        for kind in (Processes, Faults):
            skew = 100 if kind is Faults else 0
            copies = singles(single, skew) + batch(bulk, skew_ms=-skew // 2)
            # While faults are on, an account that allows less refuses calls, so all are paused.
            account = Limits(max(1, limits.per_second - 1)) if kind is Faults else limits
            run = simulate(
                limits,
                seconds,
                copies,
                travel=quick(3),
                limiter=kind,
                account=account if limits.per_second else limits,
            )
            times = run.times()
            least = [
                (limits.per_second or 1e9) * seconds,
                (limits.per_minute or 1e9) * seconds / 60,
                (limits.per_day or 1e9) * max(1, seconds / 86_400),
            ]
            name = f"{limits.per_second}/s {limits.per_minute}/min {limits.per_day}/day"
            most = "/".join(str(most_in(times, length)) for length in LENGTHS.values())
            print(
                f"{name:>24} {f'{single}+{bulk}':>8} {'yes' if skew else 'no':>7}"
                f" {len(times) / min(least):>6.1%} {most:>16} {run.writes / len(times):>7.1f}",
                flush=True,
            )


if __name__ == "__main__":
    logging.disable()
    faults()
    print()
    excess_by_skew()
    print()
    use_by_jitter()
