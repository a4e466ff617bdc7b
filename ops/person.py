"""`person`: everything that the stack keeps about a number, and its erasure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ops.command import Command
from ops.output import Refused, Result, UsageError, confirm, table
from ops.stack import parse_number
from skycore.keyed_hash import keyed_hash
from skycore.logs import mask_number
from skycore.phone_numbers import canonical_number
from skycore.queries.person import StillSending, erase_person, find_person, show_person

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from ops.stack import Stack

SHOW = """\
Shows everything that the stack keeps about a number, for an access request: messages, events with
the texts of replies, raw postbacks, keys of files and opt-outs. --json has all of it; without
--json it prints a summary. Raw postbacks may hold other people's data too: look through them before
you hand them out. It only reads.

  python -m ops person show '+1 774-319-9144' --json
"""
ERASE = """\
Erases everything that the stack keeps about a number. It cancels messages that wait, and refuses
while one is being sent. A tombstone of each message, without number or text, stays until its
Idempotency-Key expires, so that a repeat sends nothing. Raw postbacks that several people share are
deleted. An opt-out stays as a keyed hash, and holds until the person opts in again.

It is safe to repeat: repeat it once postbacks that were on their way have been stored. It prints
what remains elsewhere, and until when. `changes` shows who erased it, and when.

  python -m ops person erase '+1 774-319-9144' --stack skycore
"""
# Where data stays that this tool cannot reach, and for how long.
REMAINS = {
    "point-in-time copies of the table": "35 days, with PointInTimeRecovery",
    "the table's stream": "24 hours",
    "the stack's queues and dead-letter queues": "at most 14 days",
    "queues and systems of your subscribers": "as long as they keep events",
    "logs": "they hold no more than the last two digits",
    "Skycore": "ask Skycore",
    "files of ops export": "until you delete them",
}


def show(stack: Stack, args: Namespace) -> Result:
    """Show what is kept about a number."""
    number = _number(stack, args.number)
    _use_hashes(stack)
    data = show_person(find_person(number, _media_bucket(stack)), stack.source)
    rows = [[name, count] for name, count in data["counts"].items()]
    return Result(data, [table(("kept about this number", "how many"), rows)])


def erase(stack: Stack, args: Namespace) -> Result:
    """Erase what is kept about a number. Raises Refused while a message is being sent."""
    number = _number(stack, args.number)
    stack.use_hash_secret()
    person = find_person(number, _media_bucket(stack))
    counts = person.counts()
    listed = ", ".join(f"{count} {name}" for name, count in counts.items())
    confirm(stack, args, f"Erase everything about {mask_number(number)} ({listed})?")
    args.subject = keyed_hash("number", number)[:16]
    try:
        erase_person(person, _media_bucket(stack), stack.identity)
    except StillSending:
        why = "a message to this number is being sent; run this again in a minute"
        raise Refused(why) from None
    held = sum(one.stopped_at is not None for one in person.opt_outs)
    remains: dict[str, Any] = {"tombstones": counts["messages"], "opt_outs": held, **REMAINS}
    data = {"erased": counts, "remains": remains}
    rows = [[name, value] for name, value in remains.items()]
    return Result(data, [f"erased: {listed}", "", table(("what remains", "until"), rows)])


def _use_hashes(stack: Stack) -> None:
    """Find opt-outs that are stored as hashes too, unless the stack is of an older release."""
    if "HashSecret" in stack.resources:
        stack.use_hash_secret()


def _media_bucket(stack: Stack) -> str | None:
    """Return the bucket of inbound MMS; None for a stack of a release without one."""
    return stack.id_of("MediaBucket") if "MediaBucket" in stack.resources else None


def _number(stack: Stack, text: str) -> str:
    try:
        return parse_number(stack, text)
    except UsageError:
        # A postback may have come from a number that no numbering plan knows yet, or any more.
        kept = canonical_number(text) if text.startswith("+") else None
        if kept is None:
            raise
        return kept


def _arguments(parser: ArgumentParser) -> None:
    parser.add_argument("number", metavar="NUMBER", help="with + and country code")


COMMAND = Command(
    "person",
    "Show or erase one person's data",
    parts=(
        Command("show", "Show everything that is kept about a number", SHOW, show, _arguments),
        Command("erase", "Erase everything that is kept about a number", ERASE, erase, _arguments),
    ),
)
