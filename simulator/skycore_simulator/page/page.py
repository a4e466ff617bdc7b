"""The page's routes: its files at /, and under /_page/ what its scripts ask for."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import web

from local.page import pictures, queues, rows
from local.page.feed import Feed
from local.page.forms import forms
from local.page.stack import NotUpError, Stack
from local.page.subscription import Subscription
from local.paths import ROOT
from local.simulator.catalogue import table
from local.simulator.control import read_body
from local.simulator.settings import BadSettingError
from local.simulator.watching import bad_request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from local.simulator.server import Server

STATIC = Path(__file__).parent / "static"
CALLS = {"POST": ("/messages", "/actions/"), "GET": ("/messages", "/postbacks/")}
CALLS["DELETE"] = ("/messages/",)
CALLER_MAY_SET = ("Idempotency-Key", "Prefer")
SETTINGS = ("mode", "weather", "slow_seconds", "outcome", "outcome_for_number")
PASSED_ON = ("retry-after", "idempotency-replayed", "location")
SAFE = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; img-src 'self' http: https: data:; form-action 'none'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",  # asked each time whether it is still the newest
}


class Page:
    """The page of one simulator and one stack."""

    def __init__(self, server: Server, stack_file: Path) -> None:
        self._server = server
        self._simulator = server.simulator
        self._stack = Stack(stack_file)
        self._feed = Feed(server.simulator.journal)
        self._subscription = Subscription(
            self._stack, lambda noted: self._feed.tell("events", noted["id"], noted)
        )

    def extend(self, app: web.Application) -> None:
        """Adds the page to the simulator's application."""
        app.add_routes(
            [
                web.get("/", self.front),
                web.static("/_page/static", STATIC),
                web.get("/_page/start", self.start),
                web.get("/_page/feed", self.feed),
                web.get("/_page/forms", self.forms),
                web.get("/_page/stack", self.stack),
                web.get("/_page/settings", self.settings),
                web.patch("/_page/settings", self.change_settings),
                web.get("/_page/handsets", self.handsets),
                web.get("/_page/handsets/{number}", self.conversation),
                web.get("/_page/{kind:requests|postbacks|events}", self.older),
                web.get("/_page/{kind:requests|postbacks}/{id:[0-9]+}", self.entry),
                web.get("/_page/queues", self.queues),
                web.get("/_page/queues/{name}", self.dead_letters),
                web.post("/_page/call", self.call),
                web.post("/_page/pictures", self.picture),
            ]
        )
        app.on_response_prepare.append(_add_safe_headers)
        app.cleanup_ctx.append(self._running)

    async def _running(self, _app: web.Application) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(self._feed.pump()), asyncio.create_task(self._watch_stack())]
        yield
        for task in tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self._subscription.stop()

    async def _watch_stack(self) -> None:
        """Tells pages when the stack comes, changes or goes."""
        known = self._stack.shown()
        while True:
            await asyncio.sleep(1)
            if (now := self._stack.shown()) != known:
                known = now
                self._feed.tell("stack", 0, self._stack_shown())

    async def front(self, request: web.Request) -> web.StreamResponse:
        """The page; a request with a query is one to Skycore."""
        if request.query_string:
            return await self._server.api(request)
        return web.FileResponse(STATIC / "index.html")

    def _stack_shown(self) -> dict[str, Any]:
        shown = self._stack.shown()
        if shown["up"]:
            line = self._server.line
            skycore = shown["parameters"].get("SkycoreUrl", "")
            own = (self._server.url, line.url if line else None)
            shown["simulator_is_used"] = skycore in own
        file = self._stack.file  # from the project's folder, where README's commands run
        shown["file"] = str(file.relative_to(ROOT) if file.is_relative_to(ROOT) else file)
        return shown

    async def stack(self, _request: web.Request) -> web.Response:
        """Whether the stack is up, and what of it may be known here."""
        return web.json_response(self._stack_shown())

    async def start(self, _request: web.Request) -> web.Response:
        """All that a page shows at first. Begins to read events."""
        self._subscription.start()
        journal, line = self._simulator.journal, self._server.line
        return web.json_response(
            {
                "run": journal.run,
                "stack": self._stack_shown(),
                "settings": self._settings_shown(),
                "line": None if line is None else line.is_open,
                "outcomes": table("outcomes"),
                "modes": table("modes"),
                "handsets": rows.handsets(journal),
                "requests": rows.newest(reversed(journal.requests), None),
                "postbacks": rows.newest(reversed(journal.postbacks), None),
                "events": self._events(None, ""),
            }
        )

    def _settings_shown(self) -> dict[str, Any]:
        settings = self._simulator.settings.shown()
        return {name: settings[name] for name in SETTINGS}

    async def settings(self, _request: web.Request) -> web.Response:
        """The settings that the page has controls for; the postback URL's token is in others."""
        return web.json_response(self._settings_shown())

    async def change_settings(self, request: web.Request) -> web.Response:
        """Changes some of them, all or none."""
        changes = await read_body(request)
        if others := changes.keys() - set(SETTINGS):
            raise bad_request(f"the page does not change {', '.join(sorted(others))}")
        try:
            self._simulator.settings = self._simulator.settings.changed(changes)
        except BadSettingError as error:
            raise bad_request(str(error)) from error
        return web.json_response(self._settings_shown())

    async def feed(self, request: web.Request) -> web.StreamResponse:
        """The stream of changes."""
        self._subscription.start()
        return await self._feed.stream(request)

    async def forms(self, _request: web.Request) -> web.Response:
        """The send form's actions and fields."""
        picture = f"{self._server.url}_page/static/parcel.png"
        return web.json_response(await asyncio.to_thread(forms, picture))

    async def handsets(self, request: web.Request) -> web.Response:
        """Phones whose number holds the digits `q`."""
        found = rows.handsets(self._simulator.journal, request.query.get("q", ""))
        return web.json_response(found)

    async def conversation(self, request: web.Request) -> web.Response:
        """The messages of one phone, newest first."""
        number = request.match_info["number"]
        found = rows.conversation(self._simulator.journal, number, _before(request))
        return web.json_response(found)

    async def older(self, request: web.Request) -> web.Response:
        """Rows of one kind: older than `before`, with the words `q`."""
        kind, words = request.match_info["kind"], request.query.get("q", "")
        before = _before(request)
        if kind == "events":
            return web.json_response(self._events(before, words))
        entries = reversed(getattr(self._simulator.journal, kind))
        return web.json_response(rows.newest(entries, before, words))

    def _events(self, before: int | None, words: str) -> list[dict[str, Any]]:
        wanted = words.casefold()
        found: list[dict[str, Any]] = []
        for noted in reversed(self._subscription.events.values()):
            if before is not None and noted["id"] >= before:
                continue
            if not wanted or wanted in json.dumps(noted["event"]).casefold():
                found.append(noted)
            if len(found) == rows.PAGE:
                break
        return found

    async def entry(self, request: web.Request) -> web.Response:
        """One request or postback, whole."""
        entries = getattr(self._simulator.journal, request.match_info["kind"])
        wanted = int(request.match_info["id"])
        found = next((each for each in reversed(entries) if each.id == wanted), None)
        if found is None:
            raise web.HTTPNotFound(text='{"error": "it is not kept any more"}')
        return web.json_response(rows.whole(found))

    async def queues(self, _request: web.Request) -> web.Response:
        """How deep the queues are and what limits leave."""
        depths = await self._asked(queues.depths, self._stack)
        left = await self._asked(queues.allowance, self._stack)
        return web.json_response({"queues": depths, "allowance": left})

    async def dead_letters(self, request: web.Request) -> web.Response:
        """What lies in a dead-letter queue."""
        found = await self._asked(queues.peek, self._stack, request.match_info["name"])
        return web.json_response(found)

    async def call(self, request: web.Request) -> web.Response:
        """Calls the product's API as the user's service does: signed here, not in the browser."""
        body = await read_body(request)
        method, path = str(body.get("method", "POST")), str(body.get("path", ""))
        if not path.startswith(CALLS.get(method, ("/no",))) or ".." in path:
            raise bad_request(f"the page does not call {method} {path}")
        given = body.get("headers") or {}
        headers = {name: str(given[name]) for name in CALLER_MAY_SET if given.get(name)}
        text = body.get("body")
        content = text.encode() if isinstance(text, str) else text
        began = time.monotonic()
        answer = await self._asked(
            lambda: self._stack.client().request(method, path, content, headers)
        )
        return web.json_response(
            {
                "status": answer.status_code,
                "seconds": round(time.monotonic() - began, 3),
                "headers": {k: v for k, v in answer.headers.items() if k.lower() in PASSED_ON},
                "body": answer.text,
            }
        )

    async def picture(self, request: web.Request) -> web.Response:
        """Takes a picture for a reply and tells the address at which it is served."""
        path = pictures.keep(self._simulator.state.media, await request.read())
        return web.json_response({"url": f"{self._simulator.base_url}media/{path}"})

    async def _asked(self, question: Callable[..., Any], *arguments: Any) -> Any:
        """What a blocking function answers; its failures become answers that say what to do."""
        try:
            return await asyncio.to_thread(question, *arguments)
        except NotUpError as error:
            raise _problem(web.HTTPServiceUnavailable, "the stack is coming up") from error
        except LookupError as error:
            raise _problem(web.HTTPNotFound, str(error)) from error
        except Exception as error:
            reason = f"the stack does not answer ({type(error).__name__}); is it up?"
            raise _problem(web.HTTPBadGateway, reason) from error


def _problem(kind: type[web.HTTPError], reason: str) -> web.HTTPError:
    return kind(text=json.dumps({"error": reason}), content_type="application/json")


def _before(request: web.Request) -> int | None:
    given = request.query.get("before")
    if given is not None and not given.isdigit():
        raise bad_request("before is a number")
    return int(given) if given else None


async def _add_safe_headers(request: web.Request, response: web.StreamResponse) -> None:
    if request.path.startswith(("/_page/", "/media/")) or isinstance(response, web.FileResponse):
        for name, value in SAFE.items():
            response.headers.setdefault(name, value)
