"""Show what is in the stack's queues and dead-letter queues, and what is left of the limits."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from skycore.table.limiter import KEY, decode, new_item
from skycore.table.limits import Limits, remaining

if TYPE_CHECKING:
    from local.page.stack import Stack
    from skycore.table.limits import WindowName

DEPTHS = {
    "waiting": "ApproximateNumberOfMessages",
    "in_flight": "ApproximateNumberOfMessagesNotVisible",
    "delayed": "ApproximateNumberOfMessagesDelayed",
}
PEEKED = 10  # messages: as many as SQS gives at once


def depths(stack: Stack) -> list[dict[str, Any]]:
    """Each queue of the template with how many messages it holds. Raises NotUpError."""
    sqs = stack.admin("sqs")
    rows = []
    for name, url in _urls(stack).items():
        asked = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=list(DEPTHS.values()))
        found = asked["Attributes"]
        counts = {ours: int(found.get(theirs, 0)) for ours, theirs in DEPTHS.items()}
        rows.append({"name": name, "dead_letters": _is_dead_letters(name), **counts})
    return rows


def peek(stack: Stack, name: str) -> list[dict[str, Any]]:
    """Up to ten messages of a dead-letter queue, left where they are. Raises LookupError."""
    url = _urls(stack).get(name)
    if url is None or not _is_dead_letters(name):
        raise LookupError(f"there is no dead-letter queue {name}")
    answer = stack.admin("sqs").receive_message(
        QueueUrl=url,
        MaxNumberOfMessages=PEEKED,
        VisibilityTimeout=0,  # seconds: it is there for the next reader at once
        AttributeNames=["SentTimestamp"],
        MessageAttributeNames=["All"],
    )
    return [
        {
            "id": message["MessageId"],
            "sent_ms": int(message.get("Attributes", {}).get("SentTimestamp", 0)),
            "attributes": {
                key: value.get("StringValue", "")
                for key, value in message.get("MessageAttributes", {}).items()
            },
            "body": message["Body"],
        }
        for message in answer.get("Messages", [])
    ]


def allowance(stack: Stack) -> list[dict[str, Any]]:
    """Each window with its limit (0: none) and the calls left in it. Raises NotUpError."""
    described = stack.needed()
    parameters = described["parameters"]
    windows: tuple[WindowName, ...] = ("second", "minute", "day")
    most = {window: int(parameters.get(f"MaxCallsPer{window.title()}") or 0) for window in windows}
    share = int(parameters.get("PriorityShare") or 0)
    limits = Limits(most["second"], most["minute"], most["day"], share)
    answer = stack.admin("dynamodb").get_item(TableName=described["table_name"], Key=KEY)
    item = decode(answer["Item"]) if "Item" in answer else new_item()
    now = time.time_ns() // 1_000_000
    left = remaining(item, now, limits)
    paused = max(0, item["pause"]["until_ms"] - now) / 1000
    return [
        {
            "window": window,
            "limit": limit,
            "left": left.get(window),
            "paused_s": paused if item["pause"]["window"] == window else 0,
        }
        for window, limit in most.items()
    ]


def _is_dead_letters(name: str) -> bool:
    return name.endswith("DeadLetterQueue")


def _urls(stack: Stack) -> dict[str, str]:
    """Logical name → URL of each queue of the template; those with the dead letters come last."""
    described = stack.needed()
    if "queue_urls" not in described:  # kept with the description, for as long as it holds
        formation = stack.admin("cloudformation")
        rows = formation.describe_stack_resources(StackName=described["stack_name"])
        described["queue_urls"] = {
            row["LogicalResourceId"]: row["PhysicalResourceId"]
            for row in rows["StackResources"]
            if row["ResourceType"] == "AWS::SQS::Queue"
        }
    urls: dict[str, str] = described["queue_urls"]
    return dict(sorted(urls.items(), key=lambda row: _is_dead_letters(row[0])))
