"""The limiter's one item: who takes a call writes it, on the condition that nobody did since.

A call costs one conditional write as long as this process was the last to write. A write that
another was quicker than brings back what that one wrote, and is tried again from there. Processes
share nothing but the item, so what it says holds for the whole account.
"""

from __future__ import annotations

import random
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pynamodb.exceptions import VerboseClientError

from skycore.logs import log
from skycore.messages import limits as rules
from skycore.messages.limit_state import State, decode, encode
from skycore.messages.limits import Granted, Limits, Remaining, Wait
from skycore.storage.table import Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pynamodb.connection import Connection

    from skycore.messages.limit_state import WindowName

TRIES = 40  # of a write, and no more after TRYING_MS
TRYING_MS = 2_000
FIRST_BACKOFF_S = 0.004  # doubles up to LONGEST_BACKOFF_S; the wait is random below it
LONGEST_BACKOFF_S = 0.1
PAUSE_KNOWN_FOR_MS = 5_000  # without limits the item is read for pauses only, at most so often

_KEY = {"pk": {"S": "limiter"}, "sk": {"S": "limiter"}}


@dataclass(frozen=True, slots=True)
class _Seen:
    """The item as it was; `version` is new with every write, empty when there is no item."""

    version: str
    state: State


class Limiter:
    """One process's side of the limiter. It remembers the item as it last saw it.

    Threads may share it: each works from one `_Seen` and writes only in place of that one.
    """

    def __init__(
        self,
        clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._seen = _Seen("", State())
        self._seen_at = 0  # milliseconds; 0: never

    def take(
        self, limits: Limits, *, count: int = 1, bulk: bool = False, longest_wait_ms: int = 0
    ) -> Granted | Wait:
        """Takes up to `count` calls: the slots of at least one, or when to ask again.

        The caller sleeps until a slot and makes its call then, at most USABLE_MS late. Slots lie
        at most `longest_wait_ms` ahead. What is taken and not used is lost for its window.
        Raises botocore's errors (ClientError for what DynamoDB refuses).
        """

        def taken(seen: _Seen) -> tuple[State, Granted | Wait]:
            return rules.take(
                seen.state,
                self._clock(),
                limits,
                count=count,
                bulk=bulk,
                longest_wait_ms=longest_wait_ms,
            )

        if not limits.any:
            if not 0 <= self._clock() - self._seen_at < PAUSE_KNOWN_FOR_MS:
                self._read(consistent=False)
            return taken(self._seen)[1]
        fresh = False
        for _ in self._rounds():
            seen = self._seen
            state, result = taken(seen)
            if isinstance(result, Wait):
                if fresh:
                    return result
                # What is remembered may be old, and the moment told would be too early.
                self._read(consistent=True)
            elif self._write(state, seen):
                now = self._clock()
                in_time = tuple(slot for slot in result.slots_ms if rules.usable(slot, now))
                if in_time:
                    return Granted(in_time)
            fresh = True
        log.warning("limiter: the item was always written by another")
        return Wait(self._clock() + 1000, "second", 1)

    def teach(self, limits: Limits, code: str, retry_after_s: int | None) -> Wait:
        """Makes everyone pause after Skycore refused with E106, E113 or E120.

        Returns when the next call may be made, and because of which window. Raises as `take`.
        """
        for _ in self._rounds():
            seen = self._seen
            state = rules.taught(seen.state, self._clock(), code, retry_after_s)
            if state is seen.state or self._write(state, seen):
                break
        now = self._clock()
        _, result = rules.take(self._seen.state, now, limits)
        return result if isinstance(result, Wait) else Wait(now + 1000, "second", 1)

    def succeeded(self) -> None:
        """Notes that Skycore took a call, which ends the doubling of pauses. Raises as `take`.

        Writes only if this process knows of such pauses, so it may be called after every call.
        """
        for _ in self._rounds():
            seen = self._seen
            state = rules.succeeded(seen.state, self._clock())
            if state is seen.state or self._write(state, seen):
                return

    def percent_left(self, limits: Limits) -> dict[WindowName, float]:
        """What is left of each limit there is, as this process last saw it; asks nobody."""
        return rules.percent_left(self._seen.state, self._clock(), limits) if limits.any else {}

    def hold(self, milliseconds: int) -> int:
        """Makes everyone pause for so long; until when (milliseconds since 1970). Calls go on.

        Without limits others hear of it within PAUSE_KNOWN_FOR_MS. Raises as `take`, and
        TimeoutError if others were always quicker to write.
        """
        until = self._clock() + milliseconds
        self._change(lambda state, now: rules.held(state, now, until))
        return until

    def let_go(self, until: int) -> None:
        """Ends the pause of `hold` that lasts `until`. Raises as `hold`."""
        self._change(lambda state, now: rules.let_go(state, now, until))

    def _change(self, change: Callable[[State, int], State]) -> None:
        self._read(consistent=True)
        for _ in self._rounds():
            seen = self._seen
            state = change(seen.state, self._clock())
            if state is seen.state or self._write(state, seen):
                return
        raise TimeoutError("the limiter's item was always written by another; try again")

    def allowance(self, limits: Limits) -> Remaining:
        """The calls that are left in each window, for metrics. Raises as `take`."""
        self._read(consistent=False)
        return rules.remaining(self._seen.state, self._clock(), limits)

    def _rounds(self) -> Iterator[None]:
        """Tries of a write, with random waits between them, while there is time."""
        end = self._clock() + TRYING_MS
        longest = FIRST_BACKOFF_S
        for _ in range(TRIES):
            yield
            if self._clock() > end:
                return
            self._sleep(random.uniform(0, longest))  # noqa: S311 - jitter, not a secret
            longest = min(2 * longest, LONGEST_BACKOFF_S)

    def _write(self, state: State, seen: _Seen) -> bool:
        """Puts `state` in place of `seen`, which it was made from; False if that is gone."""
        version = secrets.token_hex(8)
        values = {":version": version, ":windows": encode(state), ":kind": "limiter"}
        condition = "attribute_not_exists(#version)"
        if seen.version:
            condition = "#version = :seen"
            values[":seen"] = seen.version
        request = {
            "Key": _KEY,
            "UpdateExpression": "SET #version = :version, #windows = :windows, #kind = :kind",
            "ConditionExpression": condition,
            # By alias: DynamoDB reserves hundreds of words.
            "ExpressionAttributeNames": {
                f"#{name}": name for name in ("version", "windows", "kind")
            },
            "ExpressionAttributeValues": {name: {"S": text} for name, text in values.items()},
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        try:
            _call("UpdateItem", request)
        except VerboseClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            # PynamoDB keeps only the code; the item is in the error that it was raised from.
            item = getattr(error.__cause__, "response", {}).get("Item")
            # Without one it was deleted, or not told.
            there = self._see(item) if item else self._read(consistent=True)
            # A write whose answer was lost, and that botocore tried again, finds itself.
            return there.version == version
        self._see_as(_Seen(version, state))
        return True

    def _read(self, *, consistent: bool) -> _Seen:
        answer = _call("GetItem", {"Key": _KEY, "ConsistentRead": consistent})
        return self._see(answer.get("Item"))

    def _see(self, item: dict[str, Any] | None) -> _Seen:
        if item is None:
            return self._see_as(_Seen("", State()))
        return self._see_as(_Seen(item["version"]["S"], decode(item["windows"]["S"])))

    def _see_as(self, seen: _Seen) -> _Seen:
        self._seen = seen
        self._seen_at = self._clock()
        return seen


def _call(operation: str, request: dict[str, Any]) -> dict[str, Any]:
    # PynamoDB's own update cannot ask for the item that a condition failed on.
    connection: Connection = Row._get_connection().connection  # noqa: SLF001 - its one client
    answer: dict[str, Any] = connection.dispatch(
        operation, {"TableName": Row.Meta.table_name, **request}
    )
    return answer


_limiter = Limiter()
take = _limiter.take
teach = _limiter.teach
succeeded = _limiter.succeeded
allowance = _limiter.allowance
