"""The account's limits under concurrency, judged by the simulator's own counts and clock."""

from __future__ import annotations

import os
import random
import time
import urllib.error
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from local.client import Client
from tests.integration.conftest import Stack, brought_up
from tests.patience import until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]

PER_SECOND, PER_MINUTE = 10, 300
PRIORITY_SHARE = 0.2  # the template's default
MINUTES = float(os.environ.get("LIMIT_MINUTES", "4"))  # in which all workers work
WORKERS = 50
LONGEST_PAUSE = 2.5  # seconds that a worker adds of its own
EMULATOR_SECONDS = 300  # patience while the emulator starts a process for each copy of send


@pytest.fixture(scope="module")
def limited() -> Iterator[Any]:
    parameters = f"MaxCallsPerSecond={PER_SECOND} MaxCallsPerMinute={PER_MINUTE}"
    with brought_up(".local/limited", parameters) as made:
        made.control(
            "settings",
            {
                "max_per_second": PER_SECOND,
                "max_per_minute": PER_MINUTE,
                "outcome": "no_postback",  # receipts would only keep the emulator from sending
            },
            "PATCH",
        )
        yield made


class Worker:
    """One caller: sends one message after another and does as it is told when it is refused."""

    def __init__(self, stack: Stack, number: int) -> None:
        self.client = Client(stack.description, timeout=EMULATOR_SECONDS)
        self.number = number
        self.answers: Counter[int] = Counter()
        self.sent: list[str] = []

    def warm_up(self) -> None:
        """Gets a copy of the function of its own, if all workers call at the same moment."""
        body = {"to": "+17743191000", "from": "60856", "text": "warm", "dry_run": True}
        assert self.client.request("POST", "/messages", body).status_code == 200

    def work(self, end: float) -> None:
        """Sends until `end` (monotonic seconds)."""
        refused = 0
        while time.monotonic() < end:
            text = f"w{self.number} {len(self.sent)}"
            body = {"to": f"+1774319{1000 + self.number}", "from": "60856", "text": text}
            answer = self.client.request("POST", "/messages", body)
            self.answers[answer.status_code] += 1
            if answer.status_code == 201:
                self.sent.append(text)
                refused = 0
            elif answer.status_code == 429:
                told = int(answer.headers["Retry-After"])
                assert 1 <= told <= 62
                assert answer.json()["window"] in {"second", "minute"}
                # Not before it was told, and then after a pause that grows, as the docs ask.
                refused += 1
                pause = told + random.uniform(0, min(2.0**refused, LONGEST_PAUSE))
                time.sleep(min(pause, max(0.0, end - time.monotonic())))


def sent(stack: Stack, prefix: str) -> list[dict[str, Any]]:
    """The messages that Skycore has whose texts begin so, oldest first."""
    rows = stack.control("messages?limit=50000")["messages"]
    return [row for row in rows if row["text"].startswith(prefix)]


def arrivals(stack: Stack, prefix: str) -> list[float]:
    """When they reached Skycore, seconds since 1970, by the simulator's clock."""
    return [datetime.fromisoformat(row["time"]).timestamp() for row in sent(stack, prefix)]


def calls_by_minute(times: list[float], begin: float, end: float) -> list[int]:
    """The calls in each whole minute of [begin, end), for all alignments, a second apart."""
    starts = (begin + n for n in range(int(end - begin) - 60 + 1))
    return [sum(start <= at < start + 60 for at in times) for start in starts]


def test_fifty_workers_never_exceed_a_limit_and_use_it(limited: Any) -> None:
    workers = [Worker(limited, number) for number in range(WORKERS)]
    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(Worker.warm_up, workers))
        begin, end = time.time(), time.monotonic() + 60 * MINUTES
        list(pool.map(lambda worker: worker.work(end), workers))
    counts = limited.control("counts")
    accepted = sum(len(worker.sent) for worker in workers)
    answers = sum((worker.answers for worker in workers), Counter())
    refused = sum(counts["refusals"].values())
    times = arrivals(limited, "w")
    minutes = calls_by_minute(times, begin, begin + 60 * MINUTES)
    mean = sum(minutes) / len(minutes)
    tens = [begin + 10 * n for n in range(int(6 * MINUTES))]
    print(
        f"{WORKERS} workers, {MINUTES} min at {PER_SECOND}/s and {PER_MINUTE}/min, of which "
        f"in a minute: {mean:.1f} on the average of all alignments "
        f"({mean / PER_MINUTE:.1%}), least {min(minutes)}, most {max(minutes)}; "
        f"most calls in a window {counts['most_calls_in']}; accepted {accepted}, "
        f"refused by Skycore {refused}, answers {dict(answers)}; calls in every ten seconds "
        f"{[sum(at <= one < at + 10 for one in times) for at in tens]}"
    )
    assert counts["most_calls_in"]["minute"] <= PER_MINUTE
    assert refused <= 0.005 * accepted
    assert mean >= 0.95 * PER_MINUTE
    assert set(answers) == {201, 429}
    texts = [row["text"] for row in sent(limited, "w")]
    assert sorted(texts) == sorted(text for worker in workers for text in worker.sent)


def test_a_thousand_through_batch_while_skycore_throttles_and_goes_down(limited: Any) -> None:
    batch = {
        "messages": [
            {"to": f"+1774318{1000 + n}", "from": "60856", "text": f"batch {n}"}
            for n in range(1000)
        ]
    }
    answer = limited.post("/messages/batch", batch, Idempotency_Key="thousand")
    assert answer.status_code == 202
    rows = answer.json()["messages"]
    assert all(row["status"] == "queued" for row in rows)
    again = limited.post("/messages/batch", batch, Idempotency_Key="thousand")
    assert [row["message_id"] for row in again.json()["messages"]] == [
        row["message_id"] for row in rows
    ]
    queued_at = time.monotonic()

    def arrived() -> int:
        try:
            return len(arrivals(limited, "batch "))
        except urllib.error.URLError:  # its control routes are down with it
            return 0

    assert until(lambda: arrived() > 550, 400)
    times = arrivals(limited, "batch ")
    open_to_it = PER_MINUTE * (1 - PRIORITY_SHARE)
    minutes = calls_by_minute(times, times[0], times[-1])
    mean = sum(minutes) / len(minutes)
    limited.control("settings", {"next_errors": ["E106", "E113", "E120"]}, "PATCH")
    limited.control("down", {"seconds": 60})
    assert until(lambda: arrived() >= 1000, 900)
    took = time.monotonic() - queued_at

    def statuses() -> Counter[str]:
        listed = (limited.get(f"/messages/{row['message_id']}").json() for row in rows)
        return Counter(row["status"] for row in listed)

    assert until(lambda: statuses() == {"accepted": 1000})
    texts = [row["text"] for row in sent(limited, "batch ")]
    counts = limited.control("counts")
    print(
        f"a thousand in a batch: {mean:.1f} a minute of the {open_to_it:.0f} that are open to it "
        f"({mean / open_to_it:.1%}), most {max(minutes)}; with throttling and a minute's outage "
        f"all sent after {took:.0f} s, {len(set(texts))} different ones, {len(texts)} in all; "
        f"most calls in a window {counts['most_calls_in']}, refusals {counts['refusals']}"
    )
    assert sorted(texts) == sorted(entry["text"] for entry in batch["messages"])
    assert max(minutes) <= open_to_it
    assert mean >= 0.95 * open_to_it
    assert counts["most_calls_in"]["minute"] <= PER_MINUTE
