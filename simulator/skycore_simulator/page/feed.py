"""Sends changes to open pages as server-sent events, at most ten times a second.

Each page gets the newest state of an entry once, however often it changed in between.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from aiohttp import web

from skycore_simulator.page.rows import row

if TYPE_CHECKING:
    from skycore_simulator.journal import Journal

PAUSE_SECONDS = 0.1
KEEP_ALIVE_SECONDS = 15.0  # at least one line this often, so that either side notices a lost peer
MAX_ROWS = 200  # of a kind in one event; the page gets the number of older ones


class _Subscriber:
    """One open page with the changes that it has not been sent: kind → id → entry."""

    def __init__(self) -> None:
        self.pending: dict[str, dict[Any, Any]] = {}
        self.has_changes = asyncio.Event()

    def add(self, kind: str, key: Any, entry: Any) -> None:
        self.pending.setdefault(kind, {})[key] = entry
        self.has_changes.set()

    def take(self) -> dict[str, Any]:
        pending, self.pending = self.pending, {}
        self.has_changes.clear()
        changes: dict[str, Any] = {}
        for kind, entries in pending.items():
            newest = [entries[key] for key in sorted(entries)[-MAX_ROWS:]]
            changes[kind] = [each if isinstance(each, dict) else row(each) for each in newest]
            if len(entries) > MAX_ROWS:
                changes.setdefault("skipped", {})[kind] = len(entries) - MAX_ROWS
        return changes


class Feed:
    """All open pages."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._subscribers: set[_Subscriber] = set()

    def publish(self, kind: str, key: Any, entry: Any) -> None:
        """Send a change to every open page: an entry of the journal, or JSON as it is."""
        for subscriber in self._subscribers:
            subscriber.add(kind, key, entry)

    async def forward_journal(self) -> None:
        """Publish the journal's changes until cancelled."""
        queue = self._journal.watch()
        try:
            while True:
                kind, entry = await queue.get()
                if entry is None:
                    self.publish(kind, 0, {})
                else:
                    self.publish(f"{kind}s", entry.id, entry)
        finally:
            self._journal.unwatch(queue)

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """Stream changes to one page until it is closed."""
        headers = {"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        subscriber = _Subscriber()
        self._subscribers.add(subscriber)
        try:
            await response.write(b"event: open\ndata: {}\n\n")
            while True:
                try:
                    await asyncio.wait_for(subscriber.has_changes.wait(), KEEP_ALIVE_SECONDS)
                except TimeoutError:
                    await response.write(b": keep-alive\n\n")
                    continue
                await asyncio.sleep(PAUSE_SECONDS)
                await response.write(f"data: {json.dumps(subscriber.take())}\n\n".encode())
        except ConnectionError:
            return response
        finally:
            self._subscribers.discard(subscriber)
