"""What the page reads from the stack in the background, for as long as it is open."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from local.page.stack import NotUpError

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.page.stack import Stack

NOT_UP_S = 0.5  # until it looks again for a stack
RETRY_S = 2.0


class Reader:
    """Opens what it reads, again after a failure, and records what comes.

    `_open` and `_receive` block, so they run in threads.
    """

    pause_s = 0.0  # between two reads

    def __init__(self, stack: Stack, publish: Callable[[dict[str, Any]], None]) -> None:
        self._stack = stack
        self._publish = publish
        self._count = 0
        self._is_open = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start to read; do nothing if started already."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._read())

    async def stop(self) -> None:
        """Stop reading."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _read(self) -> None:
        while True:
            pause = self.pause_s
            try:
                if not self._is_open:
                    await asyncio.to_thread(self._open)
                    self._is_open = True
                for received in await asyncio.to_thread(self._receive):
                    self.record(received)
            except NotUpError:
                pause = NOT_UP_S
            except Exception:  # noqa: BLE001 - any failure means that it is unreachable
                self._is_open, pause = False, RETRY_S
            await asyncio.sleep(pause)

    def _open(self) -> None:
        raise NotImplementedError

    def _receive(self) -> list[dict[str, Any]]:
        raise NotImplementedError

    def record(self, received: dict[str, Any]) -> None:
        """Keep and publish what was received."""
        raise NotImplementedError
