"""Everything between the functions and AWS fails now and then: nothing is lost or sent twice."""

from __future__ import annotations

import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from tests.chaos import seen
from tests.chaos.faults import Faults
from tests.chaos.interposed import interposed
from tests.chaos.load import Service, bodies, post_all

# In the end a message is one of these; never sending, never queued.
ENDS = {"accepted", "sent", "delivered", "failed", "expired", "rejected", "unknown", "cancelled"}


@dataclass(frozen=True, slots=True)
class Storm:
    """How much comes in, for how long it may take, and which faults there are."""

    postbacks: int
    sends: int
    workers: int
    visibility: int  # seconds until a failed message comes again
    patience: float  # seconds for everything to settle
    faults: Faults
    poison: bool = False


# Nothing that takes seconds by itself.
SHORT = Storm(60, 12, 4, 5, 60, Faults(4711, without=frozenset({"silence", "die_before"})))
LONG = Storm(5_000, 500, 8, 30, 400, Faults(4711), poison=True)


def test_a_short_storm(stack, capsys):
    _weather(stack, SHORT, capsys)


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_a_long_storm(stack, capsys):
    _weather(stack, LONG, capsys)


def _weather(stack, storm: Storm, capsys) -> None:
    mark = uuid.uuid4().hex[:8]
    waiting = seen.depths(stack, seen.QUEUES)
    before = seen.depths(stack, seen.DEAD_LETTER_QUEUES)
    stack.control("settings", {"duplicate_rate": 0.2, "shuffle": True}, "PATCH")
    newest = max((one["id"] for one in stack.control("postbacks?limit=1")["postbacks"]), default=0)
    subscriber = seen.Subscriber(stack)
    subscriber.start()
    service = Service(stack, mark)
    expected = seen.Expected()
    began = time.monotonic()
    with interposed(stack, storm.faults, visibility=storm.visibility) as proxy:
        poison = _plant(stack) if storm.poison else {}
        with ThreadPoolExecutor(2) as pool:
            sending = pool.submit(service.send_all, storm.sends, storm.workers)
            posting = pool.submit(post_all, stack, bodies(storm.postbacks, mark), storm.workers)
            acknowledged, statuses = posting.result()
            sending.result()
        came_in = time.monotonic() - began
        expected.add(acknowledged)

        def settled() -> bool:
            now = seen.depths(stack, seen.QUEUES)
            if any(now[queue] > waiting[queue] for queue in now):
                return False
            if stack.control("counts")["postbacks_pending"] or _unfinished(stack, mark):
                return False
            expected.add(_acknowledged_receipts(stack, newest))
            return not expected.missing(subscriber)

        calm = seen.wait(stack, settled, storm.patience)
    took = time.monotonic() - began
    subscriber.stop()
    stack.control("settings", {"duplicate_rate": 0, "shuffle": False}, "PATCH")

    sent = _sent(stack, mark)
    ours = _messages(stack, mark)
    ends = Counter(row["status"]["S"] for row in ours.values())
    events = Counter(row["sk"]["S"].removeprefix("event#") for row in seen.rows(stack, "event"))
    dead = {
        queue: depth - before[queue]
        for queue, depth in seen.depths(stack, seen.DEAD_LETTER_QUEUES).items()
        if depth != before[queue]
    }
    untold = {
        message
        for message, row in ours.items()
        if any(step["S"].endswith(" accepted") for step in row["steps"]["L"])
        and (message, "accepted") not in subscriber.steps
    }
    missing = expected.missing(subscriber)
    again = sum(count - 1 for count in subscriber.got.values())
    with capsys.disabled():
        print(
            f"\n{proxy.table()}\n"
            f"came in within {came_in:.0f} s, settled after {took:.0f} s\n"
            f"postbacks    {storm.postbacks} distinct, answers {dict(statuses)}\n"
            f"events       {len(expected.ids) + len(expected.emails)} expected, "
            f"{events.total()} rows, {subscriber.got.total()} read, {again} of them again, "
            f"{len(missing)} missing\n"
            f"sends        {storm.sends}, answers {dict(service.answers)}\n"
            f"messages     {len(sent)} at Skycore, {sum(c > 1 for c in sent.values())} of them "
            f"twice; in the end {dict(ends)}; {len(untold)} acceptances not told\n"
            f"dead letters {dead}, planted {poison}"
        )
    assert len(acknowledged) == storm.postbacks
    assert not missing
    assert not untold
    assert max(sent.values()) == 1
    assert set(ends) <= ENDS
    assert {id_: events[id_] for id_ in expected.ids} == dict.fromkeys(expected.ids, 1)
    assert all(len(subscriber.of_email[email]) == 1 for email in expected.emails)
    assert dead == poison
    assert calm


def _plant(stack) -> dict[str, int]:
    """Messages that nobody can ever read: where they must end, and how many."""
    sqs = stack.admin("sqs")
    not_base64 = {"encoding": {"DataType": "String", "StringValue": "base64"}}
    sqs.send_message(
        QueueUrl=stack.resource("PostbackQueue"), MessageBody="%", MessageAttributes=not_base64
    )
    for queue in ("SendQueue", "PublishRetryQueue"):
        sqs.send_message(QueueUrl=stack.resource(queue), MessageBody="poison")
    return {
        "PostbackDeadLetterQueue": 1,
        "SendDeadLetterQueue": 1,
        "PublishRetryDeadLetterQueue": 1,
    }


def _acknowledged_receipts(stack, after: int) -> list[bytes]:
    """The simulator's own postbacks that got 200, those after one id."""
    told = stack.control(f"postbacks?limit=20000&after={after}")["postbacks"]
    return [one["body"].encode() for one in told if one["delivered"]]


def _messages(stack, mark: str) -> dict[str, dict]:
    return {
        row["message_id"]["S"]: row
        for row in seen.rows(stack, "message")
        if row.get("client_reference", {}).get("S", "").startswith(f"{mark} ")
    }


def _unfinished(stack, mark: str) -> list[str]:
    rows = _messages(stack, mark)
    return [id_ for id_, row in rows.items() if row["status"]["S"] in {"queued", "sending"}]


def _sent(stack, mark: str) -> Counter[str]:
    told = stack.control("messages?direction=out&limit=20000")["messages"]
    return Counter(row["text"] for row in told if row["text"].startswith(f"{mark} "))
