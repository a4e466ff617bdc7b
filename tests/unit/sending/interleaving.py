"""A model of everything that sends: callers, dispatch and sweep, step by step in random order.

Each actor is a thread, and one of them runs at a time. At every call of the table, the queue and
Skycore it hands over to the actor whose virtual time is next, so that a seed gives one run. The
product runs as it is, over a table that evaluates its conditions; what the services do to its calls
is `Faults`.
"""

from __future__ import annotations

import datetime as dt
import heapq
import random
import secrets
import threading
import time
from collections import Counter, defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from skycore import timestamps
from skycore.aws import clients, queues
from skycore.client.errors import NotSent, OutcomeUnknown, Refused
from skycore.client.reply import Reply
from skycore.problems import Problem
from skycore.queries.messages import cancel
from skycore.sending import account_pause
from skycore.sending import dispatch as dispatching
from skycore.sending import sweep as sweeping
from skycore.sending.batch import enqueue_batch
from skycore.sending.delivery import SendContext
from skycore.sending.rate_limit import RateLimiter
from skycore.sending.send import enqueue, send
from skycore.table import messages, models
from skycore.table.limits import Limits
from tests.unit.sending.test_sending import QUEUES, RULES, SMS
from tests.unit.table.fake_dynamodb import Crash, FakeDynamoDB, copied, error

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

WRITES = ("UpdateItem", "PutItem", "DeleteItem", "TransactWriteItems", "BatchWriteItem")
START = dt.datetime(2027, 1, 15, tzinfo=dt.UTC)
NOT_SENT = {"not_queued", "rate_limited", "skycore_unreachable"}
VISIBILITY_MS = 168_000  # the send queue's visibility timeout
LATE_MS = (20, 100, 1_000, 10_000)  # after which a write without an answer lands


@dataclass(frozen=True)
class Faults:
    """How likely each fault is, at each call.

    `error`: a call fails, is applied without an answer, or is applied twice. `late`: a write has no
    answer at first, and that first try lands later. `crash`: the process ends. `queue_out`: how
    likely SQS takes nothing from a first call for nine seconds. `keyed`: whether batches have keys.
    `mixed`: whether a repeat may come by the other route.
    """

    error: float = 0.0
    late: float = 0.0
    crash: float = 0.0
    queue_out: float = 0.0
    keyed: bool = True
    mixed: bool = True


PROFILES = {
    "queue out": Faults(error=0.001, queue_out=0.7),
    "queue out, no keys": Faults(error=0.001, queue_out=0.7, keyed=False),
    "late": Faults(error=0.002, late=0.06, queue_out=0.3),
    "late, no keys": Faults(error=0.002, late=0.06, queue_out=0.3, keyed=False),
    "errors": Faults(error=0.04),
    "errors, no keys": Faults(error=0.04, keyed=False),
    "crashes": Faults(error=0.01, crash=0.02),
    "everything": Faults(error=0.02, late=0.03, crash=0.01, queue_out=0.3),
}


class Scheduler:
    """Actors that take turns by virtual time, in milliseconds."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.now = 0.0
        self._turns: list[tuple[float, int, threading.Semaphore]] = []
        self._count = 0
        self._back = threading.Semaphore(0)
        self._error: BaseException | None = None
        self._mine = threading.local()

    def spawn(self, act: Callable[[], None], after: float = 0) -> None:
        """Run an actor after so many milliseconds."""
        turn = threading.Semaphore(0)

        def body() -> None:
            turn.acquire()
            self._mine.turn = turn
            try:
                act()
            except BaseException as failure:  # noqa: BLE001 - raised again by `run`
                self._error = failure
            self._back.release()

        threading.Thread(target=body, daemon=True).start()
        self._push(after, turn)

    def _push(self, after: float, turn: threading.Semaphore) -> None:
        self._count += 1
        heapq.heappush(self._turns, (self.now + after, self._count, turn))

    def pause(self, ms: float) -> None:
        """Let the others go first for so many milliseconds; outside of actors, do nothing."""
        turn = getattr(self._mine, "turn", None)
        if turn is not None:
            self._push(ms, turn)
            self._back.release()
            turn.acquire()

    def run(self) -> None:
        """Run all actors to their end. Raises what one of them raised."""
        while self._turns:
            at, _, turn = heapq.heappop(self._turns)
            self.now = max(self.now, at)
            turn.release()
            self._back.acquire()
            if self._error is not None:
                raise self._error


class Inline:
    """An executor that runs what it is given at once, in the caller's turn."""

    def __init__(self, **_: Any) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def submit(self, work: Any, *arguments: Any) -> Any:
        value = work(*arguments)
        return type("Done", (), {"result": staticmethod(lambda: value)})

    map = staticmethod(map)


@dataclass(frozen=True)
class VirtualTime:
    """What the account pause takes of the module `time`."""

    scheduler: Scheduler

    def monotonic(self) -> float:
        return self.scheduler.now / 1000

    def sleep(self, seconds: float) -> None:
        self.scheduler.pause(1000 * seconds)


@dataclass
class World:
    """One run: its services, its faults, and what callers got."""

    seed: int
    faults: Faults
    table: FakeDynamoDB
    faulty: bool = True
    queue_out_until: float = 0
    queue: list[list[Any]] = field(default_factory=list)  # [visible at, body]
    dead: list[list[Any]] = field(default_factory=list)
    written: Counter[str] = field(default_factory=Counter)  # requests that reached Skycore, by text
    answers: dict[str, list[tuple[float, str, str | None]]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def __post_init__(self) -> None:
        self.scheduler = Scheduler(self.seed)
        self.random = self.scheduler.random
        self.context = SendContext(self, RateLimiter(Limits()), "send", 90)  # type: ignore[arg-type]
        self._apply = self.table._make_api_call

    def maybe(self, chance: float) -> bool:
        return self.faulty and self.random.random() < chance

    def step(self) -> None:
        self.scheduler.pause(self.random.expovariate(1 / 8))

    # --- the table ------------------------------------------------------------------------------

    def call_table(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        """Carry out one call as botocore makes it, repeats included."""
        if operation == "Query":  # sweep makes hundreds, and what it does with the rows is a step
            return self._apply(operation, request)
        self.step()
        if operation in WRITES:
            self._disturb(operation, request)
        answer = self._apply(operation, request)
        self.step()
        return answer

    def _disturb(self, operation: str, request: dict[str, Any]) -> None:
        if self.maybe(self.faults.crash):
            raise Crash
        if self.maybe(self.faults.error):
            raise error("InternalServerError", operation)
        if self.maybe(self.faults.error / 2):  # applied without an answer, and repeated
            self._land(operation, request)
        elif self.maybe(self.faults.error / 3):  # applied, and no try has an answer
            self._apply(operation, request)
            raise error("InternalServerError", operation)
        elif self.maybe(self.faults.late):
            first = copied(request)
            self.scheduler.spawn(lambda: self._land(operation, first), self.random.choice(LATE_MS))
            self.scheduler.pause(50)
            if self.maybe(0.3):  # the repeats have no answer either, and are lost
                raise error("InternalServerError", operation)

    def _land(self, operation: str, request: dict[str, Any]) -> None:
        with suppress(Exception):
            self._apply(operation, request)

    # --- the queue ------------------------------------------------------------------------------

    def send_message(
        self,
        *,
        QueueUrl: str,  # noqa: N803
        **entry: Any,
    ) -> None:
        self.send_message_batch(QueueUrl=QueueUrl, Entries=[{"Id": "0", **entry}])

    def send_message_batch(self, *, QueueUrl: str, Entries: list[Any]) -> Any:  # noqa: N803
        self.step()
        first = threading.current_thread().name == "first"
        out = self.faulty and first and self.scheduler.now < self.queue_out_until
        if out or self.maybe(self.faults.error):
            raise error("InternalError", "SendMessageBatch")
        for entry in Entries:
            visible = self.scheduler.now + 1000 * entry.get("DelaySeconds", 0)
            (self.dead if QueueUrl == "dead" else self.queue).append(
                [visible, entry["MessageBody"]]
            )
        if self.maybe(self.faults.crash):
            raise Crash
        if self.maybe(self.faults.error / 2):
            raise error("InternalError", "SendMessageBatch")
        self.step()
        return {"Successful": [{"Id": entry["Id"]} for entry in Entries]}

    # --- Skycore --------------------------------------------------------------------------------

    def ready(self, *, count: int = 1, **_: Any) -> int:
        self.step()
        return count

    def call(self, action: Any, fields: Any, **_: Any) -> Reply:
        self.step()
        chance = self.random.random() if self.faulty else 1.0
        if chance < 0.12:
            raise NotSent("no connection")
        if chance < 0.20:
            raise Refused("E106", "wait 2 seconds")
        if action.effect != "send":  # the probe of a pause
            return Reply(action.name, {"status": "Success"})
        self.written[fields["text"]] += 1
        self.scheduler.pause(self.random.choice((50, 300, 3000)))
        if chance < 0.25:
            raise OutcomeUnknown("no reply")
        if chance < 0.25 + self.faults.crash:
            raise Crash
        return Reply(action.name, {"status": "Success", "tracking_id": f"T{self.random.random()}"})

    # --- the actors -----------------------------------------------------------------------------

    def call_api(self, route: str, name: str, key: str | None, actor: str) -> None:
        """Call a route of the API, and note what it answered."""
        threading.current_thread().name = actor
        common: dict[str, Any] = {"caller": "arn", "key": key, "policy": RULES}
        body = {**SMS, "text": name}
        deadline = time.monotonic() + 25
        try:
            if route == "send":
                sent = send(body, **common, context=self.context, deadline=deadline)
                self._note(name, f"{sent.status} {sent.body['status']}", sent.body)
            elif route == "enqueue":
                sent = enqueue(body, **common, queue_url="send")
                self._note(name, "202 queued", sent.body)
            else:
                entries = [{**SMS, "text": f"{name}.{number}"} for number in range(2)]
                sent = enqueue_batch({"messages": entries}, **common, queue_url="send")
                for entry, result in zip(entries, sent.body["messages"], strict=True):
                    word = "202 queued" if result["status"] == "queued" else result["code"]
                    self._note(entry["text"], word, result)
        except Problem as problem:
            self._note(name, problem.code, problem.members)
        except (Crash, Exception):  # noqa: BLE001 - the gateway answers that the outcome is unknown
            self._note(name, "gateway_failure", {})

    def _note(self, name: str, word: str, body: Any) -> None:
        self.answers[name].append((self.scheduler.now, word, body.get("message_id")))

    def dispatch(self) -> None:
        """Take messages from the queue for a minute, as Lambda does."""
        end = self.scheduler.now + 60_000
        while self.scheduler.now < end:
            taken = [copy_ for copy_ in self.queue if copy_[0] <= self.scheduler.now][:3]
            if not taken:
                self.scheduler.pause(self.random.uniform(500, 3000))
                continue
            for copy_ in taken:
                copy_[0] = self.scheduler.now + VISIBILITY_MS
            bodies = {str(number): copy_[1] for number, copy_ in enumerate(taken)}
            try:
                failed = dispatching.dispatch(
                    bodies, context=self.context, queues=QUEUES, deadline=time.monotonic() + 25
                )
            except Crash:
                failed = list(bodies)
            for number, copy_ in enumerate(taken):
                if str(number) not in failed and not self.maybe(0.05) and copy_ in self.queue:
                    self.queue.remove(copy_)  # SQS may deliver it again all the same

    def sweep(self) -> None:
        """Run as often as in a minute, or once when all is quiet."""
        for _ in range(3 if self.faulty else 1):
            with suppress(Crash, Exception):
                sweeping.sweep(time.monotonic() + 600, queue_url="send")
            self.scheduler.pause(20_000)

    def cancel_some(self) -> None:
        self.scheduler.pause(self.random.uniform(0, 5000))
        for name in list(self.answers):
            for _, _, message_id in list(self.answers[name]):
                if message_id and self.random.random() < 0.1:
                    with suppress(Crash, Exception):
                        cancel(message_id, {})
                    self._note(name, "cancel asked", {"message_id": message_id})

    def run(self) -> None:
        """Run three requests with their repeats, then five hours without faults."""
        spawn, uniform = self.scheduler.spawn, self.random.uniform
        for number in range(3):
            route = self.random.choice(("send", "enqueue", "batch"))
            name = f"{route} {number}"
            key = name if route != "batch" or self.faults.keyed else None
            if self.maybe(self.faults.queue_out):
                self.queue_out_until = 9_000
            spawn(partial(self.call_api, route, name, key, "first"), uniform(0, 3000))
            for _ in range(self.random.randint(0, 2) if key else 0):
                other = self.random.choice(("send", "enqueue"))
                again = other if self.faults.mixed and route != "batch" else route
                after = uniform(0, 4000) if self.random.random() < 0.7 else 35_000
                spawn(partial(self.call_api, again, name, key, "repeat"), after)
        for actor in (self.dispatch, self.dispatch, self.cancel_some):
            spawn(actor, uniform(0, 100))
        spawn(self.sweep, 5_000)
        self.scheduler.run()
        self.faulty = False
        for _ in range(5):  # a message may wait for a probe, and then let others go first
            self.scheduler.now += 61 * 60_000
            self.queue += self.dead  # an operator redrives
            self.dead = []
            spawn(self.sweep)
            spawn(self.dispatch, 100)
            self.scheduler.run()

    # --- what must hold -------------------------------------------------------------------------

    def violations(self) -> list[tuple[str, str, list[str]]]:
        """Return what callers got that is not so: (kind, message, words)."""
        found = []
        for name, answers in self.answers.items():
            calls = self.written[name]
            words = [word for _, word, _ in sorted(answers, key=lambda one: one[0])]
            ids = {message_id for _, _, message_id in answers if message_id}
            statuses = {row.status if (row := messages.get(id_)) else "none" for id_ in ids}
            cancelled = "cancel asked" in words
            if calls > 1:
                found.append(("sent twice", name, words))
            if "202 queued" in words and not calls and not cancelled:
                if statuses == {"none"}:
                    found.append(("a 202 is lost", name, words))
                elif statuses <= {"queued", "sending"}:
                    found.append(("never ends", name, words))
                elif statuses == {"unknown"} and not self.faults.crash and not self.faults.late:
                    found.append(("unknown, and not sent", name, words))
            last = words[-1] if not cancelled else ""
            alone = len(words) == 1  # a repeat that is not ready says nothing of the first call
            if calls and (last in NOT_SENT or (last == "not_ready" and alone)):
                found.append(("said not sent, and sent", name, words))
        return found


def play(seed: int, profile: str, table: FakeDynamoDB, patch: pytest.MonkeyPatch) -> list[Any]:
    """Play one run, and return its violations."""
    table.items = {}
    world = World(seed, PROFILES[profile], table)
    scheduler = world.scheduler
    patch.setattr(table, "_make_api_call", world.call_table)
    patch.setattr(timestamps, "now", lambda: START + dt.timedelta(milliseconds=scheduler.now))
    patch.setattr(secrets, "token_hex", lambda size: world.random.randbytes(size).hex())
    patch.setattr(clients, "sqs", lambda: world)
    patch.setattr(queues, "back_off", lambda number: scheduler.pause(100 * number))
    patch.setattr(account_pause, "time", VirtualTime(scheduler))
    patch.setattr(models, "PARKED_SHARDS", 1)  # more make more calls, and nothing else
    patch.setattr(models, "WAITING_SHARDS", 1)
    patch.setattr(sweeping, "FIRST_LOOK_BACK", dt.timedelta(hours=2))
    for module in (dispatching, sweeping):
        patch.setattr(module, "ThreadPoolExecutor", Inline)
    patch.setattr(random, "uniform", world.random.uniform)
    world.run()
    patch.setattr(table, "_make_api_call", world._apply)
    return world.violations()
