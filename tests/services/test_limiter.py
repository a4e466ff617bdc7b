"""The limiter's conditions hold on AWS's own implementation, between processes and threads."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from bisect import bisect_left

import pytest

from tests.services.local_table import NAME, client, create_table
from tests.services.stack import PATHS, ROOT

SECONDS = 5  # that the processes go on taking
PROCESSES = 3
THREADS = 4


def most_within(slots: list[int], milliseconds: int) -> int:
    """Return the most slots that lie in any stretch of that length."""
    return max(n + 1 - bisect_left(slots, slot - milliseconds + 1) for n, slot in enumerate(slots))


@pytest.mark.parametrize(
    ("per_second", "per_minute"), [(20, 0), (10, 40)], ids=["second", "second and minute"]
)
def test_no_window_is_exceeded_and_no_slot_is_given_twice(
    dynamodb_url: str, per_second: int, per_minute: int
) -> None:
    access_key = f"limits{secrets.token_hex(4)}"
    create_table(client("dynamodb", dynamodb_url, access_key))
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(map(str, PATHS)),
        "AWS_ACCESS_KEY_ID": access_key,
        "AWS_ENDPOINT_URL_DYNAMODB": dynamodb_url,
        "TABLE_NAME": NAME,
    }
    command = [sys.executable, "-m", "tests.services.limit_taker"]
    command += map(str, (per_second, per_minute, THREADS, SECONDS))
    takers = [
        subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(PROCESSES)
    ]
    assert [taker.stdout and taker.stdout.readline() for taker in takers] == ["ready\n"] * PROCESSES
    for taker in takers:
        print("go", file=taker.stdin, flush=True)
    printed = [taker.communicate()[0] for taker in takers]
    assert [taker.returncode for taker in takers] == [0] * PROCESSES
    got = [json.loads(text.splitlines()[-1]) for text in printed]  # after its log
    slots = sorted(slot for slots in got for slot in slots)
    if per_second:
        assert sum(map(bool, got)) > 1, "only one process got calls"
        assert most_within(slots, 1_000) <= per_second
        assert len(set(slots)) == len(slots)
    if per_minute:
        assert most_within(slots, 60_000) <= per_minute
    assert len(slots) > PROCESSES
