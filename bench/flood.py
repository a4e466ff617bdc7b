"""What an hour of posts with a wrong token costs, and which of Skycore's own it displaces.

From the rate of the postback route in template.yaml, the prices in prices.json, and the bytes that
`ack` logs for such a post, counted here. API Gateway does not bill what it answers with 429.

    .venv/bin/python -m bench.flood [POSTS_PER_SECOND]
"""

from __future__ import annotations

import io
import os
import sys
from contextlib import redirect_stdout
from unittest.mock import patch
from uuid import UUID

from bench import cost
from ops.doctor.deployment import template
from skycore import logs, metrics

HOUR = 3600
TRIES = 6  # Skycore's, five minutes apart
TIMES_THE_RATE = (2, 4, 10)
KINDS = {"small": "refused_ms", "of 4.4 MB, the most that reaches `ack`": "large_refused_ms"}


def default_rate() -> int:
    """Return the posts a second that the template takes by default."""
    return int(template()["Parameters"]["PostbackRequestsPerSecond"]["Default"])


def log_bytes() -> int:
    """Return what `ack` writes for one post of a flood: its metric. Other lines are sampled."""
    request = str(UUID(int=0))
    logs.reset_context(request_id=request, api_request_id=request)
    output = io.StringIO()
    with patch.dict(os.environ, STACK_NAME="skycore"), redirect_stdout(output):
        metrics.flush()
        start = output.tell()
        metrics.count("WrongTokens")
        metrics.flush()
    return output.tell() - start


def dollars(rate: int, milliseconds: float, logged: int) -> float:
    """Return what an hour of refused posts costs."""
    used: cost.Used = {
        "api request": 1,
        "lambda request": 1,
        "lambda GB-s": milliseconds / 1000 * cost.ASSUMED["memory_mb"] / 1024,
        "log GB": logged / 1e9,
    }
    return rate * HOUR * sum(amount * cost.DOLLARS[name] for name, amount in used.items())


def lines(rate: int) -> list[str]:
    """Return the two tables, as Markdown."""
    logged = log_bytes()
    rows = [
        f"| {rate} posts a second with a wrong token | dollars an hour | environments of `ack` |",
        "|---|---|---|",
    ]
    for kind, assumed in KINDS.items():
        milliseconds = cost.ASSUMED[assumed]
        busy = max(1, round(rate * milliseconds / 1000))
        rows.append(f"| {kind} | {dollars(rate, milliseconds, logged):.2f} | {busy} |")
    rows += [
        "",
        "| strangers post, times the rate | of Skycore's posts get 429 | lost after 25 minutes |",
        "|---|---|---|",
    ]
    for times in TIMES_THE_RATE:
        refused = 1 - 1 / times
        rows.append(f"| {times} | {refused:.0%} | {refused**TRIES:.0%} |")
    return rows


def main() -> None:
    """Print the tables for the rate of the command line, or the default."""
    rate = int(sys.argv[1]) if sys.argv[1:] else default_rate()
    print("\n".join(lines(rate)))
    print(f"\n{log_bytes()} bytes of log for each; list prices of {cost.AS_OF}")


if __name__ == "__main__":
    main()
