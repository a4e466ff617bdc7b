"""One process of many that take calls from the limiter; prints the slots that it got.

Arguments: the limits per second and minute, threads that take single calls, and seconds.
"""

from __future__ import annotations

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from skycore.table.limiter import Limiter
from skycore.table.limits import BULK_WAIT_MS, SINGLE_WAIT_MS, Limits

LONGEST_PAUSE_S = 0.2


def take(limits: Limits, limiter: Limiter, end: float, *, count: int) -> list[int]:
    """Return the slots, in milliseconds since 1970, that were granted until `end`."""
    slots: list[int] = []
    wait = SINGLE_WAIT_MS if count == 1 else BULK_WAIT_MS
    while time.monotonic() < end:
        result = limiter.take(limits, count=count, bulk=count > 1, longest_wait_ms=wait)
        if isinstance(result, tuple):
            slots += result
            until = result[-1]
        else:
            until = result.until_ms
        time.sleep(min(LONGEST_PAUSE_S, max(0, until / 1000 - time.time())))
    return slots


def main() -> None:
    """Take single calls in threads and blocks of ten in another, with one limiter."""
    per_second, per_minute, threads, seconds = map(int, sys.argv[1:])
    limits, limiter = Limits(per_second, per_minute), Limiter()
    print("ready", flush=True)
    sys.stdin.readline()  # all processes begin together
    end = time.monotonic() + seconds
    with ThreadPoolExecutor(threads + 1) as pool:
        counts = [1] * threads + [10]
        jobs = [pool.submit(take, limits, limiter, end, count=count) for count in counts]
        print(json.dumps(sorted(slot for job in jobs for slot in job.result())))


if __name__ == "__main__":
    main()
