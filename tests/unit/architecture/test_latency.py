"""Every wait is measured and modelled: on a stack that answers at once."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from unittest import mock

from bench import latency
from bench.measured import Measured

CPU = dict.fromkeys(
    ("ack", "store", "publish", "send", "enqueue", "send_message", "save", "post"), 0.001
)


class QuickStack:
    """Answers as a stack does when nothing waits."""

    def __init__(self) -> None:
        self.texts: list[dict[str, str]] = []
        self.events: list[dict[str, str]] = []
        self.client = SimpleNamespace(receive=self.receive)
        self.admin = mock.Mock()

    def post(self, path: str, body: Any, **headers: str) -> Any:
        self.texts.append({"text": body.get("text", ""), "time": f"{datetime.now(UTC):%FT%T.%fZ}"})
        queued = path.endswith("batch") or headers.get("Prefer") == "respond-async"
        return SimpleNamespace(status_code=202 if queued else 201, text="")

    def control(self, _path: str) -> Any:
        return {"messages": self.texts[-5:]}

    def postback(self, body: bytes) -> tuple[int, bytes]:
        (tracking_id,) = re.findall(rb"<TRACKINGID>(.*)</TRACKINGID>", body)
        self.events.append({"subject": tracking_id.decode()})
        return 200, b""

    def receive(self) -> list[dict[str, str]]:
        return [self.events.pop()]

    def resource(self, logical_id: str) -> str:
        return logical_id


def test_every_wait_is_measured_as_often_as_it_says() -> None:
    stack: Any = QuickStack()
    with mock.patch("time.sleep"):
        found = latency.measure(stack)
    assert {name: len(tries) for name, tries in found.items()} == latency.TRIES
    assert all(0 <= one < 5_000 for tries in found.values() for one in tries)
    updated = stack.admin.return_value.update_function_configuration
    assert updated.call_count == latency.TRIES[latency.COLD]  # each in a new environment


def test_every_wait_is_modelled_and_explained() -> None:
    known = Measured("", CPU, {}, {"send": 0.2}, {"send": 0.2})
    table = latency.table(known)
    assert all(name in table for name in latency.TRIES.keys() | set(latency.LEFT.values()))
    assert table.count("not measured") == len(latency.TRIES)


def test_a_path_of_certain_hops_takes_their_sum() -> None:
    hops = {"api": {"p50": 20, "p99": 20}, "sqs": {"p50": 5, "p99": 5}}
    with mock.patch.object(latency, "HOPS", hops):
        assert [round(one) for one in latency.modelled({"api": 1, "sqs": 2, "cpu": 7})] == [37, 37]


def test_of_few_tries_the_slowest_stands_for_the_percentile() -> None:
    assert latency.percentiles([3.0, 1.0, 2.0]) == (2.0, 3.0)
