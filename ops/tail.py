"""`tail`: events as subscribers get them, live."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from ops import redact
from ops.command import Command
from ops.output import Result, print_result, progress
from ops.temporary_queue import temporary_queue

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from ops.stack import Stack

WAIT_SECONDS = 20  # of one receive, the most that SQS takes
FOREVER = float("inf")
ABOUT = """\
Prints new events, one per line, until Ctrl-C. It reads them from a queue of its own, which it
subscribes to the topic and deletes when it ends, so no subscriber misses any. It shows the last two
digits of numbers, and no texts; --show shows whole events.

If it is killed, its queue NAME_tail_… and subscription remain until the next tail deletes them.

  python -m ops tail
  python -m ops tail --type sms_received --type sms_delivery_failed
  python -m ops tail --for 60 --json | jq .type
"""


def run(stack: Stack, args: Namespace) -> None:
    """Write events until the time is up, there are enough, or Ctrl-C."""
    end = time.monotonic() + args.seconds if args.seconds else FOREVER
    left = args.count or FOREVER
    sqs = stack.client("sqs")
    wanted = [type_ if "." in type_ else f"skycore.{type_}" for type_ in args.type]
    with temporary_queue(stack, "tail", wanted) as url:
        progress("listening; press Ctrl-C to stop")
        while left > 0 and (wait := min(WAIT_SECONDS, end - time.monotonic())) > 0:
            answer = sqs.receive_message(
                QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=max(1, int(wait))
            )
            for message in answer.get("Messages", []):
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
                if left > 0:
                    _write(json.loads(message["Body"]), args)
                left -= 1


def _write(envelope: dict[str, Any], args: Namespace) -> None:
    event = redact.event(envelope, show=args.show)
    data = event.get("data") or event
    names = ("code", "status", "tracking_id", "message_id", "to", "from")
    told = "  ".join(f"{name} {data[name]}" for name in names if data.get(name))
    shown = [f"{event['time']}  {event['type']:<28}  {told}"]
    if args.show:
        shown = [json.dumps(event, ensure_ascii=False)]
    print_result(Result(event, shown), as_json=args.json)


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--type", action="append", default=[], help="such as sms_received; repeat it for more"
    )
    parser.add_argument("--for", dest="seconds", type=int, metavar="SECONDS", help="then end")
    parser.add_argument("--count", type=int, help="stop after this many events")
    parser.add_argument("--show", action="store_true", help="show whole events")


COMMAND: Command = Command(
    "tail", "Print live events, without texts and numbers", ABOUT, run, arguments
)
