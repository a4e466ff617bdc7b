"""`send-test`: one SMS through the API, as a caller sends it."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Any

from ops import redact
from ops.api import call
from ops.command import Command
from ops.output import Result, confirm, progress
from skycore.logs import mask_number

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from ops.stack import Stack

EVERY = 1.0  # seconds between two looks
ENDED = {"delivered", "failed", "expired", "rejected", "unknown", "cancelled"}
ABOUT = """\
Sends one SMS, which costs what an SMS costs, through the stack's API with your own AWS login (it
needs execute-api:Invoke). With --wait it waits for the delivery receipt. The exit code is 0 if
Skycore accepted it, with --wait if it was delivered.

  python -m ops send-test '+1 774-319-9144' --from 60856 --wait 60
"""


def run(stack: Stack, args: Namespace) -> Result:
    """Send the SMS and report its status. Raises Refused if there was no answer."""
    confirm(
        stack,
        args,
        f"Send an SMS to {mask_number(args.number)} from {mask_number(args.sender)}?",
    )
    body = {"to": args.number, "from": args.sender, "text": args.text}
    key = f"ops-{secrets.token_hex(8)}"
    status, answer = call(stack, "POST", "/messages", body, {"Idempotency-Key": key})
    if status != 201 or not args.wait:
        return _result(status, answer)
    progress(f"accepted: {answer['message_id']}")
    end = time.monotonic() + args.wait
    while answer["status"] not in ENDED and time.monotonic() < end:
        time.sleep(EVERY)
        _, answer = call(stack, "GET", f"/messages/{answer['message_id']}")
    return _result(status, answer, ok=answer["status"] == "delivered")


def _result(status: int, answer: dict[str, Any], *, ok: bool = True) -> Result:
    if "message_id" in answer and status < 300:
        data = redact.message(answer, show=False)
        line = f"{data['status']}: {data['message_id']}"
        return Result(data, [line], ok=ok)
    names = ("status", "code", "skycore_code", "detail", "retryable", "errors", "message_id")
    data = {name: answer[name] for name in names if name in answer}
    shown = [f"{status} {data.get('code', '')} {data.get('skycore_code', '')}", data.get("detail")]
    shown += [f"{error['field']}: {error['detail']}" for error in data.get("errors", [])]
    lines = [redact.words(line.strip()) or "" for line in shown if line]
    if "message_id" in data:
        lines.append(f"python -m ops message {data['message_id']}")
    return Result(data, lines, ok=False)


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("number", metavar="NUMBER", help="with + and country code")
    parser.add_argument(
        "--from", dest="sender", required=True, help="a shortcode or number of the account"
    )
    parser.add_argument("--text", default="Test of Skycore on AWS", help="the text")
    parser.add_argument(
        "--wait",
        type=int,
        nargs="?",
        const=60,
        default=0,
        metavar="SECONDS",
        help="wait for delivery, at most this many seconds (60)",
    )


COMMAND: Command = Command("send-test", "Send one SMS through the API", ABOUT, run, arguments)
