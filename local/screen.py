"""What the user sees: steps with their time, plain lines where there is no terminal."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from rich.console import Console

from ops.terminal import clean_lines

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType


class Screen:
    """The terminal, or a log."""

    def __init__(self) -> None:
        self.console = Console(highlight=False)
        self.current = ""

    @contextlib.contextmanager
    def step(self, what: str) -> Iterator[None]:
        """Show `what` while it runs, and how long it took; a failure is marked as one."""
        self.current = what
        began = time.monotonic()
        live: contextlib.AbstractContextManager[object] = contextlib.nullcontext()
        if self.console.is_terminal:
            live = self.console.status(what)
        try:
            with live:
                yield
        except BaseException:
            self.console.print(f"[red]✗[/red] {what}", soft_wrap=True)
            raise
        seconds = time.monotonic() - began
        self.console.print(f"[green]✓[/green] {what} [dim]{seconds:.1f} s[/dim]", soft_wrap=True)

    def say(self, text: str) -> None:
        """One plain line."""
        self.console.print(clean_lines(text), markup=False, soft_wrap=True)

    def show(self, thing: RenderableType) -> None:
        """A table or another rich thing."""
        self.console.print(thing)

    def fail(self, text: str) -> None:
        """Why the command failed."""
        self.console.print("failed:", style="red", end=" ")
        self.console.print(clean_lines(text), markup=False, soft_wrap=True)
