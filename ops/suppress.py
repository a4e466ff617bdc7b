"""`suppress`: numbers to which the stack does not send."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ops.command import Command
from ops.output import Result, UsageError, confirm, progress, table
from ops.stack import parse_number
from skycore.logs import mask_number
from skycore.phone_numbers import NumberError, parse_sender
from skycore.table import opt_outs
from skycore.table.opt_outs import ERASED

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Callable

    from ops.stack import Stack
    from skycore.table.opt_outs import OptOut

REASON = "operator"
ADD = """\
Stops all messages to the number: from one sender with --sender, otherwise from any. Sends are
answered 422 recipient_opted_out; queued messages are rejected.

  python -m ops suppress add '+1 774-319-9144' --sender 60856
"""
REMOVE = """\
Allows messages to the number again: from one sender with --sender, otherwise from any. It lifts
every opt-out that the stack has for the number and the sender. Skycore has a list of its own
(E114), which this does not change. Do it only if the person has asked for it.

  python -m ops suppress remove '+1 774-319-9144' --sender 60856
"""
LIST = """\
Lists the opt-outs of one number, or with --all of all numbers. --all reads the whole table, which
takes time and money if it is large. It only reads. Without --show, numbers show two digits.

  python -m ops suppress list '+1 774-319-9144'
  python -m ops suppress list --all --show --json
"""


def add(stack: Stack, args: Namespace) -> Result:
    """Stop sends to a number."""
    return _change(stack, args, "Stop messages to", _stop)


def remove(stack: Stack, args: Namespace) -> Result:
    """Allow sends to a number again."""
    return _change(stack, args, "Allow messages to", opt_outs.lift_by_hand)


def _stop(number: str, sender: str | None, moment: datetime) -> None:
    opt_outs.stop_by_hand(number, sender, moment, REASON)


def _change(
    stack: Stack,
    args: Namespace,
    question: str,
    note_it: Callable[[str, str | None, datetime], None],
) -> Result:
    number, sender = parse_number(stack, args.number), _sender(stack, args.sender)
    stack.use_hash_secret()  # opt-outs of erased numbers count too
    whom = f"{mask_number(number)} from {_name(sender)}"
    confirm(stack, args, f"{question} {whom}?")
    note_it(number, sender, datetime.now(UTC))
    pairs = {(number, sender)}
    if sender is None:  # what holds for any sender must hold for each that has a row of its own
        pairs |= {(number, row.sender) for row in opt_outs.list_opt_outs(number)}
    held = opt_outs.opted_out(pairs)
    data = {
        "number": mask_number(number),
        "sender": mask_number(sender),
        "suppressed": held == pairs,
    }
    if held and held != pairs:
        several = ", ".join(sorted(_name(other) for _, other in held))
        return Result(data, [f"{whom}: suppressed only for {several}"])
    return Result(data, [f"{whom}: {'suppressed' if held else 'not suppressed'}"])


def list_all(stack: Stack, args: Namespace) -> Result:
    """The opt-outs of a number, or all."""
    if bool(args.number) == args.all:
        raise UsageError("name a number, or pass --all")
    if args.all:
        progress("reading the whole table")
    number = parse_number(stack, args.number) if args.number else None
    stack.use_hash_secret()
    wishes = list(opt_outs.list_opt_outs(number))
    stopped = opt_outs.opted_out((wish.number, wish.sender) for wish in wishes if wish.number)
    found: list[dict[str, Any]] = [
        {
            "number": wish.number if args.show else mask_number(wish.number),
            "sender": wish.sender if args.show else mask_number(wish.sender),
            "suppressed": (wish.number, wish.sender) in stopped or _holds_erased(wish),
            "stopped_at": wish.stopped_at,
            "started_at": wish.started_at,
            "reason": wish.reason,
        }
        for wish in wishes
    ]
    columns = ("number", "suppressed", "stopped_at", "started_at", "reason")
    rows = [[_name(one["sender"]), *(one[name] for name in columns)] for one in found]
    shown = [table(("sender", *columns), rows)] if rows else []
    ending = f"{len(stopped)} of {len(found)} opt-outs are in force"
    return Result({"opt_outs": found}, [*shown, ending])


def _holds_erased(wish: OptOut) -> bool:
    """Return whether an opt-out that is stored as a hash held when its number was erased."""
    stopped_at, started_at = wish.stopped_at or "", wish.started_at or ""
    return wish.number == ERASED and bool(stopped_at) and stopped_at >= started_at


def _name(sender: str | None) -> str:
    return sender or "any sender"


def _sender(stack: Stack, text: str | None) -> str | None:
    if text is None:
        return None
    try:
        return parse_sender(text, default_region=stack.parameters["DefaultRegion"])
    except NumberError as error:
        raise UsageError(f"--sender {error.detail}") from None


def _arguments(parser: ArgumentParser) -> None:
    parser.add_argument("number", metavar="NUMBER", help="with + and country code")
    parser.add_argument("--sender", help="a shortcode or number of yours (default: any sender)")


def _arguments_of_list(parser: ArgumentParser) -> None:
    parser.add_argument("number", metavar="NUMBER", nargs="?", help="with + and country code")
    parser.add_argument("--all", action="store_true", help="all numbers")
    parser.add_argument("--show", action="store_true", help="show numbers in full")


COMMAND = Command(
    "suppress",
    "List and change opt-outs",
    parts=(
        Command("add", "Stop sending to a number", ADD, add, _arguments),
        Command("remove", "Allow sending to a number again", REMOVE, remove, _arguments),
        Command("list", "List opt-outs", LIST, list_all, _arguments_of_list),
    ),
)
