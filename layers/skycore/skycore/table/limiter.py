"""One process's side of the limiter, and the limiter's item in the table.

Processes share nothing but the item, so what it says holds for the whole account. See `new_item`
for its attributes, `limits` for what is written, docs/limits.md for the algorithm.
"""

from __future__ import annotations

import json
import random
import time
from dataclasses import asdict, dataclass, replace
from functools import reduce
from operator import and_
from typing import TYPE_CHECKING, Any

from pynamodb.exceptions import VerboseClientError
from pynamodb.expressions.operand import Path
from pynamodb.expressions.update import Update

from skycore.logs import log
from skycore.table import models
from skycore.table.limits import (
    BULK_DAY,
    BULK_MINUTE,
    DAY,
    MINUTE,
    Limits,
    Take,
    Wait,
    bucket_key,
    plan,
    remaining,
    usable,
)
from skycore.table.models import Row

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from skycore.table.limits import Item, WindowName

KEY = {"pk": {"S": "limiter"}, "sk": {"S": "windows"}}
PREVIOUS_KEY = {"pk": {"S": "limiter"}, "sk": {"S": "limiter"}}  # of release 0.9.0
PREVIOUS_WIDTH_MS = {"minute": 1_000, "day": 900_000}  # of its buckets
MAX_ATTEMPTS = 40  # of a write: under a second, with the waits between them
MAX_BACKOFF_S = 0.02
MIN_PAUSE_MS = 1_000
MAX_PAUSE_MS = 900_000
PAUSE_KNOWN_FOR_MS = 5_000  # without limits the item is read for pauses only, at most so often
CONTENDED_MS = 60_000  # after a failed condition, read the item before writing it for so long


@dataclass(frozen=True, slots=True)
class Pause:
    """Until when no call to Skycore may be made, and which window is the reason.

    This is not the account pause (`table.pauses`), during which queued messages alone wait.

    `doubling_ms` is how long the last pause for a used-up quota was; 0 once a call has succeeded.
    """

    until_ms: int = 0
    window: WindowName = "second"
    doubling_ms: int = 0

    def throttled(self, now: int, code: str, retry_after_s: int | None) -> Pause:
        """Return the pause after Skycore refused a call with E106, E113 or E120.

        E106 (calls too close together) pauses for the seconds that its text names, else for one,
        and at most fifteen minutes; E113 (too many of one action) for one second. E120 (quota used
        up) does not say which window it means: its pause doubles from one second to fifteen minutes
        until a call succeeds. An E120 during such a pause belongs to a call made before it.
        """
        pause, doubling = MIN_PAUSE_MS, self.doubling_ms
        window: WindowName = "second"
        match code.strip().upper():
            case "E106":
                pause = min((retry_after_s or 1) * 1000, MAX_PAUSE_MS)
            case "E113":
                pass
            case "E120":
                if doubling and now < self.until_ms and self.window == "day":
                    return self
                pause = doubling = min(max(2 * doubling, MIN_PAUSE_MS), MAX_PAUSE_MS)
                window = "day"
            case _:
                return self
        if now + pause <= self.until_ms:
            return replace(self, doubling_ms=doubling)
        return Pause(now + pause, window, doubling)

    def succeeded(self, now: int) -> Pause:
        """Return the pause after a call that Skycore took: the next E120 starts small again.

        A success during a pause changes nothing: that call was made before the pause.
        """
        return self if now < self.until_ms else replace(self, doubling_ms=0)


class Limiter:
    """One process's side of the limiter. It remembers the item as it last saw it.

    Threads may share it. Methods raise botocore's errors (ClientError for what DynamoDB refuses).
    """

    def __init__(
        self,
        clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._item: Item | None = None
        self._seen_at = 0  # milliseconds
        self._failed_at = 0  # when a condition failed last

    def take(
        self, limits: Limits, *, count: int = 1, bulk: bool = False, longest_wait_ms: int = 0
    ) -> tuple[int, ...] | Wait:
        """Take up to `count` calls; return the slots (ms) of at least one, or when to ask again.

        The caller sleeps until a slot and makes its call then, at most USABLE_MS late. Slots lie
        at most `longest_wait_ms` ahead. What is taken and not used is lost for its window.
        """
        options: Any = {"count": count, "bulk": bulk, "longest_wait_ms": longest_wait_ms}
        if not limits.any:  # only a pause is in the way
            recent = self._recent()
            planned = plan(recent, self._clock(), limits, **options)
            return planned.slots_ms(recent) if isinstance(planned, Take) else planned
        fresh = self._clock() - self._failed_at < CONTENDED_MS  # a write from memory may fail
        item = self._item
        if fresh or item is None:
            fresh, item = True, self._read(consistent=True)
        for attempt in range(MAX_ATTEMPTS):
            self._back_off(attempt)
            planned = plan(item, self._clock(), limits, **options)
            if isinstance(planned, Take):
                done, item = self._write(planned.actions, planned.conditions)
                now = self._clock()
                slots = planned.slots_ms(item) if done else ()
                if kept := tuple(slot for slot in slots if usable(slot, now)):
                    return kept
            elif fresh:
                return planned
            else:  # what is remembered may be old, and the wait too short
                item = self._read(consistent=True)
            fresh = True
        log.warning("limiter: the conditions of every write failed")
        return Wait(self._clock() + 1000, "second", 1)

    def on_throttled(self, limits: Limits, code: str, retry_after_s: int | None) -> Wait:
        """Pause everyone after Skycore refused a call with E106, E113 or E120.

        Return when the next call may be made, and because of which window.
        """
        item = self._change_pause(lambda pause, now: pause.throttled(now, code, retry_after_s))
        now = self._clock()
        planned = plan(item, now, limits)
        return planned if isinstance(planned, Wait) else Wait(now + 1000, "second", 1)

    def on_success(self) -> None:
        """Record that Skycore accepted a call, which ends the doubling of pauses.

        Writes only if this process knows of such pauses, so it may be called after every call.
        """
        if self._item and self._item["pause"]["doubling_ms"]:
            self._change_pause(Pause.succeeded)

    def pause(self, milliseconds: int) -> int:
        """Pause everyone for so long; return until when. A longer pause stays.

        Without limits, other processes see it within PAUSE_KNOWN_FOR_MS.
        """
        until = self._clock() + milliseconds
        self._read(consistent=True)
        self._change_pause(lambda pause, _: pause if until <= pause.until_ms else Pause(until))
        return until

    def resume(self, until: int) -> None:
        """End the pause that `pause` returned `until` for; one that Skycore caused since stays."""
        self._read(consistent=True)
        self._change_pause(
            lambda pause, now: replace(pause, until_ms=now) if pause.until_ms == until else pause
        )

    def allowance(self, limits: Limits) -> dict[WindowName, int]:
        """Return the calls that are left in each window that has a limit."""
        return remaining(self._read(consistent=False), self._clock(), limits)

    def percent_left(self, limits: Limits) -> dict[WindowName, float]:
        """Return what is left of each limit, as this process last saw the item; read nothing."""
        left = remaining(self._item or new_item(), self._clock(), limits)
        most = {"second": limits.per_second, "minute": limits.per_minute, "day": limits.per_day}
        return {window: 100 * calls / most[window] for window, calls in left.items()}

    def _change_pause(self, change: Callable[[Pause, int], Pause]) -> Item:
        """Write what `change` makes of the pause at a time; return the item with it.

        Raises TimeoutError if other processes always change it first.
        """
        item = self._item or new_item()
        for attempt in range(MAX_ATTEMPTS):
            self._back_off(attempt)
            before = item["pause"]
            pause = asdict(change(Pause(**before), self._clock()))
            if pause == before:
                return item
            path = Path("pause")
            done, item = self._write([path.set(pause)], [path == before])
            if done:
                return item
        raise TimeoutError("other processes kept changing the limiter's pause; try again")

    def _back_off(self, attempt: int) -> None:
        if attempt > 1:  # the first repeat knows the item as it is
            longest = min(MAX_BACKOFF_S, 0.002 * 2**attempt)
            self._sleep(random.uniform(0, longest))  # noqa: S311 - jitter, not a secret

    def _recent(self) -> Item:
        """Return the item as it was a few seconds ago at most."""
        if self._item and 0 <= self._clock() - self._seen_at < PAUSE_KNOWN_FOR_MS:
            return self._item
        return self._read(consistent=False)

    def _read(self, *, consistent: bool) -> Item:
        found = _call("GetItem", ConsistentRead=consistent).get("Item")
        if not found and consistent:  # a write of the item follows
            found = _create()
        return self._remember(decode(found) if found else new_item())

    def _write(self, actions: Sequence[Any], conditions: Sequence[Any]) -> tuple[bool, Item]:
        """Return whether the conditions held, and the item as it is now."""
        try:
            return True, self._remember(decode(_update(actions, conditions)))
        except VerboseClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            self._failed_at = self._clock()
            # PynamoDB keeps only the code; the item is in the error that it was raised from.
            found = getattr(error.__cause__, "response", {}).get("Item")
            return False, self._remember(decode(found or _create()))

    def _remember(self, item: Item) -> Item:
        self._item, self._seen_at = item, self._clock()
        return item


def new_item() -> Item:
    """Return the item as it is before the first call."""
    # at: the bucket that the window was moved on to; no slot lies before it
    # n: all calls that are counted; counts: the same by bucket
    windows = (MINUTE, DAY, BULK_MINUTE, BULK_DAY)
    return {
        **dict.fromkeys(("shared", "kept", "bulk"), 0),  # the first microsecond that is free
        **{window.attribute: {"at": 0, "n": 0, "counts": {}} for window in windows},
        "pause": asdict(Pause()),
        "kind": "limiter",
    }


def expressions(actions: Sequence[Any], conditions: Sequence[Any]) -> dict[str, Any]:
    """Return an update's expressions as DynamoDB takes them."""
    names, values = dict[str, str](), dict[str, Any]()
    request: dict[str, Any] = {"UpdateExpression": Update(*actions).serialize(names, values)}
    if conditions:
        request["ConditionExpression"] = reduce(and_, conditions).serialize(names, values)
    aliases = {alias: name for name, alias in names.items()}
    return request | {"ExpressionAttributeNames": aliases, "ExpressionAttributeValues": values}


def _update(actions: Sequence[Any], conditions: Sequence[Any] = ()) -> dict[str, Any]:
    # PynamoDB's own update cannot ask for the item that a condition failed on.
    attributes: dict[str, Any] = _call(
        "UpdateItem",
        **expressions(actions, conditions),
        ReturnValues="ALL_NEW",
        ReturnValuesOnConditionCheckFailure="ALL_OLD",
    )["Attributes"]
    return attributes


def _call(operation: str, **request: Any) -> dict[str, Any]:
    answer: dict[str, Any] = models.connection().dispatch(
        operation, {"TableName": Row.Meta.table_name, "Key": KEY, **request}
    )
    return answer


def decode(attributes: dict[str, Any]) -> Item:
    """Return the item that has these attributes."""
    read: dict[str, Callable[[Any], Any]] = {"N": int, "S": str, "M": decode}
    return {
        name: read[kind](held)
        for name, attribute in attributes.items()
        for kind, held in attribute.items()
    }


def _create() -> dict[str, Any]:
    """Make the item where there is none, and return it."""
    previous = _call("GetItem", Key=PREVIOUS_KEY, ConsistentRead=True).get("Item")
    item = _counted_before(json.loads(previous["windows"]["S"])) if previous else new_item()
    # Another process may have made it since.
    return _update([Path(name).set(Path(name) | value) for name, value in item.items()])


def _counted_before(state: dict[str, Any]) -> Item:
    """Return the item with what release 0.9.0 had counted, so that an upgrade forgets no call."""
    item, (until, window, doubling) = new_item(), state["pause"]
    item["pause"] = asdict(Pause(until, ("second", "minute", "day")[window], doubling))
    for lane, ahead in zip(("shared", "kept", "bulk"), state["lanes"], strict=True):
        item[lane] = state["now"] * 1000 + ahead
    for window, bulk_window in ((MINUTE, BULK_MINUTE), (DAY, BULK_DAY)):
        first, *kinds = state[window.name] or (0, [], [])
        for runs, counted in zip(kinds, ([window], [window, bulk_window]), strict=True):
            number = first
            for run in runs:  # the calls of a bucket; -3: three buckets without calls
                end_ms = (number + 1) * PREVIOUS_WIDTH_MS[window.name] - 1
                key = bucket_key(end_ms // window.width_ms)
                for held in (item[one.attribute] for one in counted if run > 0):
                    held["at"] = state["now"] // window.width_ms
                    held["n"] += run
                    held["counts"][key] = held["counts"].get(key, 0) + run
                number += max(1, -run)
    return item
