"""Write results to stdout, questions and progress to stderr, and define the exit codes."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ops.terminal import clean
from skycore import timestamps

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Mapping, Sequence

    from rich.console import RenderableType

    from ops.stack import Stack

DONE, PROBLEMS, USAGE_ERROR, INTERRUPTED = 0, 1, 2, 130
WIDTH = 132  # columns where the output is no terminal, so that nothing is cut


class Refused(Exception):  # noqa: N818 - what happened, in the operator's words
    """The command was refused; its text says why and what to do. Exit code 1, or `code`."""

    def __init__(self, why: str, code: int = PROBLEMS) -> None:
        self.code = code
        super().__init__(why)


class UsageError(Exception):
    """The command line is wrong or incomplete. Exit code 2."""


@dataclass(frozen=True)
class Result:
    """What a command found or did: `data` for --json, `shown` for people.

    A text of `shown` is one line. Where `ok` is false, the exit code is 1.
    """

    data: Mapping[str, Any]
    shown: Sequence[RenderableType]
    ok: bool = True


def progress(text: str) -> None:
    """Write a line about progress to stderr."""
    print(clean(text), file=sys.stderr, flush=True)


def print_result(result: Result, *, as_json: bool) -> None:
    """Write a result to stdout: as one line of JSON in ASCII, or for people."""
    if as_json:
        print(json.dumps(result.data, default=_in_json), flush=True)
        return
    console = _console()
    for part in result.shown:
        # Foreign text is not markup, and a long line is the terminal's to wrap.
        console.print(_text(part) if isinstance(part, str | Text) else part, soft_wrap=True)


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Table:
    """Return aligned columns without borders."""
    made = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for column in columns:
        made.add_column(column, overflow="fold")
    for row in rows:
        made.add_row(*(_text(cell if isinstance(cell, Text) else _cell(cell)) for cell in row))
    return made


def confirm(stack: Stack, args: argparse.Namespace, question: str) -> None:
    """Ask before changing a stack that --stack names. Raises Refused if the answer is not yes.

    The local stack, and any stack with --yes, is changed without a question. `main` then records
    who changed the stack, by `args.confirmed`.
    """
    _ask(stack, args, question)
    args.confirmed = True


def _ask(stack: Stack, args: argparse.Namespace, question: str) -> None:
    if args.yes or not stack.ask:
        return
    if not sys.stdin.isatty():
        why = "Cannot ask for confirmation without a terminal; pass --yes. Nothing was changed."
        raise Refused(f"{question} {why}")
    print(f"{clean(question)} [y/N] ", end="", file=sys.stderr, flush=True)
    if input().strip().lower() not in {"y", "yes"}:
        raise Refused("Nothing was changed.")


def _text(part: str | Text) -> Text:
    """Return a text that is safe to show, with its styles."""
    text = Text(part) if isinstance(part, str) else part.copy()
    text.plain = clean(text.plain)
    return text


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() else WIDTH, highlight=False)


def _in_json(value: Any) -> str:
    return timestamps.to_text(value) if isinstance(value, datetime) else str(value)


def _cell(value: Any) -> str:
    return "–" if value is None or value == "" else str(value)  # noqa: RUF001 - a dash
