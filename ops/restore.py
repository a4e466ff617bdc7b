"""`restore`: rows and postbacks of an older table or queue, copied into the stack."""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

from ops.command import Command
from ops.dead_letters import DeadLetters
from ops.output import Refused, Result, confirm, progress, table
from skycore.catalogue.statuses import RANKS
from skycore.table import models
from skycore.table.messages import RELEASED

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from ops.stack import Stack

type Item = dict[str, Any]

TABLE = """\
Copies the rows that the stack's table does not have from another table: one that was restored from
a point in time, or the table of a stack that was deleted. Rows that the stack has are never
overwritten; for an opt-out in both tables, the later stop and the later start count.

Nothing that is copied is sent or published again. A message that was waiting or being sent when
the copy was made may have been sent since, so it becomes unknown. Messages keep their
Idempotency-Keys: restore them before callers repeat requests.

It is safe to repeat. If it is interrupted, run it again at once. Your login needs dynamodb:Scan
and dynamodb:DescribeTable on the other table.

  python -m ops restore table skycore-restored
"""
POSTBACKS = """\
Moves the postbacks that wait in another queue into the stack's postback queue, with the time at
which each arrived: from the postback queue, or its dead-letter queue, of a stack that was deleted.
A postback that the stack already has is not stored again.

Your login needs sqs:ReceiveMessage, sqs:DeleteMessage and sqs:ChangeMessageVisibility on the other
queue.

  python -m ops restore postbacks https://sqs.us-east-1.amazonaws.com/111122223333/OLD
"""
AT_ONCE = 8  # rows written in parallel; botocore keeps ten connections
IN_PROGRESS = {"scheduled", "queued", "sending"}  # of which the copy does not know the end
OPT_OUT_TIMES = ("stopped_at", "started_at", "confirmed_at")
OF_ONE_TABLE = {"pauses", "progress"}  # kinds of rows that say what this table's stack does now
_NEW = "attribute_not_exists(pk)"


def restore_table(stack: Stack, args: Namespace) -> Result:
    """Copy the missing rows of `args.table`. Raises Refused where that is not possible."""
    client = stack.client("dynamodb")
    described = client.describe_table(TableName=args.table)["Table"]
    if described["TableName"] == stack.table:
        raise Refused(f"{args.table} is the table of {stack.name} itself; name the other one")
    if [row["AttributeName"] for row in described["KeySchema"]] != ["pk", "sk"]:
        raise Refused(f"{args.table} is not a table of Skycore on AWS")
    confirm(stack, args, f"Copy the rows that {stack.name} does not have from {args.table}?")
    counts: Counter[tuple[str, str]] = Counter()
    restore = partial(_restore, client, stack.table, int(time.time()))
    pages = client.get_paginator("scan").paginate(TableName=args.table, ConsistentRead=True)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for page in pages:
            items = [item for item in page["Items"] if _is_history(item)]
            counts.update(zip(map(_kind, items), pool.map(restore, items), strict=True))
            progress(f"{counts.total()} rows read")
    outcomes = ("restored", "kept", "expired")
    kinds = sorted({kind for kind, _ in counts})
    data = {kind: {name: counts[kind, name] for name in outcomes} for kind in kinds}
    rows = [[kind, *found.values()] for kind, found in data.items()]
    return Result(data, [table(["rows", "restored", "kept as they are", "expired"], rows)])


def restore_postbacks(stack: Stack, args: Namespace) -> Result:
    """Move what is in the queue `args.queue_url`. Raises Refused where it is the stack's own."""
    own = stack.id_of("PostbackQueue")
    if args.queue_url.rsplit("/", 1)[-1] == own.rsplit("/", 1)[-1]:
        raise Refused(f"this is the postback queue of {stack.name} itself; name the other one")
    confirm(stack, args, f"Move the postbacks of {args.queue_url} to {stack.name}?")
    moved = 0
    with DeadLetters(stack.client("sqs"), args.queue_url) as other:
        for found in other.messages():
            moved += other.move(found, own)
            progress(f"{moved} postbacks")
    data: dict[str, Any] = {"moved": moved}
    lines = [f"{moved} postbacks moved to {stack.name}"]
    if other.failed:
        data["failed"] = other.failed
        lines += [f"{count} not moved: {why}" for why, count in sorted(other.failed.items())]
        lines.append("They are still in the other queue; some may be in both queues.")
    return Result(data, lines, ok=not other.failed)


def _is_history(item: Item) -> bool:
    """Return whether a row is to be copied: a released message, which was not sent, is not."""
    if _kind(item) == "message":
        return bool(item["status"]["S"] != RELEASED)
    return _kind(item) not in OF_ONE_TABLE


def history(item: Item) -> Item:
    """Return the row as one of the past: nothing of it is still to be sent or published."""
    row = {name: value for name, value in item.items() if name != "news"}
    if _kind(row) == "message" and row["status"]["S"] in IN_PROGRESS:
        # As an interrupted send, which `sweep` finds and marks unknown.
        row["status"] = {"S": "sending"}
        row["rank"] = {"N": str(RANKS["sending"])}
        row["state"] = {"S": models.state_partition("sending", row["pk"]["S"])}
    return row


def _restore(client: Any, table_name: str, now: int, item: Item) -> str:
    """Write one row unless the table has it; return the outcome."""
    if "expires" in item and int(item["expires"]["N"]) < now:
        return "expired"
    row, key = history(item), {name: item[name] for name in ("pk", "sk")}
    if _kind(row) == "event":
        # The stream publishes an event whose row is inserted. So its key is inserted first, and
        # the row replaces that; a run that was interrupted between the two is completed here.
        stub = {**key, "restoring": {"BOOL": True}}
        _put(client, table_name, stub, _NEW)
        written = _put(client, table_name, row, "attribute_exists(restoring)")
    else:
        written = _put(client, table_name, row, _NEW)
    if not written and _kind(row) == "opt_out":
        newer = [_later(client, table_name, key, row, name) for name in OPT_OUT_TIMES]
        written = any(newer)
    return "restored" if written else "kept"


def _put(client: Any, table_name: str, row: Item, condition: str) -> bool:
    try:
        client.put_item(TableName=table_name, Item=row, ConditionExpression=condition)
    except client.exceptions.ConditionalCheckFailedException:
        return False
    return True


def _later(client: Any, table_name: str, key: Item, row: Item, name: str) -> bool:
    """Take over a time of an opt-out if it is later than that of the stack's row."""
    if name not in row:
        return False
    try:
        client.update_item(
            TableName=table_name,
            Key=key,
            UpdateExpression="SET #name = :time",
            ConditionExpression="attribute_not_exists(#name) OR #name < :time",
            ExpressionAttributeNames={"#name": name},
            ExpressionAttributeValues={":time": row[name]},
        )
    except client.exceptions.ConditionalCheckFailedException:
        return False
    return True


def _kind(item: Item) -> str:
    return str(item.get("kind", {"S": "other"})["S"])


def _table_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("table", help="the name of the other table, in the same region")


def _postback_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("queue_url", help="the URL of the other queue")


COMMAND: Command = Command(
    "restore",
    "Copy rows or postbacks of another table or queue into the stack",
    parts=(
        Command(
            "table", "Copy the missing rows of a table", TABLE, restore_table, _table_arguments
        ),
        Command(
            "postbacks",
            "Move the postbacks of a queue",
            POSTBACKS,
            restore_postbacks,
            _postback_arguments,
        ),
    ),
)
