"""The limiter's item in the table: read whole, written whole, or a slot drawn from its list.

`version` is new with every whole write, which is made only in place of the item that its writer
saw, list and all. `ahead` are the slots that are left of the list, if there is one (`limit_ahead`),
and `ahead_of` the version that it belongs to: a release that knows no lists leaves an old one.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pynamodb.exceptions import VerboseClientError

from skycore.messages import limit_ahead, limit_state
from skycore.messages.limit_state import State
from skycore.storage.table import Row

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pynamodb.connection import Connection

    from skycore.messages.limit_ahead import Ahead

_KEY = {"pk": {"S": "limiter"}, "sk": {"S": "limiter"}}
_NAMES = ("version", "windows", "kind", "ahead", "ahead_of", "made")


@dataclass(frozen=True, slots=True)
class Seen:
    """The item as it was: `state` counts what was drawn. `version` is empty if there is none.

    `listed` is the length of its list, None if it has none.
    """

    version: str
    state: State
    listed: int | None = None


NOTHING = Seen("", State())


def read(*, consistent: bool) -> Seen:
    """The item as it is. Raises botocore's errors."""
    answer = _call("GetItem", {"Key": _KEY, "ConsistentRead": consistent})
    return _seen(answer.get("Item"))


def write(
    state: State, seen: Seen, ahead: Ahead | None = None, slots: Sequence[int] = ()
) -> tuple[bool, Seen]:
    """Puts `state`, with a list if one is given, in place of `seen`, which it was made from.

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
        update += ", #ahead = :ahead, #ahead_of = :version, #made = :made"
        values[":ahead"] = {"L": [{"N": str(slot)} for slot in slots]}
        values[":made"] = {"S": limit_ahead.encode(ahead)}
    else:
        update += " REMOVE #ahead, #ahead_of, #made"
    condition = "attribute_not_exists(#version)"
    if seen.version:
        condition = "#version = :seen AND attribute_not_exists(#ahead)"
        values[":seen"] = {"S": seen.version}
    if seen.listed is not None:
        condition = "#version = :seen AND size(#ahead) = :listed"
        values[":listed"] = {"N": str(seen.listed)}
    done, there = _update(update, condition, _NAMES, values)
    if done:
        return True, Seen(version, state, len(slots) if ahead else None)
    # Without an item it was deleted, or not told.
    now_there = _seen(there) if there else read(consistent=True)
    # A write whose answer was lost, and that botocore tried again, finds itself.
    return now_there.version == version, now_there


def draw(earliest: int, latest: int) -> tuple[int | None, Seen]:
    """Takes the first slot of the list, if it lies between these (milliseconds, inclusive).

    The slot, and what is there now. One whose answer was lost is taken, and of no use to anyone.
    Raises botocore's errors.
    """
    condition = "#ahead_of = #version AND #ahead[0] BETWEEN :earliest AND :latest"
    values = {":earliest": {"N": str(earliest)}, ":latest": {"N": str(latest)}}
    names = ("version", "ahead", "ahead_of")
    done, there = _update("REMOVE #ahead[0]", condition, names, values, "ALL_OLD")
    if not done:
        return None, _seen(there) if there else read(consistent=True)
    first, *rest = there["ahead"]["L"]
    return int(first["N"]), _seen(there | {"ahead": {"L": rest}})


def _update(
    update: str, condition: str, names: Sequence[str], values: dict[str, Any], tell: str = "NONE"
) -> tuple[bool, dict[str, Any]]:
    """Whether it was updated, and the item as it was before, empty if that was not told."""
    request = {
        "Key": _KEY,
        "UpdateExpression": update,
        "ConditionExpression": condition,
        # By alias: DynamoDB reserves hundreds of words. It wants no name that is not used.
        "ExpressionAttributeNames": {f"#{name}": name for name in names},
        "ExpressionAttributeValues": values,
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
    state, listed = limit_state.decode(item["windows"]["S"]), None
    if "ahead" in item:
        listed = len(item["ahead"]["L"])
        if item["ahead_of"] == item["version"]:
            state = limit_ahead.counted(state, limit_ahead.decode(item["made"]["S"]), listed)
    return Seen(item["version"]["S"], state, listed)


def _call(operation: str, request: dict[str, Any]) -> dict[str, Any]:
    # PynamoDB's own update cannot ask for the item that a condition failed on.
    connection: Connection = Row._get_connection().connection  # noqa: SLF001 - its one client
    answer: dict[str, Any] = connection.dispatch(
        operation, {"TableName": Row.Meta.table_name, **request}
    )
    return answer
