"""Ten million messages a day through the design, minute by minute: what gives first.

From CPU times that `make bench` measured, usual latencies (prices.json), the calls of each function
(requests.json) and AWS's published quotas (quotas.json). Every message is queued, the hardest way:
enqueue, dispatch, Skycore, then its postbacks through ack, store and publish. Each stage is a
tank: what comes in above its capacity waits, and the wait is the age of its queue. No stage ever
fails here; that is what the chaos tests are for.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import cost
from bench.table import markdown
from skycore.table import models
from tests.template.deployed import Deployed

if TYPE_CHECKING:
    from bench.measured import Measured

QUOTAS = json.loads((Path(__file__).parent / "quotas.json").read_text())
MINUTES = 24 * 60
SHOWN = 0.1  # of a capacity; the table leaves out what is used less


def _values(part: str) -> dict[str, Any]:
    return {name: row["value"] for name, row in QUOTAS[part].items()}


QUOTA, LOAD = _values("quotas"), _values("load")
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


@cache
def _stack(**parameters: str) -> Deployed:
    return Deployed("skycore", **parameters)


def _source(name: str, **parameters: str) -> dict[str, Any]:
    properties: dict[str, Any] = _stack(**parameters).properties(name)
    return properties


def pollers(source: str, **parameters: str) -> int:
    """Return how many environments a queue may start, by the template."""
    return int(_source(source, **parameters)["ScalingConfig"]["MaximumConcurrency"])


def route_rate(path: str) -> int:
    """Return the requests a second that the template lets through to a route."""
    stage = next(iter(_stack().of_type("AWS::ApiGateway::Stage")))
    settings = _stack().properties(stage)["MethodSettings"]
    rates = {one["ResourcePath"]: one["ThrottlingRateLimit"] for one in settings}
    return int(rates.get("/" + path.replace("/", "~1"), rates["/*"]))


def waits_of_dispatch_ms() -> tuple[float, float]:
    """Return how long a run waits before its calls, and from a call's slot to its end.

    It reads its messages one after the other; their calls go out side by side.
    """
    calls = cost.REQUESTS["dispatch, 10 messages"]
    each = sum(calls[name] // 10 for name in ("BatchGetItem", "UpdateItem", "PutItem"))
    before = calls["GetItem"] + calls["UpdateItem"] % 10
    table_ms = cost.ASSUMED["dynamodb_ms"]
    return before * table_ms, each * table_ms + cost.ASSUMED["skycore_ms"]


def stages(known: Measured) -> list[Stage]:
    """Return the functions that a message and its postbacks pass."""
    cpu = known.cpu
    stream = _source("PublishFunctionTableStream")
    size = int(stream["BatchSize"])
    calls: cost.Used = {"BatchGetItem": 1, "UpdateItem": size, "SNS PublishBatch": size / 10}
    ack = cost.seconds(cpu["ack"], {"SQS SendMessage": 1})
    store = cost.seconds(cpu["store"] * 10, dict(cost.REQUESTS["store, 10 postbacks"]))
    publish = cost.seconds(cpu["publish"] * size, calls)
    dispatch = cost.seconds(cpu["send"] * 10, {}) + sum(waits_of_dispatch_ms()) / 1000
    batches = {
        name: int(_source(name)["BatchSize"])
        for name in ("DispatchFunctionQueue", "StoreFunctionPostbacks")
    }
    assert set(batches.values()) == {10}, "requests.json counts the requests of ten messages"
    at_once = shards() * int(stream["ParallelizationFactor"])
    return [
        Stage("dispatch", 1, 10, dispatch, pollers("DispatchFunctionQueue")),
        Stage("ack", POSTBACKS, 1, ack, QUOTA["lambda_copies"]),
        Stage("store", POSTBACKS, 10, store, pollers("StoreFunctionPostbacks")),
        Stage("publish", EVENTS, size, publish, at_once),
    ]


def adapted() -> tuple[float, float]:
    """Return write units a second, and the table's capacity, in the hour that is fullest.

    An on-demand table takes twice what it has had, and 4,000 at least (Amazon DynamoDB Developer
    Guide, "On-demand capacity mode").
    """
    units = [AVERAGE * hour * write_units() for hour in LOAD["hours"]]
    least = QUOTA["new_table_write_units_s"]
    capacity = [max(least, 2 * max(units[:hour], default=0)) for hour in range(len(units))]
    return max(zip(units, capacity, strict=True), key=lambda pair: pair[0] / pair[1])


def used(known: Measured) -> list[tuple[str, float, float, str]]:
    """What the peak hour takes of each quota: name, a second (or at once), the quota, its kind."""
    every = stages(known)
    running = sum(one.copies(PEAK) for one in every)
    units, capacity = adapted()
    rows = [
        ("API Gateway, requests", PEAK * (1 + POSTBACKS), QUOTA["api_requests_s"], "account"),
        ("Lambda, copies at once", running, QUOTA["lambda_copies"], "account"),
        ("SNS, messages", PEAK * EVENTS, QUOTA["sns_publishes_s"], "account"),
        ("the table, write units", PEAK * write_units(), QUOTA["table_write_units_s"], "table"),
        ("the table, write units, in the hour that grows most", units, capacity, "adapts"),
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
        ("the stage's throttle, POST /messages", PEAK, route_rate("/messages"), "template"),
        (
            "the stage's throttle, postbacks",
            PEAK * POSTBACKS,
            route_rate("/postbacks/{item}"),
            "template",
        ),
        *(
            (f"{one.name}, items", PEAK * one.per_message, one.capacity, "template")
            for one in every
            if one.name != "ack"  # the account's executions bound it
        ),
    ]
    return sorted(rows, key=lambda row: row[1] / row[2], reverse=True)


def report(known: Measured) -> str:
    """Return what the functions do at the peak, and the table of docs/architecture.md."""
    columns = ("function", "items/s at peak", "batch", "seconds", "environments at peak")
    functions = markdown(
        (*columns, "at most", "can do, items/s", "oldest item"),
        (
            (
                f"`{one.name}`",
                f"{PEAK * one.per_message:.0f}",
                one.batch,
                f"{one.seconds:.2f}",
                f"{one.copies(PEAK):.1f}",
                f"{one.most_copies:.0f}",
                f"{one.capacity:.0f}",
                _age(one.oldest()),
            )
            for one in stages(known)
        ),
    )
    return f"{functions}\n\n{capacities(known)}"


def capacities(known: Measured) -> str:
    """Return the table of docs/architecture.md: how much of each capacity is used at the peak."""
    head = (
        f"{AVERAGE:.0f} messages a second on average, {PEAK:.0f} in the busiest hour;"
        f" {POSTBACKS} postbacks each; {write_units():.0f} write units a message with all that"
        f" follows; {shards()} shards. Quotas of {QUOTAS['as_of']}."
    )
    quotas = markdown(
        ("at peak", "a second", "may be", "used", "whose limit"),
        (
            (name, f"{amount:.0f}", f"{most:.0f}", f"{amount / most:.0%}", whose)
            for name, amount, most, whose in used(known)
            if amount >= SHOWN * most
        ),
    )
    paths = {path: cost.total(known, path) for path in (cost.SENT, cost.STORED, cost.PUBLISHED)}
    day = (paths[cost.SENT] + POSTBACKS * (paths[cost.STORED] + paths[cost.PUBLISHED])) * 10
    price = f"A day costs ${day:.0f} at a direct send's [price](cost.md)."
    return f"{head}\n\n{quotas}\n\nAll else is used below {SHOWN:.0%}. {price}"


def _age(seconds: float) -> str:
    if seconds < 1:
        return "none waits"
    if seconds == math.inf:
        return "never caught up"
    return f"{seconds / 3600:.1f} h" if seconds > 7200 else f"{seconds / 60:.0f} min"
