"""The HTTP server: Skycore's endpoint, report and media files, the control routes and the page."""

import asyncio
from pathlib import Path

from aiohttp import web

from skycore_simulator import modes
from skycore_simulator.api_port import ApiPort, abort_connections
from skycore_simulator.control_routes import ControlRoutes
from skycore_simulator.guard import add_safe_headers, guard
from skycore_simulator.json_http import bad_request, read_object
from skycore_simulator.page.extension import PageExtension
from skycore_simulator.page.routes import Page
from skycore_simulator.request_parser import parse_http
from skycore_simulator.simulator import Simulator

MAX_BODY_SIZE = 64 * 1024 * 1024
MAX_LINE_SIZE = 256 * 1024  # GET puts the text into the request line
ABOUT = """Skycore simulator

It simulates Skycore's Messaging API on this computer.
Send requests to this address, to /index.php or to /API/wxml/1.3/index.php.
GET /_control/settings, /_control/messages and /_control/postbacks show what happens.
"""


class Server:
    """One simulator on one port, with `api_port` also on a second one that can be closed.

    With `page` the root serves the page, to which `extension` may add a column.
    """

    def __init__(
        self,
        simulator: Simulator,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        log: Path | None = None,
        api_port: ApiPort | None = None,
        page: bool = False,
        extension: PageExtension | None = None,
    ) -> None:
        self.simulator = simulator
        self.host = host
        self.port = port
        self.api_port = api_port
        self._page = Page(self, extension) if page else None
        self._log = log
        self._runner: web.AppRunner | None = None
        self._site: web.TCPSite | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """The address, with a slash at the end."""
        return f"http://{self.host}:{self.port}/"

    def application(self) -> web.Application:
        """Return the application; paths that no other route matches are Skycore's API."""
        app = web.Application(client_max_size=MAX_BODY_SIZE, middlewares=[guard(self.host)])
        if self._page is not None:
            self._page.add_to(app)
        app.on_response_prepare.append(add_safe_headers)
        app.add_routes(ControlRoutes(self.simulator, self.go_down).routes())
        app.add_routes(
            [
                web.get("/_control/line", self.api_port_state),
                web.patch("/_control/line", self.change_api_port),
                web.get("/report/{name}.xml", self.report),
                web.get("/media/{path:.+}", self.media),
                web.route("*", "/redirected", self.redirected),
                web.route("*", "/{path:.*}", self.api),
            ]
        )
        return app

    async def start(self) -> None:
        """Listen. Raises OSError if the port is in use."""
        self._runner = web.AppRunner(
            self.application(),
            access_log=None,
            shutdown_timeout=0.2,
            handler_cancellation=True,  # a silent reply ends when its client disconnects
            max_line_size=MAX_LINE_SIZE,
            max_field_size=MAX_LINE_SIZE,
        )
        await self._runner.setup()
        await self._listen()
        if self.api_port is not None:
            await self.api_port.open(self._runner)
        if not self.port:
            self.port = self._runner.addresses[0][1]
        self.simulator.base_url = self.url
        self.simulator.api_url = self.url if self.api_port is None else self.api_port.url

    async def stop(self) -> None:
        """Stop at once and drop the postbacks that are still to be sent."""
        for task in self._tasks:
            task.cancel()
        await self.simulator.postback_sender.stop()
        if self._runner is not None:
            await self._runner.cleanup()
        if self.api_port is not None:
            self.api_port.release()

    async def _listen(self) -> None:
        if self._runner is not None:
            self._site = web.TCPSite(self._runner, self.host, self.port, reuse_address=True)
            await self._site.start()

    def go_down(self, seconds: float) -> None:
        """Close the ports and all connections soon after this call; open them again later."""
        task = asyncio.get_running_loop().create_task(self._down(seconds))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _down(self, seconds: float) -> None:
        await asyncio.sleep(0.05)  # lets the answer to the control request go out first
        if self._runner is None or self._site is None:
            return
        reopen = self.api_port is not None and self.api_port.is_open
        if self.api_port is not None:
            await self.api_port.close(self._runner)
        await self._site.stop()
        abort_connections(self._runner)
        await asyncio.sleep(seconds)
        await self._listen()
        if self.api_port is not None and reopen:
            await self.api_port.open(self._runner)

    async def api_port_state(self, _request: web.Request) -> web.Response:
        """Return the API port's address and whether it is open, or null if there is none."""
        if self.api_port is None:
            return web.json_response(None)
        return web.json_response({"url": self.api_port.url, "open": self.api_port.is_open})

    async def change_api_port(self, request: web.Request) -> web.Response:
        """Open or close the API port: {"open": false}."""
        if self.api_port is None or self._runner is None:
            raise bad_request("the simulator was started without --api-port")
        wanted = (await read_object(request)).get("open")
        if not isinstance(wanted, bool):
            raise bad_request("open must be true or false")
        if wanted:
            await self.api_port.open(self._runner)
        else:
            await self.api_port.close(self._runner)
        return await self.api_port_state(request)

    async def api(self, request: web.Request) -> web.StreamResponse:
        """Answer one request to Skycore."""
        if request.method not in ("GET", "POST"):
            return web.Response(status=405, headers={"Allow": "GET, POST"})
        if not (request.path.endswith(("/", "/index.php"))):
            return web.Response(status=404, text="Not Found")
        if request.method == "GET" and request.path == "/" and not request.query_string:
            return web.Response(text=ABOUT)
        simulator = self.simulator
        query = request.raw_path.partition("?")[2]
        content_type = request.headers.get("Content-Type", "")
        call = parse_http(request.method, query, content_type, await request.read())
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
            # An action of a client's must not begin a line, or control a terminal.
            safe = line.encode("unicode_escape").decode("ascii")
            with self._log.open("a", encoding="utf-8") as file:
                file.write(safe + "\n")

    async def report(self, request: web.Request) -> web.Response:
        """Return a report file."""
        body = self.simulator.state.reports.get(request.match_info["name"])
        if body is None:
            return web.Response(status=404)
        return web.Response(text=body, content_type="text/xml")

    async def media(self, request: web.Request) -> web.Response:
        """Return a file of an inbound MMS, until removeMMSInboxMessage erases it."""
        found = self.simulator.state.media.get(request.match_info["path"])
        if found is None:
            return web.Response(status=404)
        return web.Response(body=found[1], headers={"Content-Type": found[0]})

    async def redirected(self, _request: web.Request) -> web.Response:
        """Count a client that followed the redirect of mode http302."""
        self.simulator.state.redirects_followed += 1
        return web.Response(text="<RESPONSE><STATUS>Success</STATUS></RESPONSE>")
