"""`tail`: events as subscribers get them, while they happen."""

from __future__ import annotations

import contextlib
import json
import secrets
import time
from typing import TYPE_CHECKING, Any

from ops import redact
from ops.command import Command
from ops.talk import Answer, give, note

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterator

    from ops.stack import Stack

WAIT_SECONDS = 20  # of one receive, the most that SQS takes
KEEP_SECONDS = 300  # that the queue keeps an event, should nobody take the queue down
FOREVER = float("inf")
ABOUT = """\
Events from now on, one a line, until Ctrl-C. It takes them from a queue of its own, which it
subscribes to the topic and deletes when it ends, so no subscriber misses any. Numbers show their
last two digits, texts are left out; --show shows the events whole.

If it is killed the hard way, a queue NAME-tail-… and its subscription stay behind; the next tail
takes them down.

  python -m ops tail
  python -m ops tail --type sms_received --type sms_delivery_failed
  python -m ops tail --for 60 --json | jq .type
"""


def run(stack: Stack, asked: Namespace) -> None:
    """Writes events until it is time, or enough, or Ctrl-C."""
    end = time.monotonic() + asked.seconds if asked.seconds else FOREVER
    left = asked.count or FOREVER
    sqs = stack.client("sqs")
    with _queue_of_its_own(stack, asked.type) as url:
        note("listening; Ctrl-C ends it")
        while left > 0 and (wait := min(WAIT_SECONDS, end - time.monotonic())) > 0:
            answer = sqs.receive_message(
                QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=max(1, int(wait))
            )
            for message in answer.get("Messages", []):
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
                if left > 0:
                    _write(json.loads(message["Body"]), asked)
                left -= 1


def _write(envelope: dict[str, Any], asked: Namespace) -> None:
    event = redact.event(envelope, show=asked.show)
    data = event.get("data") or event
    names = ("code", "status", "tracking_id", "message_id", "to", "from")
    told = "  ".join(f"{name} {data[name]}" for name in names if data.get(name))
    shown = [f"{event['time']}  {event['type']:<28}  {told}"]
    if asked.show:
        shown = [json.dumps(event, ensure_ascii=False)]
    give(Answer(event, shown), as_json=asked.json)


@contextlib.contextmanager
def _queue_of_its_own(stack: Stack, types: list[str]) -> Iterator[str]:
    """The URL of a queue that the topic delivers to for as long as this lasts."""
    sqs, sns = stack.client("sqs"), stack.client("sns")
    prefix = f"{stack.name[:40]}-tail-"
    _take_down_old(sqs, sns, stack.topic, prefix)
    name = prefix + f"{int(time.time())}-{secrets.token_hex(4)}"
    account = stack.topic.split(":")[4]
    arn = f"arn:{stack.topic.split(':')[1]}:sqs:{stack.region}:{account}:{name}"
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
        wanted = [type_ if "." in type_ else f"skycore.{type_}" for type_ in types]
        subscription = sns.subscribe(
            TopicArn=stack.topic,
            Protocol="sqs",
            Endpoint=arn,
            Attributes={
                "RawMessageDelivery": "true",
                **({"FilterPolicy": json.dumps({"type": wanted})} if wanted else {}),
            },
            ReturnSubscriptionArn=True,
        )["SubscriptionArn"]
        yield url
    finally:
        if subscription:
            sns.unsubscribe(SubscriptionArn=subscription)
        sqs.delete_queue(QueueUrl=url)


def _take_down_old(sqs: Any, sns: Any, topic: str, prefix: str) -> None:
    """Deletes queues of tails that were killed over a day ago, and their subscriptions."""
    a_day_ago = time.time() - 24 * 3600
    old = {
        url.rsplit("/", 1)[-1]: url
        for url in sqs.list_queues(QueueNamePrefix=prefix).get("QueueUrls", [])
        if _made_at(url, prefix) < a_day_ago
    }
    if not old:
        return
    for page in sns.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=topic):
        for row in page["Subscriptions"]:
            if row["Endpoint"].rsplit(":", 1)[-1] in old:
                sns.unsubscribe(SubscriptionArn=row["SubscriptionArn"])
    for url in old.values():
        sqs.delete_queue(QueueUrl=url)


def _made_at(url: str, prefix: str) -> float:
    made = url.rsplit("/", 1)[-1].removeprefix(prefix).split("-")[0]
    return float(made) if made.isdigit() else FOREVER


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--type", action="append", default=[], help="such as sms_received; repeat it for more"
    )
    parser.add_argument("--for", dest="seconds", type=int, metavar="SECONDS", help="then end")
    parser.add_argument("--count", type=int, help="end after so many events")
    parser.add_argument("--show", action="store_true", help="show events whole")


COMMAND: Command = Command("tail", "Live events, without texts and numbers", ABOUT, run, arguments)
