"""The control routes that read: journals in pages, counts, and a stream of changes."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from aiohttp import web

from skycore_simulator.journal import Entry, Message, Postback
from skycore_simulator.json_http import query_number
from skycore_simulator.limits import WINDOWS, max_in_window
from skycore_simulator.simulator import Simulator
from skycore_simulator.tables import table

DEFAULT_LIMIT = 1000


class JournalRoutes:
    """The journals of one simulator."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    def routes(self) -> list[web.RouteDef]:
        """Return all routes."""
        return [
            web.get("/_control/requests", self.requests),
            web.get("/_control/messages", self.messages),
            web.get("/_control/postbacks", self.postbacks),
            web.get("/_control/counts", self.counts),
            web.get("/_control/events", self.events),
        ]

    async def requests(self, request: web.Request) -> web.Response:
        """Return requests."""
        return _page(request, "requests", list(self._simulator.journal.requests), asdict)

    async def messages(self, request: web.Request) -> web.Response:
        """Return messages in both directions."""
        kept = list(self._simulator.journal.messages)
        for name in ("to", "tracking_id", "direction"):
            if name in request.query:
                kept = [m for m in kept if getattr(m, name) == request.query[name]]
        return _page(request, "messages", kept, Message.as_json)

    async def postbacks(self, request: web.Request) -> web.Response:
        """Return postbacks with their attempts."""
        kept = list(self._simulator.journal.postbacks)
        for name in ("code", "tracking_id"):
            if name in request.query:
                kept = [p for p in kept if getattr(p, name) == request.query[name]]
        return _page(request, "postbacks", kept, Postback.as_json)

    async def counts(self, _request: web.Request) -> web.Response:
        """Return counts of calls and of accepted calls, with their maxima per window."""
        limits, journal = self._simulator.limits, self._simulator.journal
        effects = {name: facts["effect"] for name, facts in table("actions").items()}
        by_action = limits.accepted_by_action
        postbacks = list(journal.postbacks)
        found = {
            "requests": len(journal.requests),
            "calls": len(limits.calls),
            "accepted": len(limits.accepted),
            "accepted_sends": sum(n for a, n in by_action.items() if effects[a] == "send"),
            "accepted_by_action": dict(by_action),
            "calls_by_action": dict(limits.calls_by_action),
            "refusals": dict(limits.refusals),
            "most_calls_in": {name: max_in_window(limits.calls, s) for name, s in WINDOWS.items()},
            "most_accepted_in": {
                name: max_in_window(limits.accepted, s) for name, s in WINDOWS.items()
            },
            "messages": len(journal.messages),
            "postbacks": len(postbacks),
            "postbacks_delivered": sum(p.delivered for p in postbacks),
            "postbacks_given_up": sum(p.gave_up for p in postbacks),
            "postbacks_pending": self._simulator.postback_sender.pending,
            "redirects_followed": self._simulator.state.redirects_followed,
        }
        return web.json_response(found)

    async def events(self, request: web.Request) -> web.StreamResponse:
        """Stream changes: events request, message, postback (the entry as data) and reset."""
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        queue = self._simulator.journal.watch()
        try:
            while True:
                try:
                    kind, entry = await asyncio.wait_for(queue.get(), 15)
                    data = json.dumps(_as_json(entry) if entry else {})
                    await response.write(f"event: {kind}\ndata: {data}\n\n".encode())
                except TimeoutError:
                    await response.write(b": keep-alive\n\n")
        except ConnectionError:
            return response
        finally:
            self._simulator.journal.unwatch(queue)


def _page[T: Entry](
    request: web.Request, name: str, entries: list[T], shown: Callable[[T], dict[str, Any]]
) -> web.Response:
    """Return the newest `limit` entries, or the first ones after the id `after`, oldest first."""
    limit = query_number(request, "limit")
    limit = DEFAULT_LIMIT if limit is None else limit
    after = query_number(request, "after")
    after = -1 if after is None else after
    rest = [entry for entry in entries if entry.id > after]
    some = rest[:limit] if after >= 0 else rest[max(len(rest) - limit, 0) :]
    return web.json_response({name: [shown(entry) for entry in some], "total": len(entries)})


def _as_json(entry: Entry) -> dict[str, Any]:
    return entry.as_json() if isinstance(entry, Message | Postback) else asdict(entry)
