"""`resolve ID`: record what became of a message whose outcome is unknown."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from ops import redact
from ops.command import Command
from ops.output import Refused, Result, UsageError, confirm
from skycore import serializers, timestamps
from skycore.problems import Problem
from skycore.table import messages

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from ops.stack import Stack
    from skycore.table.messages import MessageRow

MAX_REASON_LENGTH = 500  # characters, in the message and in its event
ABOUT = """\
A message with an unknown outcome is never sent again. Find out what happened to it: a receipt that
`message ID` shows as possible_match, Skycore's report (`reconcile`), or Skycore's support.

--sent makes the message accepted, --not-sent makes it rejected. Subscribers get message_accepted or
message_rejected with your reason and who you are. The same Idempotency-Key then gets that result,
and never sends again: to send the message after all, use a new key. This cannot be undone.

  python -m ops resolve 181a92994528065198427e20c6278646 --sent --reason 'in the report of 3 May'
  python -m ops resolve 181a92994528065198427e20c6278646 --not-sent --reason 'support case 815'
"""


def run(stack: Stack, args: Namespace) -> Result:
    """Resolve the message. Raises Refused unless its outcome is unknown."""
    reason = args.reason.strip()
    if not (0 < len(reason) <= MAX_REASON_LENGTH and reason.isprintable()):
        raise UsageError(f"--reason takes 1 to {MAX_REASON_LENGTH} printable characters")
    row = _unknown(args.id)
    status = "accepted" if args.sent else "rejected"
    confirm(stack, args, f"Make message {row.message_id} {status}, for good?")
    now = timestamps.now()
    row.resolved_by, row.reason, row.detail = stack.operator, reason, None
    if not args.sent:
        row.detail = f"an operator found that it was not sent: {reason}"
    resolved = messages.transition(
        row.message_id,
        status,
        time=now,
        own=True,
        if_status="unknown",
        if_attempt=row.attempt,
        attempt=secrets.token_hex(8),  # an outcome of the call that comes now changes nothing
        answer=_answer(row, status),
        request=None,
        resolved_by=stack.operator,
        reason=reason,
        detail=row.detail,
    )
    if not resolved:
        raise Refused("The message has changed in the meantime; look at it again.")
    data = {"message_id": row.message_id, "status": status, "resolved_by": stack.operator}
    return Result({**data, "reason": redact.words(reason)}, [f"{status}: {row.message_id}"])


def _unknown(message_id: str) -> MessageRow:
    row = messages.get(message_id)
    if row is None:
        raise Refused("No message has this id.")
    status = serializers.status_of(row, timestamps.now())
    if status != "unknown":
        raise Refused(f"The message is {status}; only an unknown outcome can be resolved.")
    if row.status != "unknown":
        raise Refused("The call was interrupted just now; run this again in two minutes.")
    return row


def _answer(row: MessageRow, status: str) -> bytes:
    """Return what the message's Idempotency-Key gets from now on."""
    if status == "accepted":
        body = {**serializers.message(row, timestamps.now()), "status": "accepted"}
        return messages.pack({"status": 201, "body": body})
    problem = Problem("skycore_rejected", str(row.detail), message_id=row.message_id)
    return messages.pack({"status": problem.status, "body": problem.body()})


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("id", metavar="ID", help="the message's id")
    outcome = parser.add_mutually_exclusive_group(required=True)
    outcome.add_argument("--sent", action="store_true", help="Skycore accepted the message")
    outcome.add_argument("--not-sent", action="store_true", help="Skycore did not accept it")
    parser.add_argument("--reason", required=True, help="how you know; subscribers get it too")


COMMAND: Command = Command(
    "resolve", "Record the outcome of an unknown message", ABOUT, run, arguments
)
