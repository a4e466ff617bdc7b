"""How fast `dispatch` drains the send queue, and how many of its runs are wasted on a limit.

Lambda's poller, the queue and Skycore are simulated in virtual time. The rate limiter, its item and
the rule by which a message waits are the product's own. A run is wasted if none of its messages
got a slot: they all go back into the queue.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from unittest import mock

from bench import cost, scale
from bench.table import markdown
from skycore import timestamps
from skycore.sending import dispatch, rate_limit
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
QUEUES: Any = dispatch.Queues("send", "dead")


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


def drain(
    messages: int,
    pollers: int,
    limits: Limits,
    *,
    before_ms: float,
    call_ms: float,
    batch_cpu_ms: float = 0.0,
) -> Drained:
    """Send a backlog of messages with so many pollers.

    A run reads its messages for `before_ms`, and each call takes `call_ms` from its slot on;
    `batch_cpu_ms` is the processor's time of a run in which ten messages were sent.
    """
    world, queue, found = World(), _Queue(), Drained(messages)
    random.seed(1)  # of the extra delays
    left = Counter(messages=messages)
    for number in range(messages):
        queue.put(START, number)

    def send_copy(_url: str, body: str, *, delay: int) -> None:
        queue.put(world.now + 1000 * delay, int(body))

    def park(row: Any, until: datetime) -> None:
        queue.put(until.timestamp() * 1000, row.message_id)

    def work() -> None:
        limiter = RateLimiter(
            limits, Limiter(lambda: int(world.now), lambda wait: world.sleep_ms(1000 * wait))
        )
        while left["messages"]:
            received = queue.receive(world.now)
            if not received:
                world.sleep_ms(EMPTY_POLL_MS)
                continue
            start = world.now
            world.sleep_ms(before_ms)
            result = limiter.acquire_batch(len(received))
            slots = () if isinstance(result, Wait) else result
            seconds = result.retry_after_s if isinstance(result, Wait) else 1
            for message in received[len(slots) :]:
                until = timestamps.now() + timedelta(seconds=seconds)
                dispatch._wait(SimpleNamespace(message_id=message), until, QUEUES)  # type: ignore[arg-type]  # noqa: SLF001
            if slots:
                last = max(world.now, *map(float, slots))
                world.sleep_ms(last - world.now + call_ms + batch_cpu_ms * len(slots) / BATCH)
                left["messages"] -= len(slots)
                found.seconds = (world.now - START) / 1000
            found.runs += 1
            found.wasted += not slots
            found.busy_seconds += (world.now - start) / 1000

    with ExitStack() as patched, DistantTable(world).connected():
        for target, name, replacement in (
            (rate_limit, "now_ms", lambda: int(world.now)),
            (rate_limit, "wait_until", lambda slot: world.sleep_ms(slot - world.now)),
            (timestamps, "now", lambda: datetime.fromtimestamp(world.now / 1000, UTC)),
            (queue_transitions, "mark_dispatched", lambda _: None),
            (queue_transitions, "queue_body", lambda row: str(row.message_id)),
            (parking, "park", park),
            (dispatch.sqs, "send", send_copy),
        ):
            patched.enter_context(mock.patch.object(target, name, replacement))
        world.spawn(lambda: Limiter(lambda: int(world.now)).take(limits))  # the item is there
        world.run()
        for number, after in zip(range(pollers), _starts(), strict=False):
            world.spawn(work, after + number * 0.1)
        world.run()
    return found


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
        before_ms, call_ms = scale.waits_of_dispatch_ms()
        one = drain(
            messages,
            pollers,
            limits,
            before_ms=before_ms,
            call_ms=call_ms,
            batch_cpu_ms=1000 * cost.seconds(cpu_of_a_send * BATCH, {}),
        )
        found.append({"name": name, "pollers": pollers, **asdict(one)})
    return found


def table(drains: list[dict[str, Any]]) -> str:
    """Return what became of each backlog, as a table."""
    head = ("limits", "environments", "messages/s", "messages a run", "runs that sent nothing")
    head += ("function seconds a message",)
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
