"""A message that goes back into the send queue many times is still sent.

Lambda stops a function that keeps sending to the queue that triggers it: it drops the invocation
after 16 rounds, unless the function has `RecursiveLoop: Allow`. The emulator does not. `Rounds`
counts and stops as Lambda does, by what the template says of the function.
"""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from skycore import timestamps
from skycore.sending.delivery import SendContext
from skycore.sending.dispatch import dispatch
from skycore.sending.rate_limit import RateLimiter
from skycore.sending.sweep import sweep
from skycore.table import models
from skycore.table.limiter import Limiter
from skycore.table.limits import Limits
from tests.template.conftest import Template
from tests.unit.sending.conftest import outside, table
from tests.unit.sending.test_sending import QUEUES, Skycore, queued, status

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.sending.conftest import Outside

__all__ = ["outside", "table"]

LAMBDA_STOPS_AFTER = 16  # rounds of one chain, as AWS documents recursive loop detection
BUSY_SECONDS = 3600
DAY_SECONDS = 24 * 3600


class Clock:
    """The time, which passes where the code sleeps."""

    def __init__(self) -> None:
        self.seconds = time.time()

    def sleep(self, seconds: float) -> None:
        self.seconds += max(0, seconds)

    def milliseconds(self) -> int:
        return int(self.seconds * 1000)


@pytest.fixture(autouse=True)
def few_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep a day of sweep's runs short."""
    monkeypatch.setattr(models, "PARKED_SHARDS", 1)
    monkeypatch.setattr(models, "WAITING_SHARDS", 1)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, table: object) -> Clock:
    made = Clock()
    monkeypatch.setattr("time.time", lambda: made.seconds)
    monkeypatch.setattr("time.time_ns", lambda: made.milliseconds() * 1_000_000)
    monkeypatch.setattr("time.sleep", made.sleep)
    monkeypatch.setattr(timestamps, "now", lambda: datetime.fromtimestamp(made.seconds, UTC))
    return made


class Rounds:
    """The send queue with one message, and Lambda between it and dispatch."""

    def __init__(self, outside: Outside, clock: Clock, *, loop_allowed: bool) -> None:
        self.rounds = 0  # of the message's chain: each copy that dispatch sent is one more
        self.calls = Skycore()
        self._clock, self._loop_allowed = clock, loop_allowed
        self._copies: list[tuple[float, str]] = []
        outside.send_message = self._take  # type: ignore[attr-defined]
        outside.send_message_batch = self._take_all  # type: ignore[method-assign]

    def _take(self, *, QueueUrl: str, MessageBody: str, DelaySeconds: int, **_: Any) -> None:  # noqa: N803
        assert QueueUrl == QUEUES.send
        self._copies.append((self._clock.seconds + DelaySeconds, MessageBody))

    def _take_all(self, *, QueueUrl: str, Entries: list[Any]) -> dict[str, Any]:  # noqa: N803
        for entry in Entries:
            body, delay = entry["MessageBody"], entry.get("DelaySeconds", 0)
            self._take(QueueUrl=QueueUrl, MessageBody=body, DelaySeconds=delay)
        return {"Successful": [{"Id": entry["Id"]} for entry in Entries]}

    def sweep(self) -> None:
        """Run sweep, which queues what was parked until now: a few times an hour, to be quick."""
        self._clock.seconds += 900
        sweep(time.monotonic() + 45, queue_url=QUEUES.send)

    def put(self, message_id: str) -> None:
        self._copies.append((self._clock.seconds, json.dumps({"message_id": message_id})))

    def run(self, limits: Limits, before: Callable[[], None] = lambda: None) -> bool:
        """Invoke dispatch when the next copy is due; return False if there is nothing to do."""
        if not self._copies:
            return False
        due, body = self._copies.pop(0)
        if self.rounds >= LAMBDA_STOPS_AFTER and not self._loop_allowed:
            return False  # after five such attempts SQS moves it to the dead-letter queue
        self._clock.seconds = max(self._clock.seconds, due)
        before()
        self.rounds += 1
        limiter = Limiter(self._clock.milliseconds, self._clock.sleep)
        line = SendContext(
            skycore=self.calls,  # type: ignore[arg-type]
            rate_limiter=RateLimiter(limits, limiter),
            repair_queue=QUEUES.send,
            days=90,
        )
        failed = dispatch({"q": body}, context=line, queues=QUEUES, deadline=time.monotonic() + 25)
        assert failed == []
        return True


def use_up(limits: Limits, clock: Clock) -> None:
    """Take every call that the limits have now, as another process does."""
    other = Limiter(clock.milliseconds, clock.sleep)
    while isinstance(other.take(limits, count=10), tuple):
        pass


def loop_allowed() -> bool:
    return Template().functions["DispatchFunction"].get("RecursiveLoop") == "Allow"


def test_a_message_that_waits_for_a_day_s_limit_is_sent(outside: Outside, clock: Clock) -> None:
    limits = Limits(per_day=20)
    queue = Rounds(outside, clock, loop_allowed=loop_allowed())
    use_up(limits, clock)
    message_id = queued()
    queue.put(message_id)
    waited_since = clock.seconds
    while status(message_id) == "queued":
        if not queue.run(limits):
            queue.sweep()
    assert (status(message_id), queue.calls.calls) == ("accepted", 1)
    assert clock.seconds - waited_since > DAY_SECONDS - 3600
    assert queue.rounds < LAMBDA_STOPS_AFTER  # parked, it does not go round


def wait_behind_others(queue: Rounds, clock: Clock) -> str:
    """Queue a message while others use up the limit for an hour; return its status."""
    limits = Limits(per_minute=10)
    message_id = queued()
    queue.put(message_id)
    busy_until = clock.seconds + BUSY_SECONDS

    def others() -> None:
        if clock.seconds < busy_until:
            use_up(limits, clock)

    while queue.run(limits, others):
        pass
    return status(message_id)


def test_a_message_that_goes_back_more_than_16_times_is_sent(
    outside: Outside, clock: Clock
) -> None:
    queue = Rounds(outside, clock, loop_allowed=loop_allowed())
    assert wait_behind_others(queue, clock) == "accepted"
    assert queue.calls.calls == 1
    assert queue.rounds > LAMBDA_STOPS_AFTER


def test_lambda_would_stop_it_without_the_template_s_setting(
    outside: Outside, clock: Clock
) -> None:
    queue = Rounds(outside, clock, loop_allowed=False)
    assert wait_behind_others(queue, clock) == "queued"
    assert queue.calls.calls == 0
