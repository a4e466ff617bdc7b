"""Define a command of the operator's tool."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Callable

    from ops.output import Result
    from ops.stack import Stack


def _no_arguments(_: ArgumentParser) -> None:
    pass


@dataclass(frozen=True)
class Command:
    """One command, or a group of them where `parts` are given.

    `about` is its help: what it does, what it changes, examples. `run` returns None where it has
    written its result itself.
    """

    name: str
    summary: str
    about: str = ""
    run: Callable[[Stack, Namespace], Result | None] | None = None
    arguments: Callable[[ArgumentParser], None] = _no_arguments
    parts: tuple[Command, ...] = field(default=())
