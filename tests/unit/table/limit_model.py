"""Skycore, its callers and their clocks, simulated: what the limiter lets through, and when.

Run as a program it prints the tables of docs/limits.md.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter, deque
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

from skycore.table.limit_state import State, decode, encode
from skycore.table.limiter import Limiter
from skycore.table.limits import Granted, Limits, Wait, succeeded, take, taught
from tests.unit.table.limit_table import Table

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
    """The limiter as its rules alone: one state that every copy sees at once."""

    def __init__(self, limits: Limits) -> None:
        self.limits, self.state = limits, State()

    def take(self, copy: Copy, now: int) -> Granted | Wait:
        self.state, result = take(
            self.state,
            now,
            self.limits,
            count=copy.block,
            bulk=copy.bulk,
            longest_wait_ms=copy.longest_wait_ms,
        )
        return result

    def learn(self, copy: Copy, now: int, code: str | None) -> None:
        if code:
            self.state = taught(self.state, now, code, None)
        else:
            self.state = succeeded(self.state, now)


class Crowd:
    """The limiter as it is in the table: each copy has its own, and lists are always laid out."""

    def __init__(self, limits: Limits) -> None:
        self.limits, self.now = limits, 0
        self.table = Table()
        self.of_copy: dict[int, Limiter] = {}

    def _limiter(self, copy: Copy, now: int) -> Limiter:
        self.now = now
        if id(copy) not in self.of_copy:
            limiter = Limiter(lambda: self.now, lambda _: None)
            limiter._beaten_at = 1 << 62
            self.of_copy[id(copy)] = limiter
        return self.of_copy[id(copy)]

    def take(self, copy: Copy, now: int) -> Granted | Wait:
        with self.table.connected():
            return self._limiter(copy, now).take(
                self.limits,
                count=copy.block,
                bulk=copy.bulk,
                longest_wait_ms=copy.longest_wait_ms,
            )

    def learn(self, copy: Copy, now: int, code: str | None) -> None:
        with self.table.connected():
            limiter = self._limiter(copy, now)
            if code:
                limiter.teach(self.limits, code, None)
            else:
                limiter.succeeded()


class TwoReleases(Crowd):
    """Every fifth copy is of a release that knows no lists."""

    def take(self, copy: Copy, now: int) -> Granted | Wait:
        self._limiter(copy, now)
        if list(self.of_copy).index(id(copy)) % 5:
            return super().take(copy, now)
        item = self.table.item or {}
        state = decode(item["windows"]["S"]) if item else State()
        after, result = take(
            state,
            now,
            self.limits,
            count=copy.block,
            bulk=copy.bulk,
            longest_wait_ms=copy.longest_wait_ms,
        )
        if isinstance(result, Granted):
            self.wrote += 1
            version = {"version": {"S": f"earlier {self.wrote}"}}
            self.table.item = item | version | {"windows": {"S": encode(after)}}
        return result

    wrote = 0


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
    limiter: type[Rules | Crowd] = Rules,
) -> Run:
    """All copies call as often as the limiter lets them, for so many seconds of true time.

    Skycore holds the account's own limits, which are the same unless given.
    """
    rng = random.Random(seed)
    run, skycore, gate, order = Run(), Skycore(account or limits), limiter(limits), count()
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
                gate.learn(copy, local, CODES[refused_by] if refused_by else None)
            continue
        result = gate.take(copy, local)
        if isinstance(result, Wait):
            run.waits[result.window] += 1
            ask_at = result.until_ms - copy.skew_ms + rng.randint(0, 20)
            if copy.bulk:  # has its slot given before it comes, or looks again now and then
                ask_at = max(ask_at - copy.longest_wait_ms, min(ask_at, now + 200))
            ask_at = max(now + 1, ask_at)
        else:
            ask_at = now
            for slot in result.slots_ms:
                starts = max(now, slot - copy.skew_ms)
                arrives = starts + travel(rng)
                heapq.heappush(events, (arrives, next(order), "call", copy))
                # A single call waits for its answer; a block is sent while the next is taken.
                ask_at = starts if copy.bulk else arrives + copy.pause_ms
            ask_at = max(now + 1, ask_at)
        heapq.heappush(events, (ask_at, next(order), "ask", copy))
    return run


def singles(number: int, skew_ms: int = 0) -> list[Copy]:
    """Copies with single calls, their clocks spread evenly over `skew_ms`."""
    steps = max(1, number - 1)
    return [Copy(skew_ms=skew_ms * n // steps - skew_ms // 2, from_ms=n) for n in range(number)]


def worst_excess(skew_ms: int, aligned_ms: int) -> int:
    """The most in a minute when a copy that is behind uses a limit of 300 up, then others go on.

    The late copy's calls travel for a second, the others' for none: the worst that can be.
    """
    limits = Limits(per_minute=300)
    now = START - START % 1_000 + aligned_ms
    state, first = take(State(), now - skew_ms, limits, count=300)
    assert not isinstance(first, Wait)
    arrivals = [now + 1_000] * 300
    _, told = take(state, now + 10_000, limits)
    assert isinstance(told, Wait)
    state, second = take(state, told.until_ms, limits, count=300)
    assert not isinstance(second, Wait)
    return most_in(sorted(arrivals + list(second.slots_ms)), 60_000)


def excess_by_skew() -> None:
    """By how much windows are exceeded when clocks differ by more than the limiter allows for."""
    print("300 a minute, calls up to 1,000 ms late")
    print("a: one copy is behind and uses all up at once, its calls late; b: 50 copies, their")
    print("clocks spread evenly, 30 minutes of random lateness")
    print(f"{'skew ms':>8} {'a: most, how often':>20} {'b: most':>20}")
    for skew in (0, 100, 101, 200, 500, 1_000, 1_100, 2_000, 5_000, 10_000):
        made_up = [worst_excess(skew, aligned) for aligned in range(0, 1_000, 50)]
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


if __name__ == "__main__":
    excess_by_skew()
    print()
    use_by_jitter()
