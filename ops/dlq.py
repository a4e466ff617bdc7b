"""`dlq`: inspect, redrive or discard dead letters."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

from ops.command import Command
from ops.dead_letters import DeadLetters
from ops.describe import describe
from ops.output import Refused, Result, UsageError, confirm, progress, table
from ops.queues import QUEUES, depths, oldest_ages
from skycore.receiving import republish

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterator

    from ops.stack import Stack

LIST = """\
Lists the dead-letter queues, with the number of messages in each and what they are. It only reads.

  python -m ops dlq list
"""
SHOW = """\
Shows messages without removing them; for a moment they are hidden from other readers. It shows
texts, numbers and bodies only with --show.

  python -m ops dlq show postback
  python -m ops dlq show send --limit 100 --json
"""
REDRIVE = """\
Moves messages back to their queue, with their attributes, so that they are processed again. Fix the
cause first, or they come back. Try one with --limit 1.

  postback       is stored with its time of arrival; a repeat of a stored postback is dropped
  send           gets five new tries. It goes to Skycore at most once; if its message is no longer
                 queued (sent, cancelled, expired), nothing is sent
  event          keeps its id, so that the subscriber can drop a repeat
  publish-retry  is published from the table, under its id
  media          has its missing files copied, if Skycore still has them
  publish        has no events, only their times: use dlq show publish, then replay --since

  python -m ops dlq redrive send --limit 1
  python -m ops dlq redrive postback --stack skycore
"""
DISCARD = """\
Deletes messages for good: those that you do not need, or the messages of publish once replay has
published their events again. Name them with --id, or pass --all.

  python -m ops dlq discard publish --all
  python -m ops dlq discard postback --id 6f6c7a54-0dd0-4f5c-9b7e-0c7c1d9c6a11
"""
NAME_ROWS = {"publish-retry", "media"}  # queues whose messages name rows of the table


def list_all(stack: Stack, _: Namespace) -> Result:
    """Count the messages of each dead-letter queue; OK if all are empty."""
    ages = oldest_ages(stack, [queue.dead for queue in QUEUES.values()])
    data = {
        name: {
            "dead_letters": depths(stack, queue.dead)["waiting"],
            "oldest_seconds": ages.get(queue.dead),
            "holds": queue.holds,
        }
        for name, queue in QUEUES.items()
    }
    rows = [(name, *counts.values()) for name, counts in data.items()]
    shown = [table(("queue", "dead letters", "oldest, s", "which are"), rows)]
    return Result(data, shown, ok=not any(counts["dead_letters"] for counts in data.values()))


def show(stack: Stack, args: Namespace) -> Result:
    """Show some messages of a dead-letter queue."""
    with _opened(stack, args) as letters:
        found = [
            describe(args.queue, message, show=args.show)
            for part in _asked_for(letters, args)
            for message in part
        ]
    rows = [(letter["sent_at"], letter["id"], _rest(letter)) for letter in found]
    shown = [table(("sent", "id", ""), rows)] if rows else []
    ending = f"showing {len(found)} from the dead-letter queue {args.queue}"
    return Result({"queue": args.queue, "messages": found}, [*shown, ending])


def redrive(stack: Stack, args: Namespace) -> Result:
    """Move messages back to their queue. Raises Refused for the queue of places."""
    queue = QUEUES[args.queue]
    if queue.queue is None:
        raise Refused(
            "It holds positions in the table's stream, not events: there is nothing to redrive. "
            f"See the times with: dlq show {queue.name}. Publish their events with: "
            f"replay --since TIME --until TIME. Then: dlq discard {queue.name} --all"
        )
    waiting = depths(stack, queue.dead)["waiting"]
    most = f"up to {args.limit}" if args.limit else "all"
    what = "those named" if args.id else most
    confirm(stack, args, f"Move {what} of about {waiting} back to the {queue.name} queue?")
    to = stack.id_of(queue.queue)
    moved = 0
    named = set(args.id)
    with _opened(stack, args) as letters:
        for part in _asked_for(letters, args):
            if moved:  # it takes more than one round
                progress(f"{moved} moved back")
            if queue.name in NAME_ROWS:  # which must stay for as long as they are named
                republish.keep_named_rows(_names(part))
            moved += letters.move(part, to)
            named -= {message["MessageId"] for message in part}
    left = depths(stack, queue.dead)["waiting"]
    lines = [f"{moved} moved back to the {queue.name} queue"]
    lines += [f"{count} not moved back: {why}" for why, count in sorted(letters.failed.items())]
    if letters.failed:
        lines.append("They are still in the dead-letter queue; some may be in both queues.")
    lines += _not_found(named)
    data = {
        "queue": queue.name,
        "moved": moved,
        "failed": letters.failed,
        "not_found": sorted(named),
        "left": left,
    }
    return Result(data, lines, ok=not letters.failed and not named)


def discard(stack: Stack, args: Namespace) -> Result:
    """Delete messages of a dead-letter queue for good. Raises UsageError."""
    if bool(args.id) == args.all:
        raise UsageError("name messages with --id, or pass --all")
    waiting = depths(stack, QUEUES[args.queue].dead)["waiting"]
    what = f"{len(args.id)} messages" if args.id else f"all of about {waiting} messages"
    confirm(stack, args, f"Delete {what} of the dead-letter queue {args.queue} for good?")
    deleted = 0
    named = set(args.id)
    with _opened(stack, args) as letters:
        for part in _asked_for(letters, args):
            for message in part:
                letters.delete(message)
                deleted += 1
                named.discard(message["MessageId"])
    data = {"queue": args.queue, "deleted": deleted, "not_found": sorted(named)}
    return Result(data, [f"{deleted} deleted", *_not_found(named)], ok=not named)


def _not_found(named: set[str]) -> list[str]:
    """Say which messages that --id names were not received from the queue."""
    if not named:
        return []
    return [
        f"{len(named)} not found: {', '.join(sorted(named))}",
        "They are not in the queue, or another reader hides them for a minute. Try again then.",
    ]


def _names(letters: list[dict[str, Any]]) -> list[Any]:
    """Return the names of events in messages of the retry queue, without what is not JSON."""
    names = []
    for letter in letters:
        with contextlib.suppress(ValueError):
            names.append(json.loads(letter["Body"]))
    return names


@contextlib.contextmanager
def _opened(stack: Stack, args: Namespace) -> Iterator[DeadLetters]:
    url = stack.id_of(QUEUES[args.queue].dead)
    with DeadLetters(stack.client("sqs"), url) as letters:
        yield letters


def _asked_for(letters: DeadLetters, args: Namespace) -> Iterator[list[dict[str, Any]]]:
    """Yield the messages that --id names, or all, up to --limit, in parts."""
    left = len(args.id) if args.id else args.limit
    for part in letters.messages():
        wanted = [one for one in part if not args.id or one["MessageId"] in args.id]
        if left is not None:
            wanted = wanted[:left]
            left -= len(wanted)
        if wanted:
            yield wanted
        if left == 0:
            return


def _rest(letter: dict[str, Any]) -> str:
    rest = {name: value for name, value in letter.items() if name not in {"sent_at", "id"}}
    return ", ".join(_plain(name, value) for name, value in rest.items() if value is not None)


def _plain(name: str, value: Any) -> str:
    """Return a field in words; counts as `2 skycore.sms_received and 1 skycore.unparsed`."""
    if isinstance(value, dict):
        return " and ".join(f"{count} {kind}" for kind, count in value.items())
    return f"{name} {value}"


def _arguments(parser: ArgumentParser) -> None:
    parser.add_argument("queue", choices=QUEUES, metavar="QUEUE", help=", ".join(QUEUES))
    parser.add_argument(
        "--id", action="append", default=[], help="only the message with this SQS id; repeatable"
    )


def arguments_of_show(parser: ArgumentParser) -> None:
    _arguments(parser)
    parser.add_argument("--limit", type=int, default=10, help="maximum number to show (default 10)")
    parser.add_argument("--show", action="store_true", help="show the bodies too")


def arguments_of_redrive(parser: ArgumentParser) -> None:
    _arguments(parser)
    parser.add_argument("--limit", type=int, help="maximum number to move back (default: all)")


def arguments_of_discard(parser: ArgumentParser) -> None:
    _arguments(parser)
    parser.add_argument("--all", action="store_true", help="all messages that are in the queue now")
    parser.set_defaults(limit=None)


COMMAND = Command(
    "dlq",
    "Inspect, redrive or discard dead letters",
    parts=(
        Command("list", "Count dead letters", LIST, list_all),
        Command("show", "Show the messages of one queue", SHOW, show, arguments_of_show),
        Command(
            "redrive", "Move messages back to their queue", REDRIVE, redrive, arguments_of_redrive
        ),
        Command("discard", "Delete messages for good", DISCARD, discard, arguments_of_discard),
    ),
)
