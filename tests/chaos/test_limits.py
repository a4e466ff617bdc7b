"""The account's limits under concurrency, judged by the simulator's own counts and clock."""

from __future__ import annotations

import os
import random
import time
import urllib.error
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import pytest

from local.client import Client
from tests.integration.conftest import Stack, brought_up, until

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]

PER_SECOND, PER_MINUTE = 10, 300
MINUTES = float(os.environ.get("LIMIT_MINUTES", "4"))  # in which all workers work
WORKERS = 50
RAMP_SECONDS = 2.5  # between two workers' starts: the emulator starts a process for each copy
LONGEST_PAUSE = 2.5  # seconds that a worker adds of its own
GATEWAY_SECONDS = 60  # patience with the emulator, which is slower than API Gateway's 29 s


@pytest.fixture(scope="module")
def limited():
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
        self.client = Client(stack.description, timeout=GATEWAY_SECONDS)
        self.number = number
        self.answers: Counter[int] = Counter()
        self.sent: list[str] = []

    def work(self, begin: float, end: float) -> None:
        time.sleep(max(0.0, begin - time.monotonic()))
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


def arrivals(stack: Stack) -> list[float]:
    """When each message reached Skycore, seconds since 1970, by the simulator's clock."""
    rows = stack.control("messages?limit=50000")["messages"]
    return [datetime.fromisoformat(row["time"]).timestamp() for row in rows]


def calls_by_minute(times: list[float], begin: float, end: float) -> list[int]:
    """The calls in each whole minute of [begin, end), for all alignments, a second apart."""
    starts = (begin + n for n in range(int(end - begin) - 60 + 1))
    return [sum(start <= at < start + 60 for at in times) for start in starts]


def test_fifty_workers_never_exceed_a_limit_and_use_it(limited):
    workers = [Worker(limited, number) for number in range(WORKERS)]
    first, all_work = time.monotonic(), time.time() + WORKERS * RAMP_SECONDS
    end = first + WORKERS * RAMP_SECONDS + 60 * MINUTES
    with ThreadPoolExecutor(WORKERS) as pool:
        starts = [first + worker.number * RAMP_SECONDS for worker in workers]
        list(pool.map(lambda worker, begin: worker.work(begin, end), workers, starts))
    counts = limited.control("counts")
    accepted = sum(len(worker.sent) for worker in workers)
    answers = sum((worker.answers for worker in workers), Counter())
    refused = sum(counts["refusals"].values())
    minutes = calls_by_minute(arrivals(limited), all_work, all_work + 60 * MINUTES)
    mean = sum(minutes) / len(minutes)
    print(
        f"{WORKERS} workers, {MINUTES} min at {PER_SECOND}/s and {PER_MINUTE}/min, of which in a "
        f"minute while all work: {mean:.1f} on the average of all alignments "
        f"({mean / PER_MINUTE:.1%}), least {min(minutes)}, most {max(minutes)}; "
        f"most calls in a window {counts['most_calls_in']}; accepted {accepted}, "
        f"refused by Skycore {refused}, answers {dict(answers)}"
    )
    assert counts["most_calls_in"]["minute"] <= PER_MINUTE
    assert refused <= 0.005 * accepted
    assert mean >= 0.95 * PER_MINUTE
    assert set(answers) == {201, 429}
    sent = [row["text"] for row in limited.control("messages?limit=50000")["messages"]]
    assert sorted(sent) == sorted(text for worker in workers for text in worker.sent)


def test_a_thousand_through_batch_while_skycore_throttles_and_goes_down(limited):
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
    wanted = {f"batch {n}" for n in range(1000)}

    def sent() -> list[str]:
        try:
            kept = limited.control("messages?limit=9000")["messages"]
        except urllib.error.URLError:  # its control routes are down with it
            return []
        return [row["text"] for row in kept if row["text"] in wanted]

    assert until(lambda: len(sent()) > 200, 300)
    limited.control("settings", {"next_errors": ["E106", "E113", "E120"]}, "PATCH")
    limited.control("down", {"seconds": 60})
    began = time.monotonic()
    assert until(lambda: len(sent()) >= 1000, 900)
    print(f"a thousand: all sent {time.monotonic() - began:.0f} s after Skycore went down")
    assert sorted(sent()) == sorted(wanted)
    assert until(
        lambda: all(
            limited.get(f"/messages/{row['message_id']}").json()["status"]
            in {"accepted", "sent", "delivered"}
            for row in rows[::50]
        ),
        120,
    )
