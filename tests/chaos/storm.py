"""A storm: postbacks and sends come in while calls of AWS fail; and what is left after it."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.chaos import seen
from tests.chaos.interposed import behind, interposed
from tests.chaos.load import Service, bodies, post_all

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.chaos.faults import Faults
    from tests.integration.conftest import Stack

UNFINISHED = {"queued", "sending"}
PROMISED = {"201", "202", "queued"}  # answers that say: it is, or will be, at Skycore


@dataclass(frozen=True, slots=True)
class Storm:
    """How much comes in, for how long it may take, and which faults there are."""

    postbacks: int
    sends: int
    workers: int
    visibility: int  # seconds until a failed message comes again
    patience: float  # seconds for everything to settle
    faults: Faults
    poison: bool = False  # whether messages are planted that nobody can read
    stream_behind: bool = False  # whether the stream's batches are as full as they may be


@dataclass(slots=True)
class Aftermath:
    """What was seen from outside; `str` prints the counts."""

    faults: str
    calm: bool  # queues are empty, every message has ended, all is told
    acknowledged: int  # distinct postbacks that got 200
    expected: seen.Expected
    subscriber: seen.Subscriber
    stored: Counter[str]  # rows of each event, by id
    sent: Counter[str]  # messages of each text at Skycore
    ends: Counter[str]  # rows of each status
    lost: list[str]  # texts that were promised, and are neither sent nor unknown
    untold: set[str]  # messages whose acceptance was not told
    dead_letters: dict[str, int]
    poison: dict[str, int]
    answers: str

    def __str__(self) -> str:
        read = self.subscriber.got
        twice = sum(count > 1 for count in self.sent.values())
        return (
            f"{self.faults}\n{self.answers}\n"
            f"events       {len(self.expected.ids) + len(self.expected.undated)} expected, "
            f"{self.stored.total()} rows, {read.total()} read, {read.total() - len(read)} of them "
            f"again, {len(self.expected.missing(self.subscriber))} missing\n"
            f"messages     {len(self.sent)} at Skycore, {twice} of them twice, {len(self.lost)} "
            f"lost; in the end {dict(self.ends)}; {len(self.untold)} acceptances not told\n"
            f"dead letters {self.dead_letters}, planted {self.poison}; "
            f"{'calm' if self.calm else 'not calm'}"
        )


def weather(stack: Stack, storm: Storm) -> Aftermath:
    """Lets a storm pass over a stack, and waits until it is calm again."""
    mark = uuid.uuid4().hex[:8]
    waiting, dead = seen.depths(stack, seen.QUEUES), seen.depths(stack, seen.DEAD_LETTER_QUEUES)
    newest = max((one["id"] for one in stack.control("postbacks?limit=1")["postbacks"]), default=0)
    service, expected = Service(stack, mark), seen.Expected()
    began = time.monotonic()

    def settled() -> bool:
        now = seen.depths(stack, seen.QUEUES)
        if any(now[queue] > waiting[queue] for queue in now):
            return False
        if stack.control("counts")["postbacks_pending"]:
            return False
        if any(row["status"]["S"] in UNFINISHED for row in _messages(stack, mark)):
            return False
        expected.add(_acknowledged_receipts(stack, newest))
        return not expected.missing(subscriber)

    with (
        _twice_and_shuffled(stack),
        seen.subscribed(stack) as subscriber,
        interposed(stack, storm.faults, visibility=storm.visibility) as proxy,
    ):
        poison = _plant(stack) if storm.poison else {}
        held = behind(stack) if storm.stream_behind else contextlib.nullcontext()
        with held, ThreadPoolExecutor(1) as pool:
            sending = pool.submit(service.send_all, storm.sends, storm.workers)
            acknowledged, statuses = post_all(stack, bodies(storm.postbacks, mark), storm.workers)
            sending.result()
        came_in = time.monotonic() - began
        expected.add(acknowledged)
        calm = seen.wait(stack, settled, storm.patience)
        took = time.monotonic() - began

    rows, sent = _messages(stack, mark), _sent(stack, mark)
    dead_now = seen.depths(stack, seen.DEAD_LETTER_QUEUES)
    return Aftermath(
        faults=proxy.table(),
        calm=calm,
        acknowledged=len(acknowledged),
        expected=expected,
        subscriber=subscriber,
        stored=Counter(row["sk"]["S"].removeprefix("event#") for row in seen.rows(stack, "event")),
        sent=sent,
        ends=Counter(row["status"]["S"] for row in rows),
        lost=_lost(service.ended, rows, sent),
        untold=_untold(rows, subscriber),
        dead_letters={q: n - dead[q] for q, n in dead_now.items() if n != dead[q]},
        poison=poison,
        answers=(
            f"came in within {came_in:.0f} s, settled after {took:.0f} s\n"
            f"postbacks    {storm.postbacks} distinct, answers {dict(statuses)}\n"
            f"sends        {storm.sends}, answers {dict(service.answers)}"
        ),
    )


@contextlib.contextmanager
def _twice_and_shuffled(stack: Stack) -> Iterator[None]:
    """The simulator's own postbacks come out of order, and every fifth twice."""
    stack.control("settings", {"duplicate_rate": 0.2, "shuffle": True}, "PATCH")
    try:
        yield
    finally:
        stack.control("settings", {"duplicate_rate": 0, "shuffle": False}, "PATCH")


def _plant(stack: Stack) -> dict[str, int]:
    """Messages that nobody can ever read: where they must end, and how many."""
    sqs = stack.admin("sqs")
    not_base64 = {"encoding": {"DataType": "String", "StringValue": "base64"}}
    sqs.send_message(
        QueueUrl=stack.resource("PostbackQueue"), MessageBody="A", MessageAttributes=not_base64
    )
    for queue in ("SendQueue", "PublishRetryQueue"):
        sqs.send_message(QueueUrl=stack.resource(queue), MessageBody="poison")
    queues = ("PostbackDeadLetterQueue", "SendDeadLetterQueue", "PublishRetryDeadLetterQueue")
    return dict.fromkeys(queues, 1)


def _acknowledged_receipts(stack: Stack, after: int) -> list[bytes]:
    """The simulator's own postbacks that got 200, those after one id."""
    told = stack.control(f"postbacks?limit=20000&after={after}")["postbacks"]
    return [one["body"].encode() for one in told if one["delivered"]]


def _sent(stack: Stack, mark: str) -> Counter[str]:
    told = stack.control("messages?direction=out&limit=20000")["messages"]
    return Counter(row["text"] for row in told if row["text"].startswith(f"{mark} "))


def _messages(stack: Stack, mark: str) -> list[dict[str, Any]]:
    """The rows of our messages; each has its text as its reference."""
    return [
        row
        for row in seen.rows(stack, "message")
        if row.get("client_reference", {}).get("S", "").startswith(f"{mark} ")
    ]


def _lost(ended: dict[str, str], rows: list[dict[str, Any]], sent: Counter[str]) -> list[str]:
    status = {row["client_reference"]["S"]: row["status"]["S"] for row in rows}
    promised = [text for text, end in ended.items() if end in PROMISED]
    return [text for text in promised if not sent[text] and status.get(text) != "unknown"]


def _untold(rows: list[dict[str, Any]], subscriber: seen.Subscriber) -> set[str]:
    accepted = {
        row["message_id"]["S"]
        for row in rows
        if any(step["S"].endswith(" accepted") for step in row["steps"]["L"])
    }
    return {one for one in accepted if (one, "accepted") not in subscriber.steps}
