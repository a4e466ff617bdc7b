"""What users wait for: measured on the local stack, and modelled for AWS.

    make up && .venv/bin/python -m bench.latency

measures the local stack and writes the figures to bench/measured.json and docs/cost.md. The model
adds up hops (latency.json, each with its source), the requests of requests.json, and the measured
processor time at a function's share of a vCPU. Skycore's own time is left out everywhere.
"""

from __future__ import annotations

import json
import math
import random
import sys
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from statistics import quantiles
from typing import TYPE_CHECKING, Any

from bench import cost
from bench.measured import Measured
from bench.table import markdown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tests.integration.conftest import Stack

HOPS = json.loads((Path(__file__).parent / "latency.json").read_text())["hops"]
SAMPLES = 4_000
Z99 = 2.326  # standard deviations of the normal distribution's 99th percentile
ENQUEUE_SHARE = 1024 / cost.ASSUMED["mb_per_vcpu"]  # its memory in the template
SHARE = cost.ASSUMED["memory_mb"] / cost.ASSUMED["mb_per_vcpu"]
SEND, COLD = "`POST /messages`, warm", "the same, cold"
EVENT, QUEUED = "postback to the subscriber's queue", "queued message to Skycore, nothing waiting"
BATCH = "batch of 1,000 to its 202"
LEFT = {
    SEND: "API Gateway, and five requests to the table, each of which waits for the one before",
    COLD: "Lambda's own start, and the imports of boto3, PynamoDB and requests",
    EVENT: "the stream's poll, up to 250 ms: publishing from the table loses nothing in a crash",
    BATCH: "ten transactions of a hundred rows, then the queue's batches of ten",
    QUEUED: "the row, the queue, and the claim before the call",
}
TRIES = {SEND: 40, COLD: 3, EVENT: 15, BATCH: 2, QUEUED: 12}
PATIENCE_SECONDS = 60

type Path_ = Mapping[str, float]  # how often each hop is passed, and milliseconds of CPU


def _paths(run: Measured) -> dict[str, tuple[Path_, Path_]]:
    """Return the hops of each wait: ours, and those of a plain sample."""
    ms = {name: 1000 * seconds / SHARE for name, seconds in run.cpu.items()}
    table = _table_requests("send, a message")
    send = {"api": 1, "dynamodb": table, "cpu": ms["send"]}
    plain_send = {"api": 1, "dynamodb": 1, "cpu": ms["post"] + ms["save"]}
    cold = {"environment": 1, "connections": 1}
    front = {"api": 1, "cpu": ms["ack"], "sqs": 1, "queue to function": 1}
    plain_front = front | {"cpu": ms["send_message"]}
    event = front | {
        "cpu": ms["ack"] + ms["store"] + ms["publish"],
        "dynamodb": _table_requests("store, 10 postbacks") + 2,
        "stream to function": 1,
        "sns": 1,
        "topic to queue": 1,
    }
    plain_event = plain_front | {"dynamodb": 1, "cpu": ms["send_message"] + ms["save"]}
    # Reads, a transaction of a hundred rows, and queue calls side by side, four at a time.
    batch: dict[str, float] = {"api": 1, "dynamodb": 10, "transaction": 10, "sqs": 25}
    batch["cpu"] = 1000 * 1_000 * run.cpu["enqueue"] / ENQUEUE_SHARE
    plain_batch = {"api": 1, "sqs": 100, "cpu": 100 * ms["send_message"]}
    queued = {
        "api": 1,
        "dynamodb": 2 + 4,  # the row and the opt-outs; row, pause, opt-outs and claim
        "sqs": 1,
        "queue to function": 1,
        "cpu": ms["send"] * 1.5,
    }
    plain_queued = plain_front | {"cpu": ms["send_message"] + ms["post"]}
    return {
        SEND: (send, plain_send),
        COLD: (
            send | cold | {"cpu": send["cpu"] + 1000 * run.cold["send"] / SHARE},
            plain_send | cold | {"cpu": plain_send["cpu"] + 1000 * run.floors["send"] / SHARE},
        ),
        EVENT: (event, plain_event),
        BATCH: (batch, plain_batch),
        QUEUED: (queued, plain_queued),
    }


def _table_requests(name: str) -> int:
    calls = cost.REQUESTS[name]
    return sum(n for call, n in calls.items() if call.endswith("Item"))


def modelled(path: Path_) -> tuple[float, float]:
    """Return the median and the 99th percentile of a path, in milliseconds."""
    rng = random.Random(1)
    sums = [
        path["cpu"]
        + sum(
            _sample(HOPS[hop], rng)
            for hop, count in path.items()
            if hop != "cpu"
            for _ in range(int(count))
        )
        for _ in range(SAMPLES)
    ]
    return percentiles(sums)


def _sample(hop: Mapping[str, float], rng: random.Random) -> float:
    """Return a hop's time: lognormal through its percentiles, or uniform."""
    if "uniform" in hop:
        return rng.uniform(0, hop["uniform"])
    sigma = math.log(hop["p99"] / hop["p50"]) / Z99
    return rng.lognormvariate(math.log(hop["p50"]), sigma)


def percentiles(milliseconds: Sequence[float]) -> tuple[float, float]:
    """Return the median and the 99th percentile; of few samples that is the largest."""
    ordered = sorted(milliseconds)
    if len(ordered) < 100:
        return ordered[len(ordered) // 2], ordered[-1]
    cuts = quantiles(ordered, n=100)
    return cuts[49], cuts[98]


def table(run: Measured) -> str:
    """Return the table of docs/cost.md, in milliseconds."""
    head = (
        "milliseconds: p50, p99",
        "AWS, modelled",
        "a plain sample, modelled",
        "local stack, measured",
        "what is left, and why",
    )
    listed = []
    for name, (ours, plain) in _paths(run).items():
        found = run.latency.get(name)
        local = "{:.0f}, {:.0f}".format(*percentiles(found)) if found else "not measured"
        cells = [f"{p50:.0f}, {p99:.0f}" for p50, p99 in map(modelled, (ours, plain))]
        listed.append((name, *cells, local, LEFT[name]))
    return markdown(head, listed)


# --- on the local stack --------------------------------------------------------------------------


def measure(stack: Stack) -> dict[str, list[float]]:
    """Return the milliseconds of every try."""
    measures: dict[str, Callable[[Stack], float]] = {
        COLD: _cold,
        SEND: _send,
        QUEUED: _queued,
        EVENT: _event,
        BATCH: _batch,  # last, because its messages keep the queue busy
    }
    found: dict[str, list[float]] = {}
    for name, one in measures.items():
        if name != COLD:
            one(stack)  # processes and connections are there
        found[name] = [one(stack) for _ in range(TRIES[name])]
        print(f"{name}: {percentiles(found[name])}", file=sys.stderr, flush=True)
    return found


def _sms(**fields: str) -> dict[str, str]:
    return {"to": "+17743191000", "from": "60856", "text": "Hello"} | fields


def _timed(call: Callable[[], Any], status: int) -> float:
    start = time.monotonic()
    answer = call()
    taken = 1000 * (time.monotonic() - start)
    assert answer.status_code == status, answer.text
    return taken


def _send(stack: Stack) -> float:
    return _timed(lambda: stack.post("/messages", _sms()), 201)


def _cold(stack: Stack) -> float:
    """Time a send in a new environment: a changed configuration ends the old ones."""
    client = stack.admin("lambda")
    function = stack.resource("SendFunction")
    client.update_function_configuration(FunctionName=function, Description=uuid.uuid4().hex)
    time.sleep(1)
    return _send(stack)


def _queued(stack: Stack) -> float:
    """Time until the simulator, whose clock is ours, has a queued message."""
    text = uuid.uuid4().hex
    start = datetime.now(UTC)
    answer = stack.post("/messages", _sms(text=text), Prefer="respond-async")
    assert answer.status_code == 202, answer.text
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        for row in stack.control("messages?limit=5")["messages"]:
            if row["text"] == text:
                at = datetime.fromisoformat(row["time"])
                return 1000 * (at - start).total_seconds()
        time.sleep(0.02)
    raise TimeoutError("the queued message did not reach the simulator")


def _event(stack: Stack) -> float:
    tracking_id = uuid.uuid4().hex
    body = (
        "<POSTBACK><ORIGIN>SMS_MT</ORIGIN><CODE>N202</CODE><FROM>60856</FROM>"
        f"<TO>17743191000</TO><TRACKINGID>{tracking_id}</TRACKINGID></POSTBACK>"
    )
    start = time.monotonic()
    status, _ = stack.postback(body.encode())
    assert status == 200
    while time.monotonic() < start + PATIENCE_SECONDS:
        for event in stack.client.receive():
            if event["subject"] == tracking_id:
                return 1000 * (time.monotonic() - start)
    raise TimeoutError("the event did not reach the queue")


def _batch(stack: Stack) -> float:
    messages = [_sms(to=f"+1774319{number:04}") for number in range(1_000)]
    return _timed(lambda: stack.post("/messages/batch", {"messages": messages}), 202)


def main() -> None:
    """Measure the stack that .local/stack.json describes; write the figures and the docs."""
    from bench import docs  # noqa: PLC0415 - it imports this module
    from tests.integration.conftest import Stack  # noqa: PLC0415 - only where a stack is there

    description = json.loads(Path(".local/stack.json").read_text())
    run = Measured.load()
    run.latency = measure(Stack(description))
    run.save()
    docs.write(run)
    print(table(run))


if __name__ == "__main__":
    main()
