"""The HTTP server: Skycore's endpoint, report and media files, and the control API."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from aiohttp import web

from local.simulator import modes
from local.simulator.control import Control, read_body
from local.simulator.guard import guard
from local.simulator.line import Line, break_connections
from local.simulator.reading import read
from local.simulator.simulator import Simulator
from local.simulator.watching import bad_request

if TYPE_CHECKING:
    from collections.abc import Callable

LARGEST_BODY = 64 * 1024 * 1024
LONGEST_LINE = 256 * 1024  # GET puts the text into the request line
ABOUT = """Skycore simulator

It stands in for Skycore's Messaging API on this computer.
Send requests to this address, to /index.php or to /API/wxml/1.3/index.php.
GET /_control/settings, /_control/messages, /_control/postbacks show what happens.
local/simulator/README.md tells the rest.
"""


class Server:
    """One simulator on one port; with `line` also on a second one that can be cut.

    What `extend` adds to the application comes before its own routes.
    """

    def __init__(
        self,
        simulator: Simulator,
        host: str = "127.0.0.1",
        port: int = 0,
        log: Path | None = None,
        line: Line | None = None,
    ) -> None:
        self.extend: Callable[[web.Application], None] = lambda _application: None
        self.line = line
        self.simulator = simulator
        self.host = host
        self.port = port
        self._log = log
        self._runner: web.AppRunner | None = None
        self._site: web.TCPSite | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """The address, with a slash at the end."""
        return f"http://{self.host}:{self.port}/"

    def application(self) -> web.Application:
        """All routes; any path that no other route takes and that ends right is the API."""
        app = web.Application(client_max_size=LARGEST_BODY, middlewares=[guard(self.host)])
        self.extend(app)
        app.add_routes(Control(self.simulator, self.go_down).routes())
        app.add_routes(
            [
                web.get("/_control/line", self.line_state),
                web.patch("/_control/line", self.change_line),
                web.get("/report/{name}.xml", self.report),
                web.get("/media/{path:.+}", self.media),
                web.route("*", "/redirected", self.redirected),
                web.route("*", "/{path:.*}", self.api),
            ]
        )
        return app

    async def start(self) -> None:
        """Listens. Raises OSError when the port is taken."""
        self._runner = web.AppRunner(
            self.application(),
            access_log=None,
            shutdown_timeout=0.2,
            handler_cancellation=True,  # a silent answer ends when its client goes
            max_line_size=LONGEST_LINE,
            max_field_size=LONGEST_LINE,
        )
        await self._runner.setup()
        await self._listen()
        if self.line is not None:
            await self.line.open(self._runner)
        if not self.port:
            self.port = self._runner.addresses[0][1]
        self.simulator.base_url = self.url

    async def stop(self) -> None:
        """Stops at once; postbacks still waiting are dropped."""
        for task in self._tasks:
            task.cancel()
        await self.simulator.postman.stop()
        if self._runner is not None:
            await self._runner.cleanup()
        if self.line is not None:
            self.line.close()

    async def _listen(self) -> None:
        if self._runner is not None:
            self._site = web.TCPSite(self._runner, self.host, self.port, reuse_address=True)
            await self._site.start()

    def go_down(self, seconds: float) -> None:
        """Closes the port, and open connections, shortly after this; opens it again later."""
        task = asyncio.get_running_loop().create_task(self._down(seconds))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _down(self, seconds: float) -> None:
        await asyncio.sleep(0.05)  # the answer to who asked for it goes out first
        if self._runner is None or self._site is None:
            return
        line_was_open = self.line is not None and self.line.is_open
        if self.line is not None:
            await self.line.cut(self._runner)
        await self._site.stop()
        break_connections(self._runner)
        await asyncio.sleep(seconds)
        await self._listen()
        if self.line is not None and line_was_open:
            await self.line.open(self._runner)

    async def line_state(self, _request: web.Request) -> web.Response:
        """The line's address and whether it is open; null where there is none."""
        if self.line is None:
            return web.json_response(None)
        return web.json_response({"url": self.line.url, "open": self.line.is_open})

    async def change_line(self, request: web.Request) -> web.Response:
        """Opens or cuts the line: {"open": false}."""
        if self.line is None or self._runner is None:
            raise bad_request("the simulator was started without --line-port")
        wanted = (await read_body(request)).get("open")
        if not isinstance(wanted, bool):
            raise bad_request("open must be true or false")
        await (self.line.open(self._runner) if wanted else self.line.cut(self._runner))
        return await self.line_state(request)

    async def api(self, request: web.Request) -> web.StreamResponse:
        """One request to Skycore."""
        if request.method not in ("GET", "POST"):
            return web.Response(status=405, headers={"Allow": "GET, POST"})
        if not (request.path.endswith(("/", "/index.php"))):
            return web.Response(status=404, text="Not Found")
        if request.method == "GET" and request.path == "/" and not request.query_string:
            return web.Response(text=ABOUT)
        simulator = self.simulator
        query = request.raw_path.partition("?")[2]
        content_type = request.headers.get("Content-Type", "")
        call = read(request.method, query, content_type, await request.read())
        entry = simulator.journal.request(request.method, request.path, call)
        unreadable = simulator.understand(call)
        simulator.journal.understood(entry, call)
        entry.mode = simulator.mode(call)
        reply = ""
        if modes.accepts(entry.mode):
            reply = simulator.answer(call, entry, unreadable)
        simulator.journal.replied(entry, reply)
        self._write_log(f"{entry.time} {call.action or call.asked} {entry.code or entry.mode}")
        return await modes.respond(request, reply, entry.mode, simulator.settings)

    def _write_log(self, line: str) -> None:
        if self._log is not None:
            with self._log.open("a", encoding="utf-8") as file:
                file.write(line + "\n")

    async def report(self, request: web.Request) -> web.Response:
        """A report file."""
        body = self.simulator.state.reports.get(request.match_info["name"])
        if body is None:
            return web.Response(status=404)
        return web.Response(text=body, content_type="text/xml")

    async def media(self, request: web.Request) -> web.Response:
        """A file of an inbound MMS, until removeMMSInboxMessage erases it."""
        found = self.simulator.state.media.get(request.match_info["path"])
        if found is None:
            return web.Response(status=404)
        return web.Response(body=found[1], headers={"Content-Type": found[0]})

    async def redirected(self, _request: web.Request) -> web.Response:
        """Where mode http302 points; a client that comes here followed it."""
        self.simulator.state.redirects_followed += 1
        return web.Response(text="<RESPONSE><STATUS>Success</STATUS></RESPONSE>")
