"""Queued messages over hours: the queue, dispatch and sweep with a clock that a test moves."""

from __future__ import annotations

import heapq
import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

from skycore import timestamps
from skycore.aws import clients
from skycore.client.reply import Reply
from skycore.sending.delivery import Queues, SendContext
from skycore.sending.dispatch import dispatch
from skycore.sending.policy import SendPolicy
from skycore.sending.rate_limit import RateLimiter
from skycore.sending.send import call_action, enqueue, send
from skycore.sending.sweep import sweep
from skycore.table import messages, models, parking, pauses
from skycore.table.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from skycore.sending.idempotency import SendResult
    from skycore.table.messages import MessageRow

RULES = SendPolicy.of("US", "", 90)
START = datetime(2026, 11, 23, 9, 0, 7, tzinfo=UTC)
VISIBILITY = 168  # seconds until the queue gives a message again that dispatch failed on
BATCH = 10


class World:
    """A stack in one process. `fails(action, fields)` is what a call of Skycore raises, or None."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = START
        self.fails: Callable[[str, dict[str, Any]], Exception | None] = lambda *_: None
        self.calls: list[tuple[datetime, str, bool]] = []  # when, action, whether it succeeded
        self.dead: list[str] = []
        self.receives = 0
        self.paused_minutes = 0
        self.sweep_is_down = self.dispatch_is_down = self.queue_is_out = False
        self._queue: list[tuple[datetime, int, str]] = []
        self._number = count()
        self._next_sweep = START + timedelta(seconds=20)
        self.policy = RULES
        self.context = SendContext(self, RateLimiter(Limits()), "send", 90)  # type: ignore[arg-type]
        monkeypatch.setattr(models, "PARKED_SHARDS", 2)  # so that hours take seconds
        monkeypatch.setattr(models, "WAITING_SHARDS", 2)
        monkeypatch.setattr(timestamps, "now", lambda: self.now)
        parking.begin_progress.cache_clear()  # each world is a new stack
        monkeypatch.setattr("skycore.sending.retry.random.uniform", lambda low, _high: low)
        monkeypatch.setattr(clients, "sqs", lambda: self)

    # --- Skycore --------------------------------------------------------------------------------

    def ready(self, *, count: int = 1, **_: Any) -> int:
        return count

    def call(self, action: Any, fields: dict[str, Any], **_: Any) -> Reply:
        error = self.fails(action.name, fields)
        self.calls.append((self.now, action.name, error is None))
        if error is not None:
            raise error
        return Reply(action.name, {"tracking_id": f"T{len(self.calls)}"})

    # --- SQS ------------------------------------------------------------------------------------

    def send_message(self, *, QueueUrl: str, MessageBody: str, DelaySeconds: int, **_: Any) -> None:  # noqa: N803
        self._put(QueueUrl, MessageBody, DelaySeconds)

    def send_message_batch(self, *, QueueUrl: str, Entries: list[Any]) -> Any:  # noqa: N803
        if self.queue_is_out:
            return {"Failed": [{"Id": entry["Id"]} for entry in Entries]}
        for entry in Entries:
            self._put(QueueUrl, entry["MessageBody"], entry.get("DelaySeconds", 0))
        return {"Successful": [{"Id": entry["Id"]} for entry in Entries]}

    def _put(self, queue: str, body: str, delay: int) -> None:
        if queue == "dead":
            self.dead.append(json.loads(body)["message_id"])
            return
        due = self.now + timedelta(seconds=delay)
        heapq.heappush(self._queue, (due, next(self._number), body))

    # --- what a test does -----------------------------------------------------------------------

    def enqueue(self, **fields: Any) -> str:
        body = {"to": "+17743199144", "from": "60856", "text": "Hello", **fields}
        body = {name: value for name, value in body.items() if value is not None}
        return str(self.queue(body).body["message_id"])

    def queue(self, body: dict[str, Any], key: str | None = None) -> SendResult:
        return enqueue(body, caller="arn", key=key, queue_url="send", policy=self.policy)

    def quiet(self, hours: str, region: str = "US") -> None:
        """Deploy with these quiet hours."""
        self.policy = SendPolicy.of(region, "", 90, quiet_hours=hours)
        self.context = replace(self.context, quiet_hours=self.policy.quiet_hours)

    def send(self, **fields: Any) -> SendResult:
        body = {"to": "+17743199144", "from": "60856", "text": "Hello", **fields}
        deadline = time.monotonic() + 25
        known: dict[str, Any] = {"policy": RULES, "context": self.context, "deadline": deadline}
        return send(body, caller="arn", key=None, **known)

    def act(self, action: str) -> dict[str, Any]:
        deadline = time.monotonic() + 25
        return call_action(
            action, {}, identity={}, context=self.context, policy=RULES, deadline=deadline
        )

    def put(self, body: dict[str, Any]) -> None:
        self._put("send", json.dumps(body), 0)

    def run(self, **period: float) -> None:
        """Let time pass: dispatch takes what is due, sweep runs every minute."""
        end = self.now + timedelta(**period)
        while True:
            queued = self._queue and not self.dispatch_is_down
            due = [end]
            due += [self._queue[0][0]] if queued else []
            due += [] if self.sweep_is_down else [self._next_sweep]
            self.now = max(self.now, min(due))
            if queued and self._queue[0][0] <= self.now:
                self._dispatch()
            elif not self.sweep_is_down and self._next_sweep <= self.now:
                self._next_sweep = self.now + timedelta(minutes=1)
                sweep(time.monotonic() + 45, queue_url="send")
                self.paused_minutes += pauses.read(consistent=True).of("account").paused
            elif self.now >= end:
                return

    def skip(self, **period: float) -> None:
        """Let time pass quickly: sweep does not run."""
        self.sweep_is_down = True
        self.run(**period)
        self.sweep_is_down = False

    def _dispatch(self) -> None:
        bodies: dict[str, str] = {}
        while self._queue and self._queue[0][0] <= self.now and len(bodies) < BATCH:
            _, number, body = heapq.heappop(self._queue)
            bodies[str(number)] = body
        self.receives += len(bodies)
        self.now += timedelta(milliseconds=50)
        queues, deadline = Queues("send", "dead"), time.monotonic() + 25
        for failed in dispatch(bodies, context=self.context, queues=queues, deadline=deadline):
            again = self.now + timedelta(seconds=VISIBILITY)
            heapq.heappush(self._queue, (again, next(self._number), bodies[failed]))

    def accepted_at(self) -> list[datetime]:
        return [at for at, action, done in self.calls if done and action != "getMmsIds"]


def row(message_id: str) -> MessageRow:
    found = messages.get(message_id)
    assert found is not None
    return found


def status(message_id: str) -> str:
    return row(message_id).status
