"""How fast `dispatch` drains the send queue, and how many of its runs are wasted on a limit.

Lambda's poller, the queue and Skycore are simulated in virtual time. The rate limiter, its item and
the rule by which a message waits are the product's own. A run is wasted if none of its messages
got a slot: they all go back into the queue.
"""

from __future__ import annotations

import heapq
import random
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from unittest import mock

from bench import cost, scale
from bench.table import markdown
from skycore import timestamps
from skycore.aws import queues
from skycore.sending import delivery, rate_limit, retry
from skycore.sending.rate_limit import RateLimiter
from skycore.table import parking, queue_transitions
from skycore.table.limiter import Limiter
from skycore.table.limits import Limits, Wait
from tests.unit.table.virtual_time import START, DistantTable, World

if TYPE_CHECKING:
    from collections.abc import Iterator

BATCH = 10  # messages of a run, BatchSize in the template
FIRST_POLLERS, POLLERS_A_SECOND = 5, 5  # Lambda begins with 5 batches and adds 300 a minute
EMPTY_POLL_MS = 100
QUEUES: Any = delivery.Queues("send", "dead")


@dataclass(slots=True)
class Drained:
    """What became of a backlog."""

    messages: int
    seconds: float = 0.0  # until the last message was sent
    runs: int = 0
    wasted: int = 0
    busy_seconds: float = 0.0  # of all runs together


@dataclass(slots=True)
class _Queue:
    """The send queue: when each copy can be received, oldest first."""

    copies: list[tuple[float, int]] = field(default_factory=list)

    def put(self, at: float, message: int) -> None:
        heapq.heappush(self.copies, (at, message))

    def receive(self, now: float) -> list[int]:
        found: list[int] = []
        while self.copies and self.copies[0][0] <= now and len(found) < BATCH:
            found.append(heapq.heappop(self.copies)[1])
        return found


@dataclass(frozen=True, slots=True)
class Run:
    """What a run of `dispatch` takes, in milliseconds: reads, a call, ten messages' processor."""

    before_ms: float
    call_ms: float
    cpu_ms: float


class _Backlog:
    """A backlog of messages, and the pollers that send it."""

    def __init__(self, messages: int, limits: Limits, run: Run) -> None:
        self.world, self.limits, self.run = World(), limits, run
        self.table, self.found = DistantTable(self.world), Drained(messages)
        self.queue, self.left = _Queue(), messages
        for number in range(messages):
            self.queue.put(START, number)

    def limiter(self) -> Limiter:
        """Return the limiter of another environment."""
        return Limiter(lambda: int(self.world.now), self._sleep)

    def _sleep(self, seconds: float) -> None:
        self.world.sleep_ms(1000 * seconds)

    def poll(self) -> None:
        """Receive batches until every message was sent."""
        limiter = RateLimiter(self.limits, self.limiter())
        while self.left:
            if received := self.queue.receive(self.world.now):
                start = self.world.now
                sent = self._run(limiter, received)
                self.left -= sent
                self.found.runs += 1
                self.found.wasted += not sent
                self.found.busy_seconds += (self.world.now - start) / 1000
            else:
                self.world.sleep_ms(EMPTY_POLL_MS)

    def _run(self, limiter: RateLimiter, received: list[int]) -> int:
        """Send what gets a slot, and let the rest wait; return how many were sent."""
        self.world.sleep_ms(self.run.before_ms)
        result = limiter.acquire_batch(len(received))
        slots = () if isinstance(result, Wait) else result
        seconds = result.retry_after_s if isinstance(result, Wait) else 1
        until = timestamps.now() + timedelta(seconds=seconds)
        for message in received[len(slots) :]:
            row: Any = SimpleNamespace(message_id=message)
            retry.wait(row, until, QUEUES)
        if slots:
            ahead = max(0.0, max(slots) - self.world.now)
            cpu_ms = self.run.cpu_ms * len(slots) / BATCH
            self.world.sleep_ms(ahead + self.run.call_ms + cpu_ms)
            self.found.seconds = (self.world.now - START) / 1000
        return len(slots)

    def patches(self) -> Iterator[Any]:
        """Yield what puts the product's code into this world."""

        def send(_url: str, body: str, *, delay: int) -> None:
            self.queue.put(self.world.now + 1000 * delay, int(body))

        def park(row: Any, until: datetime) -> None:
            self.queue.put(until.timestamp() * 1000, row.message_id)

        for target, name, replacement in (
            (rate_limit, "now_ms", lambda: int(self.world.now)),
            (rate_limit, "wait_until", lambda slot: self.world.sleep_ms(slot - self.world.now)),
            (timestamps, "now", lambda: datetime.fromtimestamp(self.world.now / 1000, UTC)),
            (queue_transitions, "mark_dispatched", lambda _: None),
            (queue_transitions, "queue_body", lambda row: str(row.message_id)),
            (parking, "park", park),
            (queues, "send", send),
        ):
            yield mock.patch.object(target, name, replacement)


def drain(messages: int, pollers: int, limits: Limits, run: Run) -> Drained:
    """Send a backlog of messages with so many pollers."""
    random.seed(1)  # of the extra delays
    backlog = _Backlog(messages, limits, run)
    world = backlog.world
    with ExitStack() as entered, backlog.table.connected():
        for patch in backlog.patches():
            entered.enter_context(patch)
        world.spawn(lambda: backlog.limiter().take(limits))  # the limiter's item is there
        world.run()
        for number, after_ms in zip(range(pollers), _starts(), strict=False):
            world.spawn(backlog.poll, after_ms + number * 0.1)
        world.run()
    return backlog.found


def _starts() -> Iterator[float]:
    """Yield when each poller begins, in milliseconds."""
    yield from [0.0] * FIRST_POLLERS
    after = 0.0
    while True:
        after += 1000 / POLLERS_A_SECOND
        yield after


NO_LIMITS = "no limits"
TEN_A_SECOND = "10 a second"
SCENARIOS = {  # limits, messages of the backlog
    NO_LIMITS: (Limits(), 20_000),
    TEN_A_SECOND: (Limits(10), 1_200),
    "50 a second": (Limits(50), 3_000),
    "10 a second and 300 a minute": (Limits(10, 300), 900),
}


def measured(cpu_of_a_send: float) -> list[dict[str, Any]]:
    """Return what became of each backlog, with as many environments as the template starts."""
    found = []
    for name, (limits, messages) in SCENARIOS.items():
        parameters = {
            "MaxCallsPerSecond": str(limits.per_second),
            "MaxCallsPerMinute": str(limits.per_minute),
        }
        pollers = scale.pollers("DispatchFunctionQueue", **parameters)
        cpu_ms = 1000 * cost.seconds(cpu_of_a_send * BATCH, {})
        one = drain(messages, pollers, limits, Run(*scale.waits_of_dispatch_ms(), cpu_ms))
        found.append({"name": name, "pollers": pollers, **asdict(one)})
    return found


def table(drains: list[dict[str, Any]]) -> str:
    """Return what became of each backlog, as a table."""
    head = (
        "limits",
        "environments",
        "messages/s",
        "messages a run",
        "runs that sent nothing",
        "function seconds a message",
    )
    return markdown(
        head,
        (
            (
                row["name"],
                row["pollers"],
                f"{row['messages'] / row['seconds']:.1f}",
                f"{row['messages'] / row['runs']:.1f}",
                f"{row['wasted'] / row['runs']:.0%}",
                f"{row['busy_seconds'] / row['messages']:.2f}",
            )
            for row in drains
        ),
    )
