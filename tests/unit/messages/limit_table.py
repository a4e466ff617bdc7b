"""The limiter's item in memory, and what many takers at once cost.

Run as a program it prints the table of docs/limits.md.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from typing import Any

from botocore.exceptions import ClientError
from pynamodb.exceptions import VerboseClientError

from skycore.messages.limit_state import State, decode
from skycore.messages.limits import SINGLE_WAIT_MS, Granted, Limits
from skycore.storage import limiter as module
from skycore.storage.limiter import Limiter


class Table:
    """One item behind PynamoDB's connection, with conditions as DynamoDB has them."""

    names = ("version", "windows", "kind")

    def __init__(self) -> None:
        self.item: dict[str, Any] | None = None
        self.calls: list[str] = []
        self.before: Any = None  # called once, before the next call is carried out
        self.after: Any = None
        self.tells_item = True
        self._lock = threading.Lock()

    def dispatch(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        assert request["TableName"] == "table"
        assert request["Key"] == {"pk": {"S": "limiter"}, "sk": {"S": "limiter"}}
        self._once("before")
        with self._lock:
            self.calls.append(operation)
            if operation == "GetItem":
                return {"Item": dict(self.item)} if self.item else {}
            answer = self._update(request)
        self._once("after")
        return answer

    def _once(self, name: str) -> None:
        hook = getattr(self, name)
        setattr(self, name, None)
        if hook:
            hook()

    def _update(self, request: dict[str, Any]) -> dict[str, Any]:
        values = request["ExpressionAttributeValues"]
        holds = {
            "attribute_not_exists(#version)": self.item is None,
            "#version = :seen": self.item and self.item["version"] == values.get(":seen"),
        }[request["ConditionExpression"]]
        if not holds:
            raise self.refused(request)
        assert (
            request["UpdateExpression"]
            == "SET #version = :version, #windows = :windows, #kind = :kind"
        )
        assert request["ExpressionAttributeNames"] == {f"#{name}": name for name in self.names}
        new = {name: values[f":{name}"] for name in self.names}
        self.item = {**request["Key"], **new}
        return {}

    def refused(self, request: dict[str, Any]) -> VerboseClientError:
        assert request["ReturnValuesOnConditionCheckFailure"] == "ALL_OLD"
        told: dict[str, Any] = {"Error": {"Code": "ConditionalCheckFailedException"}}
        error = VerboseClientError(told, "UpdateItem")
        full = {**told, "Item": self.item} if self.item and self.tells_item else told
        error.__cause__ = ClientError(full, "UpdateItem")
        return error

    @property
    def state(self) -> State:
        assert self.item is not None
        return decode(self.item["windows"]["S"])


class SlowTable(Table):
    """Answers as late as DynamoDB does."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds

    def dispatch(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        time.sleep(self.seconds / 2)
        try:
            return super().dispatch(operation, request)
        finally:
            time.sleep(self.seconds / 2)


def _measure(limits: Limits, takers: int, seconds: float) -> str:
    table = SlowTable(0.008)
    module.Row._get_connection = classmethod(  # type: ignore[method-assign, assignment]
        lambda _: type("Connection", (), {"connection": table})
    )
    took: list[float] = []
    waits: Counter[str] = Counter()
    end = time.monotonic() + seconds

    def work() -> None:
        mine = Limiter()
        while time.monotonic() < end:
            start = time.monotonic()
            result = mine.take(limits, longest_wait_ms=SINGLE_WAIT_MS)
            took.append(time.monotonic() - start)
            if isinstance(result, Granted):
                time.sleep(max(0, result.slots_ms[0] / 1000 - time.time()) + 0.1)
            else:
                waits[result.window] += 1
                time.sleep(max(0, result.until_ms / 1000 - time.time()))

    threads = [threading.Thread(target=work) for _ in range(takers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took.sort()
    granted = len(took) - waits.total()
    calls = Counter(table.calls)
    return (
        f"{limits.per_second:>10} {takers:>7} {granted / seconds:>10.1f}"
        f" {calls['UpdateItem'] / granted:>13.1f} {took[len(took) // 2] * 1000:>8.0f}"
        f" {took[len(took) * 99 // 100] * 1000:>7.0f}"
    )


if __name__ == "__main__":
    logging.disable()
    print("single calls, 8 ms to DynamoDB and back, 100 ms a call")
    print("per second  takers  granted/s  writes a call  take: median  99% ms")
    for limit in (10, 50, 100, 200):
        for number in (1, 10, 50):
            print(_measure(Limits(limit), number, 6), flush=True)
