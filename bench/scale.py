"""Ten million messages a day through the design, minute by minute: what gives first.

From CPU times that `make bench` measured, usual latencies (prices.json), the calls of each function
(requests.json) and AWS's published quotas (quotas.json). Every message is queued, the hardest way:
enqueue, dispatch, Skycore, then its postbacks through ack, store and publish. Each stage is a
tank: what comes in above its capacity waits, and the wait is the age of its queue. No stage ever
fails here; that is what the chaos tests are for.

    make bench && .venv/bin/python -m bench.scale
"""

from __future__ import annotations

import json
import math
import sys
from dataclasses import dataclass
from typing import Any

from bench import artefact, cost
from skycore.table import models

QUOTAS = json.loads((artefact.ROOT / "bench" / "quotas.json").read_text())
MINUTES = 24 * 60


def _values(part: str) -> dict[str, Any]:
    return {name: row["value"] for name, row in QUOTAS[part].items()}


QUOTA, TEMPLATE, LOAD = _values("quotas"), _values("template"), _values("load")
AVERAGE: float = LOAD["messages"] / 86_400  # messages a second
PEAK: float = AVERAGE * max(LOAD["hours"])
POSTBACKS: int = LOAD["postbacks_per_message"]
EVENTS = POSTBACKS + 1  # that publish sends for a message: its postbacks, and that it was accepted


@dataclass(frozen=True, slots=True)
class Stage:
    """A function and what comes to it: `per_message` items, `batch` at a time."""

    name: str
    per_message: float
    batch: int
    seconds: float  # of an invocation with a whole batch
    most_copies: float

    @property
    def capacity(self) -> float:
        """Items a second."""
        return self.most_copies * self.batch / self.seconds

    def copies(self, messages_s: float) -> float:
        """Copies that run at once, on average, at so many messages a second."""
        return messages_s * self.per_message / self.batch * self.seconds

    def oldest(self) -> float:
        """Seconds that an item waits at worst; infinite if a day's backlog outlives the day."""
        waiting = worst = 0.0
        for minute in range(MINUTES):
            come = AVERAGE * LOAD["hours"][minute // 60] * self.per_message * 60
            waiting = max(0.0, waiting + come - self.capacity * 60)
            worst = max(worst, waiting / self.capacity)
        return math.inf if waiting else worst


def shards() -> int:
    """Shards of the stream: one for each partition of the table, which on-demand splits by load."""
    busiest: float = PEAK * write_units()
    a_shard: float = QUOTA["key_write_units_s"]
    return max(4, math.ceil(busiest / a_shard))


def write_units() -> float:
    """Write units of a message with all its postbacks."""
    queued = cost.REQUESTS["enqueue, 10 messages"]["write units"] / 10
    sent = queued + cost.REQUESTS["dispatch, 10 messages"]["write units"] / 10
    stored = cost.REQUESTS["store, 10 postbacks"]["write units"] / 10
    moved = cost.REQUESTS["publish, 10 receipts of known messages"]["write units"] / 10
    return sent + POSTBACKS * (stored + moved)


def stages(known: cost.Measured, *, parallel: float, dispatchers: float) -> list[Stage]:
    """The functions that a message and its postbacks pass, with that much room for two of them."""
    cpu = known.cpu
    told: cost.Used = {"BatchGetItem": 1, "UpdateItem": 100, "SNS PublishBatch": 10}
    ack = cost.seconds(cpu["ack"], {"SQS SendMessage": 1})
    store = cost.seconds(cpu["store100"] * 100, {"BatchGetItem": 1, "BatchWriteItem": 4})
    publish = cost.seconds(cpu["publish"] * 100, told)
    # At worst: ten calls of Skycore side by side, but the table's one after the other.
    calls: cost.Used = {**cost.REQUESTS["dispatch, 10 messages"], "Skycore": 1}
    dispatch = cost.seconds(cpu["send"] * 10, calls)
    every = QUOTA["lambda_copies"]
    return [
        Stage("dispatch", 1, 10, dispatch, dispatchers),
        Stage("ack", POSTBACKS, 1, ack, every),
        Stage("store", POSTBACKS, 100, store, TEMPLATE["store_copies"]),
        Stage("publish", EVENTS, 100, publish, shards() * parallel),
    ]


def used(known: cost.Measured) -> list[tuple[str, float, float, str]]:
    """What the peak hour takes of each quota: name, a second (or at once), the quota, its kind."""
    running = sum(one.copies(PEAK) for one in _usual(known))
    rows = [
        ("API Gateway, requests", PEAK * (1 + POSTBACKS), QUOTA["api_requests_s"], "account"),
        ("Lambda, copies at once", running, QUOTA["lambda_copies"], "account"),
        ("SNS, messages", PEAK * EVENTS, QUOTA["sns_publishes_s"], "account"),
        ("the table, write units", PEAK * write_units(), QUOTA["table_write_units_s"], "table"),
        (
            "a table that was idle before, write units",
            PEAK * write_units(),
            QUOTA["new_table_write_units_s"],
            "until it has adapted",
        ),
        (
            "index by state, `sending`: in and out, one of its shards",
            PEAK * 2 / models.STATE_SHARDS,
            QUOTA["key_write_units_s"],
            "key",
        ),
        (
            "index by day, one of its shards",
            PEAK * (1 + POSTBACKS) / models.DAY_SHARDS,
            QUOTA["key_write_units_s"],
            "key",
        ),
        ("limiter's item, blocks of ten", PEAK / 10, LOAD["limiter_writes_s"], "key, measured"),
        (
            "limiter's item, one by one",
            PEAK * LOAD["limiter_units"],
            QUOTA["key_write_units_s"],
            "key",
        ),
        (
            "a campaign's tracking id, one of its shards",
            LOAD["campaign"] * POSTBACKS / LOAD["campaign_minutes"] / 60 / models.TRACKING_SHARDS,
            QUOTA["key_write_units_s"],
            "key",
        ),
        ("the stage's throttle, POST /messages", PEAK, TEMPLATE["messages_route_s"], "template"),
        (
            "the stage's throttle, postbacks",
            PEAK * POSTBACKS,
            TEMPLATE["postback_route_s"],
            "template",
        ),
    ]
    rows += [
        (f"{one.name}, items", PEAK * one.per_message, one.capacity, "template")
        for one in _usual(known)
        if one.name in {"dispatch", "publish"}
    ]
    return sorted(rows, key=lambda row: row[1] / row[2], reverse=True)


def _usual(known: cost.Measured) -> list[Stage]:
    return stages(
        known,
        parallel=TEMPLATE["stream_copies_per_shard"],
        dispatchers=TEMPLATE["dispatch_copies"],
    )


def report(known: cost.Measured) -> str:
    """The tables of docs/architecture.md."""
    head = (
        f"{AVERAGE:.0f} messages a second on average, {PEAK:.0f} in the busiest hour;"
        f" {POSTBACKS} postbacks each; {write_units():.0f} write units a message with all that"
        f" follows; {shards()} shards. Quotas of {QUOTAS['as_of']}."
    )
    columns = "function|items/s at peak|batch|seconds|copies at peak|can do, items/s|oldest item"
    lines = [head, "", f"| {columns.replace('|', ' | ')} |", "|---" * 7 + "|"]
    lines += [
        f"| `{one.name}` | {PEAK * one.per_message:.0f} | {one.batch} | {one.seconds:.2f}"
        f" | {one.copies(PEAK):.1f} | {one.capacity:.0f} | {_age(one.oldest())} |"
        for one in _usual(known)
    ]
    lines += ["", "| at peak | a second | may be | used | whose limit |", "|---|---|---|---|---|"]
    for name, amount, most, whose in used(known):
        lines.append(f"| {name} | {amount:.0f} | {most:.0f} | {amount / most:.0%} | {whose} |")
    paths = {path: cost.total(known, path) for path in (cost.SENT, cost.STORED, cost.TOLD)}
    day = (paths[cost.SENT] + POSTBACKS * (paths[cost.STORED] + paths[cost.TOLD])) * 10
    lines += [
        "",
        f"Cost: ${day:.0f} a day paid by use, at a single send's price ([cost](cost.md)).",
    ]
    return "\n".join(lines)


def _age(seconds: float) -> str:
    if seconds < 1:
        return "none waits"
    if seconds == math.inf:
        return "never caught up"
    return f"{seconds / 3600:.1f} h" if seconds > 7200 else f"{seconds / 60:.0f} min"


def main() -> int:
    """Prints the report. Returns 1 if nothing was measured yet."""
    path = artefact.ROOT / ".local" / "bench.json"
    if not path.exists():
        print("nothing is measured yet: make bench", file=sys.stderr)
        return 1
    told = json.loads(path.read_text())
    print(report(cost.Measured(told["cpu"], told["logged"])))
    return 0


if __name__ == "__main__":
    sys.exit(main())
