"""The bench's own table: what guards users, its bound, and why it is measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench import cost, drain, growth, scale
from bench.table import HEAD, Row, markdown
from skycore.table.limits import Limits
from tests.template.conftest import Template
from tests.unit.table import virtual_time

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.measured import Measured

MAX_PACKAGE = 12 * 1024 * 1024  # bytes
COLD_BOUNDS = {"ack": 1.15, "send": 1.25}  # times a plain function's start
MAX_USED = 0.8  # of any capacity in the busiest hour
MIN_DRAIN = 200  # messages a second
MAX_WASTED = 0.1  # of dispatch's runs
VCPU_MB = 1_769  # of memory, with which a function has one vCPU ("Configure function memory", AWS)
RELEASED_IN = 45  # seconds that sweep has for due messages
LIMITER = ((10, 1), (10, 50), (200, 10), (200, 50))  # calls a second, and callers


def rows(run: Measured) -> Iterator[Row]:
    """Yield every row of the table."""
    for verb, bound in COLD_BOUNDS.items():
        ratio = (run.cold[verb] - run.cold["python"]) / (run.floors[verb] - run.cold["python"])
        yield Row(
            f"cold start of `{verb}`, relative to a plain function with the same clients",
            f"{ratio:.2f} x",
            f"<= {bound} x",
            ratio <= bound,
            "a caller, or Skycore, waits for it",
        )
    every = ", ".join(f"`{verb}` {1000 * run.cold[verb]:.0f}" for verb in sorted(run.cold))
    yield Row(
        "CPU of every cold start, milliseconds", every, "", True, "shows an import that crept in"
    )
    size = sum(run.packages.values())
    yield Row(
        "both layers, zipped",
        f"{size / 1e6:.1f} MB",
        f"<= {MAX_PACKAGE / 1e6:.1f} MB",
        size <= MAX_PACKAGE,
        "every cold start loads them",
    )
    stored, plain = cost.total(run, cost.STORED), cost.total(run, cost.PLAIN_STORED)
    yield Row(
        "dollars for a million postbacks, to a plain sample",
        f"${stored:.2f}",
        f"<= ${plain:.2f}",
        stored <= plain,
        "nobody should pay for the guarantees of receiving",
    )
    sent, plain = cost.total(run, cost.SENT), cost.total(run, cost.PLAIN_SENT)
    yield Row(
        "dollars for a million sends, to a plain sample",
        f"${sent:.2f}",
        f"<= ${1.5 * plain:.2f}",
        sent <= 1.5 * plain,
        "at most once costs more: decision 041 says what",
    )
    name, used = max(
        ((name, amount / most) for name, amount, most, _ in scale.used(run)), key=lambda row: row[1]
    )
    yield Row(
        "ten million messages a day: the fullest capacity at the peak",
        f"{used:.0%} ({name})",
        f"<= {MAX_USED:.0%}",
        used <= MAX_USED,
        "the default parameters must carry it",
    )
    yield from _dispatch(run)
    writes = max(row["writes"] for row in run.limiter if row["limit"] >= row["callers"])
    yield Row(
        "limiter: writes per call, with at most as many callers as calls a second",
        f"{writes:.2f}",
        "<= 1.5",
        writes <= 1.5,
        "each write costs a unit and a wait; contention repeats them",
    )
    memory = Template().functions["SweepFunction"]["MemorySize"]
    seconds = run.release / min(1.0, memory / VCPU_MB)
    yield Row(
        "`sweep`: queues 10,000 due messages, at its share of a vCPU",
        f"{seconds:.0f} s",
        f"<= {RELEASED_IN} s",
        seconds <= RELEASED_IN,
        "scheduled messages go out in their minute",
    )
    grows = [row["operation"] for row in run.growth if growth.Growth(**row).law == "GROWS"]
    yield Row(
        "operations that read more of a larger table",
        ", ".join(grows) or "none",
        "none",
        not grows,
        "what works on the first day must work after a year",
    )


def _dispatch(run: Measured) -> Iterator[Row]:
    by_name = {row["name"]: row for row in run.drains}
    free = by_name[drain.NO_LIMITS]
    per_second = free["messages"] / free["seconds"]
    yield Row(
        "the send queue drains, without limits",
        f"{per_second:.0f} messages/s",
        f">= {MIN_DRAIN}/s",
        per_second >= MIN_DRAIN,
        "a campaign is through before the hour is over",
    )
    limited = by_name[drain.TEN_A_SECOND]
    wasted = limited["wasted"] / limited["runs"]
    yield Row(
        "runs of `dispatch` that send nothing, with a limit of 10 a second",
        f"{wasted:.0%}",
        f"<= {MAX_WASTED:.0%}",
        wasted <= MAX_WASTED,
        "they are paid for",
    )


def table(run: Measured) -> str:
    """Return the bench's table."""
    return markdown(HEAD, (row.cells for row in rows(run)))


def bounds(run: Measured) -> str:
    """Return the table of docs/cost.md: what has a bound. A test checks that each is met."""
    bounded = ((row.what, row.value, row.bound) for row in rows(run) if row.bound)
    return markdown(HEAD[:3], bounded)


def requests_table() -> str:
    """Return what each invocation asks of AWS, as bench/requests.json states it."""
    units = ("read units", "write units")
    listed = []
    for name, calls in cost.REQUESTS.items():
        made = ", ".join(f"{n} {call}" for call, n in calls.items() if call not in units)
        listed.append((name, made, *(calls.get(unit, 0) for unit in units)))
    return markdown(("invocation", "requests", *units), listed)


def limiter() -> list[dict[str, float]]:
    """Measure what single callers get out of the limiter's item, in virtual time."""
    found = []
    for limit, callers in LIMITER:
        one = virtual_time.measure(Limits(limit), callers, 10)
        found.append(
            {
                "limit": limit,
                "callers": callers,
                "granted": len(one.slots_ms) / one.seconds,
                "writes": one.writes_a_call,
                "median_ms": one.percentile(50),
                "p99_ms": one.percentile(99),
            }
        )
    return found


def limiter_table(run: Measured) -> str:
    """Return what single callers get out of the limiter's item, in virtual time."""
    head = ("limit", "callers", "granted/s", "writes a call", "to a slot: median", "99%")
    return markdown(
        head,
        (
            (
                f"{row['limit']:.0f}/s",
                f"{row['callers']:.0f}",
                f"{row['granted']:.0f}",
                f"{row['writes']:.1f}",
                f"{row['median_ms']:.0f} ms",
                f"{row['p99_ms']:.0f} ms",
            )
            for row in run.limiter
        ),
    )
