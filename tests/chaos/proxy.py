"""A proxy between the functions and the services of AWS that makes their calls fail.

It passes a request on as it came, so that its signature stays valid and the function's role is
asked. Only where a part of a batch is refused it signs what is left, as the administrator.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import aiohttp
from aiohttp import web
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from yarl import URL

from tests.chaos import batch_calls
from tests.chaos.faults import SILENCE_SECONDS, SLOW_SECONDS, THROTTLES, Faults

if TYPE_CHECKING:
    import random

    from botocore.credentials import Credentials

    from tests.chaos.faults import Kind

DEATH = {"X-Die": "1"}
_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"}
_AT_ONCE = struct.pack("ii", 1, 0)  # SO_LINGER: closing resets the connection


@dataclass(slots=True)
class Call:
    """One request of a function: which service and operation, and which one of these it is."""

    service: str
    operation: str
    number: int
    body: bytes


@dataclass(slots=True)
class Proxy:
    """Listens on a free port of this machine, in a thread of its own, until it is stopped."""

    endpoint: str
    region: str
    admin: Credentials
    faults: Faults
    calls: Counter[str] = field(default_factory=Counter)  # by operation
    injected: Counter[tuple[str, Kind]] = field(default_factory=Counter)
    url: str = ""
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    _thread: threading.Thread | None = None
    _http: aiohttp.ClientSession | None = None
    _runner: web.AppRunner | None = None

    def start(self) -> None:
        """Begins to listen; `url` says where."""
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)

    def stop(self) -> None:
        """Ends all calls and the thread."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(20)
        self._loop.call_soon_threadsafe(self._loop.stop)
        if self._thread is not None:
            self._thread.join(10)
        self._loop.close()

    async def _listen(self) -> None:
        self._http = aiohttp.ClientSession(
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(60),
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        app = web.Application(client_max_size=20_000_000)
        app.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=5)
        await self._runner.setup()
        listener = socket.create_server(("127.0.0.1", 0))
        await web.SockSite(self._runner, listener).start()
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"

    async def _close(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
        if self._http is not None:
            await self._http.close()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        try:
            body = await request.read()
        except ConnectionError:  # the function was killed, or its time was up
            return web.Response()
        service, operation = _names(request, body)
        call = Call(service, operation, self.calls[operation], body)
        self.calls[operation] += 1
        kind = self.faults.of(operation, call.number)
        if kind == "partial" and not batch_calls.can_be_cut(call.operation, body):
            kind = None
        if kind is not None:
            self.injected[operation, kind] += 1
        return await self._answer(kind, call, request)

    async def _answer(
        self, kind: Kind | None, call: Call, request: web.Request
    ) -> web.StreamResponse:
        chance = self.faults.chance(call.operation, call.number)
        refused = _undone(kind, call, request, chance)
        if refused is not None:
            return refused
        if kind == "partial":
            return await self._in_part(call, request)
        if kind == "twice":
            await self._pass_on(request, call.body)
        answer = await self._pass_on(request, call.body)
        if kind == "slow":
            await asyncio.sleep(chance.uniform(*SLOW_SECONDS))
        elif kind == "silence":
            await asyncio.sleep(SILENCE_SECONDS)
        elif kind == "die_after":
            answer.headers.update(DEATH)
        return _reset(request) if kind in {"silence", "reset_after"} else answer

    async def _pass_on(
        self, request: web.Request, body: bytes, headers: dict[str, str] | None = None
    ) -> web.Response:
        assert self._http is not None
        async with self._http.request(
            request.method,
            URL(self.endpoint + request.raw_path, encoded=True),
            headers=headers or {k: v for k, v in request.headers.items() if k.lower() not in _HOP},
            data=body,
        ) as answer:
            kept = {k: v for k, v in answer.headers.items() if k.lower() not in _HOP}
            return web.Response(status=answer.status, body=await answer.read(), headers=kept)

    async def _in_part(self, call: Call, request: web.Request) -> web.StreamResponse:
        taken, refused = batch_calls.cut(call.operation, call.body)
        headers = self._signed(request, call.service, taken)
        answer = await self._pass_on(request, taken, headers)
        if answer.status == 200:
            assert isinstance(answer.body, bytes)
            answer.body = batch_calls.complete(call.operation, answer.body, call.body, refused)
        return answer

    def _signed(self, request: web.Request, service: str, body: bytes) -> dict[str, str]:
        names = ("X-Amz-Target", "Content-Type")
        headers = {name: request.headers[name] for name in names if name in request.headers}
        ready = AWSRequest("POST", self.endpoint + request.raw_path, data=body, headers=headers)
        SigV4Auth(self.admin, service, self.region).add_auth(ready)
        return dict(ready.headers.items())

    def table(self) -> str:
        """How often what was called, and what befell it."""
        kinds = sorted({kind for _, kind in self.injected})
        lines = [f"{'':18}{'calls':>7}{'faults':>8}  " + "".join(f"{k:>13}" for k in kinds)]
        for operation, calls in sorted(self.calls.items()):
            by_kind = [self.injected[operation, kind] for kind in kinds]
            share = f"{sum(by_kind) / calls:.1%}"
            lines.append(
                f"{operation:18}{calls:>7}{share:>8}  " + "".join(f"{n or '':>13}" for n in by_kind)
            )
        return "\n".join(lines)


def _names(request: web.Request, body: bytes) -> tuple[str, str]:
    """The service and the operation of a call: a header has it, or for SNS the form."""
    target = request.headers.get("X-Amz-Target", "")
    if not target:
        return "sns", parse_qs(body.decode())["Action"][0]
    service, _, operation = target.partition(".")
    return {"DynamoDB_20120810": "dynamodb", "AmazonSQS": "sqs"}.get(service, service), operation


def _undone(
    kind: Kind | None, call: Call, request: web.Request, chance: random.Random
) -> web.StreamResponse | None:
    """The answer to a call that does not reach its service; None if it does."""
    match kind:
        case "error":
            return _refusal(call, 500, "InternalServerError")
        case "unavailable":
            return _refusal(call, 503, "ServiceUnavailable")
        case "throttle":
            return _refusal(call, *chance.choice(THROTTLES[call.service]))
        case "die_before":
            return web.Response(status=500, headers=DEATH)
        case "reset_before":
            return _reset(request)
    return None


def _refusal(call: Call, status: int, code: str) -> web.Response:
    """An error as the service words it."""
    if call.service == "sns":
        text = f"<ErrorResponse><Error><Code>{code}</Code></Error></ErrorResponse>"
        return web.Response(status=status, text=text, content_type="text/xml")
    told: dict[str, Any] = {"__type": code, "message": "a fault of the test"}
    kind = "application/x-amz-json-1.0"
    return web.Response(
        status=status, body=json.dumps(told).encode(), headers={"Content-Type": kind}
    )


def _reset(request: web.Request) -> web.StreamResponse:
    """Breaks the connection without an answer."""
    transport = request.transport
    if transport is not None:
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
        transport.abort()
    return web.Response()
