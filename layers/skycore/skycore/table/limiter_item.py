"""The limiter's item in the table: read, written whole, or a slot drawn from its list.

`version` is new with every whole write, which is made only in place of the item that its writer
saw, list and all. `windows` is the state. `ahead` is what is left of a list of slots, if there is
one (`limit_ahead`), `made` by which limits and in which lanes, and `ahead_of` the version that it
belongs to: a release that knows no lists leaves an old one there. `closed` names a version whose
list nobody draws from any more, so that a whole write does not lose to draws for ever.
"""

from __future__ import annotations

import secrets
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pynamodb.exceptions import VerboseClientError

from skycore.table import limit_state, models
from skycore.table.limit_state import DAY, MINUTE, State
from skycore.table.limits import Granted, Limits, take
from skycore.table.models import Row

if TYPE_CHECKING:
    from collections.abc import Sequence

    from skycore.table.limit_state import Buckets, Window

_KEY = {"pk": {"S": "limiter"}, "sk": {"S": "limiter"}}


@dataclass(frozen=True, slots=True)
class Seen:
    """The item as it was: `state` without what is left of its list, `left`, None without a list.

    `version` is empty if there is no item.
    """

    version: str
    state: State
    left: tuple[int, ...] | None = None


NOTHING = Seen("", State())


def read(*, consistent: bool) -> Seen:
    """The item as it is. Raises botocore's errors."""
    answer = _call("GetItem", {"Key": _KEY, "ConsistentRead": consistent})
    return _seen(answer.get("Item"))


def write(state: State, seen: Seen, ahead: Ahead | None = None) -> tuple[bool, Seen]:
    """Puts `state`, which counts all slots of a list if one is given, in place of `seen`.

    Whether that was done, and what is there now. Raises botocore's errors.
    """
    version = secrets.token_hex(8)
    values: dict[str, Any] = {
        ":version": {"S": version},
        ":windows": {"S": limit_state.encode(state)},
        ":kind": {"S": "limiter"},
    }
    update = "SET #version = :version, #windows = :windows, #kind = :kind"
    if ahead:
        update += ", #ahead = :ahead, #ahead_of = :version, #made = :made REMOVE #closed"
        values[":ahead"] = {"L": [{"N": str(slot)} for slot in ahead.slots]}
        values[":made"] = {"S": name_of(ahead.limits) + ahead.lanes}
    else:
        update += " REMOVE #ahead, #ahead_of, #made, #closed"
    condition = "attribute_not_exists(#version)"
    if seen.version:
        condition = "#version = :seen"
        values[":seen"] = {"S": seen.version}
    if seen.left is not None:
        condition += " AND size(#ahead) = :left"
        values[":left"] = {"N": str(len(seen.left))}
    names = ("version", "windows", "kind", "ahead", "ahead_of", "made", "closed")
    done, before = _update(update, condition, names, values)
    if done:
        if ahead:
            state = given_back(state, ahead.slots, ahead.lanes)
        return True, Seen(version, state, ahead.slots if ahead else None)
    # Without an item it was deleted, or not told.
    now_there = _seen(before) if before else read(consistent=True)
    # A write whose answer was lost, and that botocore tried again, finds itself.
    return now_there.version == version, now_there


def draw(limits: Limits, earliest: int, latest: int) -> tuple[int | None, Seen]:
    """Takes the list's first slot, if it lies between these (milliseconds, inclusive).

    Only from a list made by the same limits. The slot, and what is there now. One whose answer
    was lost is taken, and of no use to anyone. Raises botocore's errors.
    """
    condition = (
        "#ahead_of = #version AND begins_with(#made, :limits)"
        " AND (attribute_not_exists(#closed) OR #closed <> #version)"
        " AND #ahead[0] BETWEEN :earliest AND :latest"
    )
    values = {
        ":limits": {"S": name_of(limits)},
        ":earliest": {"N": str(earliest)},
        ":latest": {"N": str(latest)},
    }
    names = ("version", "ahead", "ahead_of", "made", "closed")
    done, before = _update("REMOVE #ahead[0]", condition, names, values, "ALL_OLD")
    if not done:
        return None, _seen(before) if before else read(consistent=True)
    first, *rest = before["ahead"]["L"]
    return int(first["N"]), _seen(before | {"ahead": {"L": rest}})


def close() -> Seen:
    """Ends drawing from the list, if there is one; what is there now. Raises botocore's errors."""
    names = ("version", "ahead", "closed")
    _, there = _update("SET #closed = #version", "attribute_exists(#ahead)", names, None, "ALL_NEW")
    return _seen(there) if there else read(consistent=True)


def _update(
    update: str,
    condition: str,
    names: Sequence[str],
    values: dict[str, Any] | None,
    tell: str = "NONE",
) -> tuple[bool, dict[str, Any]]:
    """Whether it was updated; and the item, as `tell` says or as it is, empty if not told."""
    request = {
        "Key": _KEY,
        "UpdateExpression": update,
        "ConditionExpression": condition,
        # By alias: DynamoDB reserves hundreds of words. It wants no name that is not used.
        "ExpressionAttributeNames": {f"#{name}": name for name in names},
        **({"ExpressionAttributeValues": values} if values else {}),
        "ReturnValues": tell,
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }
    try:
        return True, _call("UpdateItem", request).get("Attributes", {})
    except VerboseClientError as error:
        if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
            raise
        # PynamoDB keeps only the code; the item is in the error that it was raised from.
        return False, getattr(error.__cause__, "response", {}).get("Item") or {}


def _seen(item: dict[str, Any] | None) -> Seen:
    if not item:
        return NOTHING
    state, left = limit_state.decode(item["windows"]["S"]), None
    if "ahead" in item:
        left = tuple(int(slot["N"]) for slot in item["ahead"]["L"])
        if item["ahead_of"] == item["version"]:
            state = given_back(state, left, item["made"]["S"].partition(";")[2])
    return Seen(item["version"]["S"], state, left)


def _call(operation: str, request: dict[str, Any]) -> dict[str, Any]:
    # PynamoDB's own update cannot ask for the item that a condition failed on.
    answer: dict[str, Any] = models.connection().dispatch(
        operation, {"TableName": Row.Meta.table_name, **request}
    )
    return answer


LONGEST = 32  # slots in a list, and no more than are due in two seconds: the item stays small
FURTHER_MS = 1_000  # slots that lie further ahead than anyone waits yet are laid out too
SHORTEST_MS = 50  # a list that ends sooner has passed before others hear of it
SHARED, KEPT = "s", "k"  # the lane of a slot


@dataclass(frozen=True, slots=True)
class Ahead:
    """A list as it was made: its slots (milliseconds) and the lane of each, and by which limits."""

    slots: tuple[int, ...]
    lanes: str
    limits: Limits


def laid_out(
    state: State, now: int, limits: Limits, longest_wait_ms: int
) -> tuple[State, Ahead] | None:
    """The slots that the next single calls would be given, and the state once all are taken.

    None where a list is of no use: no limit spaces the calls, or there are hardly any.
    """
    slots: list[int] = []
    lanes = ""
    while len(slots) < min(LONGEST, 2 * limits.per_second):
        after, result = take(state, now, limits, longest_wait_ms=longest_wait_ms + FURTHER_MS)
        if not isinstance(result, Granted):
            break
        slots += result.slots_ms
        # Every single call moves one lane on; where none was free yet, both say at least `now`.
        lanes += KEPT if after.kept_us > max(state.kept_us, after.now * 1000) else SHARED
        state = after
    if not slots or slots[-1] < now + SHORTEST_MS:
        return None
    return state, Ahead(tuple(slots), lanes, limits)


def given_back(state: State, left: Sequence[int], lanes: str) -> State:
    """The state without the slots that are `left` of a list, the last of those with `lanes`."""
    if not left:
        return state
    free: dict[str, int] = {}
    for slot, lane in zip(left, lanes[-len(left) :], strict=True):
        free.setdefault(lane, slot * 1000)
    return replace(
        state,
        shared_us=free.get(SHARED, state.shared_us),
        kept_us=free.get(KEPT, state.kept_us),
        minute=_without(MINUTE, state.minute, left),
        day=_without(DAY, state.day, left),
    )


def name_of(limits: Limits) -> str:
    """What a list made by these limits is known by."""
    every = (limits.per_second, limits.per_minute, limits.per_day, limits.priority_share)
    return f"{','.join(map(str, every))};"


def _without(window: Window, buckets: Buckets, slots: Sequence[int]) -> Buckets:
    fewer = Counter(slot // window.width_ms for slot in slots)
    changed = ((number, single - fewer[number], bulk) for number, single, bulk in buckets)
    return tuple(bucket for bucket in changed if bucket[1] or bucket[2])
