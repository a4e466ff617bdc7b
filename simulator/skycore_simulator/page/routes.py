"""The page's routes: the page at /, its files and data under /_page/."""

from __future__ import annotations

import asyncio
import contextlib
import html
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import web

from skycore_simulator.json_http import bad_request, not_found, query_number, read_object
from skycore_simulator.page import pictures, rows
from skycore_simulator.page.feed import Feed
from skycore_simulator.settings import InvalidSettingError
from skycore_simulator.tables import table

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from skycore_simulator.page.extension import PageExtension
    from skycore_simulator.server import Server

STATIC = Path(__file__).parent / "static"
EXTENSION_URL = "/_page/extension"
TITLE = "Skycore simulator"
SETTINGS = (
    "mode",
    "faults",
    "slow_seconds",
    "outcome",
    "outcome_for_number",
    "duplicate_rate",
    "shuffle",
)
SAFE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; img-src 'self' http: https: data:; form-action 'none'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",  # the browser asks each time whether its copy is current
}


class Page:
    """The page of one simulator."""

    def __init__(self, server: Server, extension: PageExtension | None = None) -> None:
        self._server = server
        self._simulator = server.simulator
        self._extension = extension
        self._feed = Feed(server.simulator.journal)
        self._html = _render(extension)

    def add_to(self, app: web.Application) -> None:
        """Add the page to the simulator's application."""
        app.add_routes(
            [
                web.get("/", self.front),
                web.static("/_page/static", STATIC),
                web.get("/_page/start", self.start),
                web.get("/_page/feed", self.feed),
                web.get("/_page/settings", self.settings),
                web.patch("/_page/settings", self.change_settings),
                web.get("/_page/handsets", self.handsets),
                web.get("/_page/handsets/{number}", self.conversation),
                web.get("/_page/{kind:requests|postbacks}", self.older),
                web.get("/_page/{kind:requests|postbacks}/{id:[0-9]+}", self.entry),
                web.post("/_page/pictures", self.picture),
            ]
        )
        if self._extension is not None:
            app.add_routes([web.static(EXTENSION_URL, self._extension.files)])
            app.add_routes(self._extension.routes())
        app.on_response_prepare.append(_add_safe_headers)
        app.cleanup_ctx.append(self._running)

    async def _running(self, _app: web.Application) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(self._feed.forward_journal())]
        if self._extension is not None:
            tasks.append(asyncio.create_task(self._extension.run(self._feed.publish)))
        yield
        for task in tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        if self._extension is not None:
            await self._extension.stop()

    async def front(self, request: web.Request) -> web.StreamResponse:
        """Return the page; a request with a query is one to Skycore."""
        if request.query_string:
            return await self._server.api(request)
        return web.Response(text=self._html, content_type="text/html", headers=SAFE_HEADERS)

    async def start(self, _request: web.Request) -> web.Response:
        """Return everything that a page shows at first."""
        journal, api_port = self._simulator.journal, self._server.api_port
        snapshot: dict[str, Any] = {
            "run": journal.run,
            "urls": [self._server.url, *([api_port.url] if api_port else [])],
            "settings": self._settings(),
            "api_port_open": None if api_port is None else api_port.is_open,
            "outcomes": table("outcomes"),
            "modes": table("modes"),
            "handsets": rows.handsets(journal),
            "requests": rows.newest(reversed(journal.requests), None),
            "postbacks": rows.newest(reversed(journal.postbacks), None),
        }
        if self._extension is not None:
            await self._extension.page_opened()
            snapshot |= self._extension.snapshot()
        return web.json_response(snapshot)

    def _settings(self) -> dict[str, Any]:
        settings = self._simulator.settings.as_json()
        return {name: settings[name] for name in SETTINGS}

    async def settings(self, _request: web.Request) -> web.Response:
        """Return the settings that the page has controls for, none of them a secret."""
        return web.json_response(self._settings())

    async def change_settings(self, request: web.Request) -> web.Response:
        """Change some of them, all or none."""
        changes = await read_object(request)
        if others := changes.keys() - set(SETTINGS):
            raise bad_request(f"the page cannot change {', '.join(sorted(others))}")
        try:
            self._simulator.settings = self._simulator.settings.changed(changes)
        except InvalidSettingError as error:
            raise bad_request(str(error)) from error
        return web.json_response(self._settings())

    async def feed(self, request: web.Request) -> web.StreamResponse:
        """Stream changes."""
        if self._extension is not None:
            await self._extension.page_opened()
        return await self._feed.stream(request)

    async def handsets(self, request: web.Request) -> web.Response:
        """Return the phones whose number contains the digits `q`."""
        found = rows.handsets(self._simulator.journal, request.query.get("q", ""))
        return web.json_response(found)

    async def conversation(self, request: web.Request) -> web.Response:
        """Return the messages of one phone, newest first."""
        number = request.match_info["number"]
        before = query_number(request, "before")
        return web.json_response(rows.conversation(self._simulator.journal, number, before))

    async def older(self, request: web.Request) -> web.Response:
        """Return rows of one kind that are older than `before` and contain the words `q`."""
        entries = reversed(getattr(self._simulator.journal, request.match_info["kind"]))
        before = query_number(request, "before")
        return web.json_response(rows.newest(entries, before, request.query.get("q", "")))

    async def entry(self, request: web.Request) -> web.Response:
        """Return one request or postback, whole."""
        entries = getattr(self._simulator.journal, request.match_info["kind"])
        wanted = int(request.match_info["id"])
        found = next((each for each in reversed(entries) if each.id == wanted), None)
        if found is None:
            raise not_found("this entry is no longer kept")
        return web.json_response(rows.whole(found))

    async def picture(self, request: web.Request) -> web.Response:
        """Keep a picture for a reply and return its URL."""
        path = pictures.keep(self._simulator.state.media, await request.read())
        return web.json_response({"url": f"{self._simulator.api_url}media/{path}"})


def _render(extension: PageExtension | None) -> str:
    page = (STATIC / "index.html").read_text(encoding="utf-8")
    title, column, style, script = TITLE, "", "", ""
    if extension is not None:
        title = extension.title
        column = (extension.files / "column.html").read_text(encoding="utf-8")
        script = f"{EXTENSION_URL}/main.js"
        if (extension.files / "style.css").exists():
            style = f'<link rel="stylesheet" href="{EXTENSION_URL}/style.css">'
    page = page.replace("{{title}}", html.escape(title)).replace("{{script}}", script)
    return page.replace("{{style}}", style).replace("{{column}}", column)


async def _add_safe_headers(request: web.Request, response: web.StreamResponse) -> None:
    if request.path.startswith(("/_page/", "/media/")):
        for name, value in SAFE_HEADERS.items():
            response.headers.setdefault(name, value)
