"""A queue that the event topic delivers to for as long as a command runs."""

from __future__ import annotations

import contextlib
import json
import secrets
import time
from typing import TYPE_CHECKING, Any

from ops.output import Refused

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ops.stack import Stack

MAX_NAME = 80  # characters, SQS's limit for the name of a queue
UNIQUE = 19  # characters of its last part: seconds since 1970, a dash and eight hex digits
KEEP_SECONDS = 300  # that the queue keeps an event if the command is killed
KEPT_HOURS = 24  # that a queue of a killed command stays before the next one deletes it
FOREVER = float("inf")


@contextlib.contextmanager
def temporary_queue(stack: Stack, purpose: str, types: Sequence[str] = ()) -> Iterator[str]:
    """Create a queue, subscribe it to the topic, yield its URL, and delete both at the end.

    Its name is `<stack>_<purpose>_<time>-<random>`, a pattern that operators' policies allow. No
    name that CloudFormation makes has an underscore, so the pattern reaches no other stack.
    `types` limits the events to these CloudEvents types. Raises Refused for a stack whose name is
    too long.
    """
    check_name(stack, purpose)
    sqs, sns = stack.client("sqs"), stack.client("sns")
    unique = f"{int(time.time())}-{secrets.token_hex(4)}"
    prefix = f"{stack.name}_{purpose}_"
    _delete_old(sqs, sns, stack.topic, prefix)
    name = prefix + unique
    _, partition, _, region, account, _ = stack.topic.split(":")
    arn = f"arn:{partition}:sqs:{region}:{account}:{name}"
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": stack.topic}},
    }
    attributes = {
        "MessageRetentionPeriod": str(KEEP_SECONDS),
        "SqsManagedSseEnabled": "true",
        "Policy": json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
    }
    url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    subscription = None
    try:
        subscription = sns.subscribe(
            TopicArn=stack.topic,
            Protocol="sqs",
            Endpoint=arn,
            Attributes={
                "RawMessageDelivery": "true",
                **({"FilterPolicy": json.dumps({"type": list(types)})} if types else {}),
            },
            ReturnSubscriptionArn=True,
        )["SubscriptionArn"]
        yield url
    finally:
        try:
            if subscription:
                sns.unsubscribe(SubscriptionArn=subscription)
        finally:
            sqs.delete_queue(QueueUrl=url)


def check_name(stack: Stack, purpose: str) -> None:
    """Raise Refused if a queue's name has no room for the whole name of the stack."""
    room = MAX_NAME - UNIQUE - len(f"__{purpose}")
    if len(stack.name) > room:
        raise Refused(
            f"{purpose} needs a stack name of at most {room} characters: its queue's name contains "
            f"it, and {stack.name} has {len(stack.name)}"
        )


def _delete_old(sqs: Any, sns: Any, topic: str, prefix: str) -> None:
    """Delete queues of commands that were killed over a day ago, and their subscriptions."""
    oldest_kept = time.time() - KEPT_HOURS * 3600
    old = {
        url.rsplit("/", 1)[-1]: url
        for url in sqs.list_queues(QueueNamePrefix=prefix).get("QueueUrls", [])
        if _created_at(url, prefix) < oldest_kept
    }
    if not old:
        return
    for page in sns.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=topic):
        for row in page["Subscriptions"]:
            if row["Endpoint"].rsplit(":", 1)[-1] in old:
                sns.unsubscribe(SubscriptionArn=row["SubscriptionArn"])
    for url in old.values():
        sqs.delete_queue(QueueUrl=url)


def _created_at(url: str, prefix: str) -> float:
    created = url.rsplit("/", 1)[-1].removeprefix(prefix).split("-")[0]
    return float(created) if created.isdigit() else FOREVER
