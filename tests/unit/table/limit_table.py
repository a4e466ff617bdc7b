"""The limiter's item in memory, and what many takers at once cost.

Run as a program it prints the table of docs/limits.md.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from unittest import mock

from botocore.exceptions import ClientError
from pynamodb.exceptions import VerboseClientError

from skycore.table import limiter_item, models
from skycore.table.limiter import Limiter
from skycore.table.limits import SINGLE_WAIT_MS, Granted, Limits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from skycore.table.limit_state import State


class Table:
    """One item behind PynamoDB's connection, with conditions as DynamoDB has them."""

    def __init__(self) -> None:
        self.item: dict[str, Any] | None = None
        self.calls: list[str] = []
        self.before: Any = None  # called once, before the next call is carried out
        self.after: Any = None
        self.tells_item = True
        self._lock = threading.Lock()

    @contextmanager
    def connected(self) -> Iterator[None]:
        """While it lasts, this is the table."""
        with mock.patch.object(models, "connection", return_value=self):
            yield

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
        names = request["ExpressionAttributeNames"]
        values = request.get("ExpressionAttributeValues", {})
        update, condition = request["UpdateExpression"], request["ConditionExpression"]
        used = set(re.findall(r"#\w+", f"{update} {condition}"))
        assert {name: name.removeprefix("#") for name in used} == names
        assert set(re.findall(r":\w+", f"{update} {condition}")) == set(values)
        if not self._holds(condition, values):
            raise self.refused(request)
        before = dict(self.item or {})
        if update == "REMOVE #ahead[0]":
            self.item = before | {"ahead": {"L": before["ahead"]["L"][1:]}}
        elif update == "SET #closed = #version":
            self.item = before | {"closed": before["version"]}
        else:
            new = {"version": ":version", "windows": ":windows", "kind": ":kind"}
            lists = {"ahead": ":ahead", "ahead_of": ":version", "made": ":made"}
            sets, _, removed = update.partition(" REMOVE ")
            new |= lists if ":ahead" in values else {}
            assert sets == "SET " + ", ".join(f"#{name} = {value}" for name, value in new.items())
            gone = ["closed"] if ":ahead" in values else [*lists, "closed"]
            assert removed == ", ".join(f"#{name}" for name in gone)
            self.item = request["Key"] | {name: values[value] for name, value in new.items()}
        told = {"ALL_OLD": before, "ALL_NEW": self.item, "NONE": {}}[request["ReturnValues"]]
        return {"Attributes": told} if told else {}

    def _holds(self, condition: str, values: dict[str, Any]) -> bool:
        item = self.item or {}
        ahead = item.get("ahead", {}).get("L")
        version = item.get("version")

        def number(name: str) -> int:
            return int(values.get(name, {"N": 0})["N"])

        parts = {
            "attribute_not_exists(#version)": not item,
            "#version = :seen": bool(item) and version == values.get(":seen"),
            "attribute_exists(#ahead)": ahead is not None,
            "size(#ahead) = :left": ahead is not None and len(ahead) == number(":left"),
            "#ahead_of = #version": "ahead_of" in item and item["ahead_of"] == version,
            "begins_with(#made, :limits)": "made" in item
            and item["made"]["S"].startswith(values.get(":limits", {"S": ""})["S"]),
            "(attribute_not_exists(#closed) OR #closed <> #version)": "closed" not in item
            or item["closed"] != version,
            "#ahead[0] BETWEEN :earliest TO :latest": bool(ahead)
            and number(":earliest") <= int((ahead or [{"N": 0}])[0]["N"]) <= number(":latest"),
        }
        between = condition.replace(":earliest AND", ":earliest TO")
        return all(parts[part] for part in between.split(" AND "))

    def refused(self, request: dict[str, Any]) -> VerboseClientError:
        assert request["ReturnValuesOnConditionCheckFailure"] == "ALL_OLD"
        told: dict[str, Any] = {"Error": {"Code": "ConditionalCheckFailedException"}}
        error = VerboseClientError(told, "UpdateItem")
        full = {**told, "Item": self.item} if self.item and self.tells_item else told
        error.__cause__ = ClientError(full, "UpdateItem")
        return error

    @property
    def state(self) -> State:
        """What the item says, with what was drawn from its list."""
        return limiter_item._seen(self.item).state

    @property
    def left(self) -> list[int] | None:
        """The slots that are left in the item's list; None without a list."""
        assert self.item is not None
        ahead = self.item.get("ahead")
        return ahead and [int(slot["N"]) for slot in ahead["L"]]


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
    with table.connected():
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
