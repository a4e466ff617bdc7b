"""Tells open pages what changed, as server-sent events, ten times a second at most.

Each page is told the newest state of an entry once, however often it changed in between.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from aiohttp import web

from local.page.rows import row

if TYPE_CHECKING:
    from local.simulator.journal import Journal

PAUSE_S = 0.1
STILL_HERE_S = 15.0  # a line at least so often, so that either side notices when the other is gone
MOST = 200  # entries of a kind in one note; of what is older the page is told the number


class _Listener:
    """One open page, with what it has not been told yet: kind → id → entry."""

    def __init__(self) -> None:
        self.pending: dict[str, dict[Any, Any]] = {}
        self.something = asyncio.Event()

    def add(self, kind: str, key: Any, entry: Any) -> None:
        self.pending.setdefault(kind, {})[key] = entry
        self.something.set()

    def take(self) -> dict[str, Any]:
        pending, self.pending = self.pending, {}
        self.something.clear()
        note: dict[str, Any] = {}
        for kind, entries in pending.items():
            newest = sorted(entries)[-MOST:]
            rows = [entries[key] for key in newest]
            note[kind] = [each if isinstance(each, dict) else row(each) for each in rows]
            if len(entries) > MOST:
                note.setdefault("skipped", {})[kind] = len(entries) - MOST
        return note


class Feed:
    """All open pages."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._listeners: set[_Listener] = set()

    def tell(self, kind: str, key: Any, entry: Any) -> None:
        """Notes a change for every open page: an entry of the journal, or JSON as it is."""
        for listener in self._listeners:
            listener.add(kind, key, entry)

    async def pump(self) -> None:
        """Passes on what the journal tells, for ever."""
        queue = self._journal.watch()
        try:
            while True:
                kind, entry = await queue.get()
                if entry is None:
                    self.tell(kind, 0, {})
                else:
                    self.tell(f"{kind}s", entry.id, entry)
        finally:
            self._journal.unwatch(queue)

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """The stream of one page, until it is closed."""
        headers = {"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        listener = _Listener()
        self._listeners.add(listener)
        try:
            await response.write(b"event: open\ndata: {}\n\n")
            while True:
                try:
                    await asyncio.wait_for(listener.something.wait(), STILL_HERE_S)
                except TimeoutError:
                    await response.write(b": still here\n\n")
                    continue
                await asyncio.sleep(PAUSE_S)
                await response.write(f"data: {json.dumps(listener.take())}\n\n".encode())
        except ConnectionError:
            return response
        finally:
            self._listeners.discard(listener)
