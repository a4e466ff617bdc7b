"""Many callers at once in virtual time: each call of the table takes milliseconds of it.

Callers are threads of which one runs at a time, so a run is the same on every machine.
Run as a program it prints what callers get, as `make bench` does.
"""

from __future__ import annotations

import heapq
import logging
import random
import threading
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

from skycore.table.limiter import Limiter
from skycore.table.limits import SINGLE_WAIT_MS, Limits
from tests.unit.table.limit_table import QuickTable

if TYPE_CHECKING:
    from collections.abc import Callable

START = 1_800_000_000_000.0  # milliseconds since 1970


class World:
    """A clock, and the threads that wait for a moment of it."""

    def __init__(self) -> None:
        self.now = START
        self._waiting: list[tuple[float, int, threading.Semaphore]] = []
        self._order, self._turn = count(), threading.Semaphore(0)
        self._mine, self._errors = threading.local(), list[BaseException]()

    def spawn(self, work: Callable[[], object], after_ms: float = 0) -> None:
        """Let a thread work, beginning at that time."""
        turn = threading.Semaphore(0)

        def body() -> None:
            turn.acquire()
            self._mine.turn = turn
            try:
                work()
            except BaseException as error:  # noqa: BLE001 - `run` raises it
                self._errors.append(error)
            self._turn.release()

        threading.Thread(target=body, daemon=True).start()
        self._wait(after_ms, turn)

    def sleep_ms(self, milliseconds: float) -> None:
        """Let the others work until then."""
        self._wait(max(0, milliseconds), self._mine.turn)
        self._turn.release()
        self._mine.turn.acquire()

    def run(self) -> None:
        """Work until nobody waits any more."""
        while self._waiting:
            at, _, turn = heapq.heappop(self._waiting)
            self.now = max(self.now, at)
            turn.release()
            self._turn.acquire()
            if self._errors:
                raise self._errors[0]

    def _wait(self, milliseconds: float, turn: threading.Semaphore) -> None:
        heapq.heappush(self._waiting, (self.now + milliseconds, next(self._order), turn))


class DistantTable(QuickTable):
    """A table that is 8 ms away, half of it there and half back, a little more or less."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world, self.rng = world, random.Random(1)

    def _make_api_call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        self.world.sleep_ms(self.rng.uniform(3, 5))
        try:
            return super()._make_api_call(operation, request)
        finally:
            self.world.sleep_ms(self.rng.uniform(3, 5))


@dataclass(slots=True)
class Measured:
    """What callers of one limit got, in so many seconds."""

    seconds: float
    writes: int = 0
    took_ms: list[float] = field(default_factory=list)
    slots_ms: list[int] = field(default_factory=list)

    def percentile(self, percent: int) -> float:
        """Return how long that many takes were at most, in milliseconds."""
        return sorted(self.took_ms)[len(self.took_ms) * percent // 100]

    @property
    def writes_a_call(self) -> float:
        """Writes, lost ones included, for each slot."""
        return self.writes / len(self.slots_ms)


def measure(limits: Limits, callers: int, seconds: float, call_ms: float = 100) -> Measured:
    """Measure single callers that call again and again, and come back when they are told to."""
    world = World()
    random.seed(1)  # of the waits between attempts
    table, found = DistantTable(world), Measured(seconds)
    end = START + seconds * 1000

    def work() -> None:
        limiter = Limiter(lambda: int(world.now), lambda wait: world.sleep_ms(1000 * wait))
        while world.now < end:
            start = world.now
            result = limiter.take(limits, longest_wait_ms=SINGLE_WAIT_MS)
            found.took_ms.append(world.now - start)
            if isinstance(result, tuple):
                found.slots_ms += result
                world.sleep_ms(result[0] - world.now + call_ms)
            else:
                world.sleep_ms(result.until_ms - world.now)

    with table.connected():
        # The item is there, as it is but for an account's first call.
        world.spawn(lambda: Limiter(lambda: int(world.now)).take(limits))
        world.run()
        table.calls.clear()
        for caller in range(callers):
            world.spawn(work, caller * 0.1)
        world.run()
    found.writes = table.calls.count("UpdateItem")
    return found


def main() -> None:
    """Print what callers get out of the limiter."""
    logging.disable()
    print("| limit | callers | granted/s | writes a call | to a slot: median, 99% |")
    print("|---|---|---|---|---|")
    for limit in (10, 50, 100, 200):
        for callers in (1, 10, 50):
            found = measure(Limits(limit), callers, 10)
            print(
                f"| {limit}/s | {callers} | {len(found.slots_ms) / found.seconds:.0f}"
                f" | {found.writes_a_call:.1f}"
                f" | {found.percentile(50):.0f}, {found.percentile(99):.0f} ms |",
                flush=True,
            )


if __name__ == "__main__":
    main()
