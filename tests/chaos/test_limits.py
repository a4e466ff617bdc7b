"""The account's limits under concurrency, judged by the simulator's own rolling counts."""

from __future__ import annotations

import os
import random
import time
import urllib.error
from concurrent.futures import ThreadPoolExecutor

import pytest

from local.client import Client
from tests.integration.conftest import brought_up, until

pytestmark = [pytest.mark.long, pytest.mark.timeout(1200)]

PER_SECOND, PER_MINUTE = 10, 300
MINUTES = float(os.environ.get("LIMIT_MINUTES", "3"))
WORKERS = 50
RAMP_SECONDS = 1.0


@pytest.fixture(scope="module")
def limited():
    parameters = f"MaxCallsPerSecond={PER_SECOND} MaxCallsPerMinute={PER_MINUTE}"
    with brought_up(".local/limited", parameters) as made:
        made.control(
            "settings",
            {"max_per_second": PER_SECOND, "max_per_minute": PER_MINUTE, "postback_delay": 5},
            "PATCH",
        )
        yield made


def test_fifty_workers_never_exceed_a_limit_and_use_it(limited):
    end = time.monotonic() + 60 * MINUTES + WORKERS * RAMP_SECONDS
    answers: dict[int, int] = {}
    texts: list[str] = []

    def work(worker: int) -> None:
        # One after another: the emulator starts a process for each copy of the function.
        client = Client(limited.description, timeout=180)
        time.sleep(worker * RAMP_SECONDS)
        n = 0
        while time.monotonic() < end:
            n += 1
            text = f"w{worker} {n}"
            body = {"to": f"+1774319{1000 + worker}", "from": "60856", "text": text}
            answer = client.request("POST", "/messages", body)
            answers[answer.status_code] = answers.get(answer.status_code, 0) + 1
            if answer.status_code == 201:
                texts.append(text)
            elif answer.status_code == 429:
                assert 1 <= int(answer.headers["Retry-After"]) <= 60
                assert answer.json()["window"] in {"second", "minute"}
                time.sleep(random.uniform(0.2, 1.0))

    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(work, range(WORKERS)))
    counts = limited.control("counts")
    accepted = len(texts)
    possible = PER_MINUTE * (MINUTES + WORKERS * RAMP_SECONDS / 60)
    refused = sum(counts["refusals"].values())
    print(
        f"{WORKERS} workers, {MINUTES} min at {PER_SECOND}/s and {PER_MINUTE}/min: "
        f"{accepted} accepted of {possible:.0f} possible, answers {answers}, "
        f"most calls in a window {counts['most_calls_in']}, refused by Skycore {refused}"
    )
    assert counts["most_calls_in"]["minute"] <= PER_MINUTE
    assert refused <= 0.005 * accepted
    assert accepted >= 0.95 * possible
    sent = [row["text"] for row in limited.control("messages?limit=5000")["messages"]]
    assert sorted(text for text in sent if text in set(texts)) == sorted(texts)


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
