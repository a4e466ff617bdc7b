"""How a reply reaches the client, if it does: the rows of data/modes.json."""

import asyncio
import socket
import struct
from collections.abc import Callable

from aiohttp import web

from skycore_simulator.settings import Settings
from skycore_simulator.tables import table

SILENCE = 3600.0  # seconds; longer than any client waits
_BOMB = "".join(
    f'<!ENTITY e{n} "{f"&e{n - 1};" * 10 if n else "spam"}">' for n in range(7)
)  # a million times "spam" when expanded


def accepts(mode: str) -> bool:
    """Return whether a request in this mode is processed."""
    return mode == "normal" or bool(table("modes")[mode]["accepts"])


_ALTERED: dict[str, Callable[[str], str]] = {
    "truncated": lambda reply: reply[: len(reply) // 2],
    "garbage": lambda _: "\x00\x01PK\x03\x04 not what you asked for \x7f",
    "empty": lambda _: "",
    "wrong_root": lambda _: "<?xml version='1.0'?>\n<HTML><STATUS>Success</STATUS></HTML>\n",
    "huge": lambda reply: reply.replace(
        "</RESPONSE>", f"<STATUSDETAILS>{'x' * 10_000_000}</STATUSDETAILS></RESPONSE>"
    ),
    "no_status": lambda _: "<?xml version='1.0'?>\n<RESPONSE>\n</RESPONSE>\n",
    "doctype": lambda reply: reply.replace(
        "<RESPONSE>", f"<!DOCTYPE RESPONSE [{_BOMB}]><RESPONSE><STATUSDETAILS>&e6;</STATUSDETAILS>"
    ),
    "bad_bytes": lambda reply: reply.replace(
        "</RESPONSE>", "<STATUSDETAILS>caf\udce9</STATUSDETAILS></RESPONSE>"
    ),
    "loose_ampersand": lambda reply: reply.replace(
        "</RESPONSE>", "<STATUSDETAILS>Fish & chips</STATUSDETAILS></RESPONSE>"
    ),
    "failure_without_status": lambda _: (
        "<RESPONSE><ERRORCODE>E503</ERRORCODE><ERRORINFO>Internal error</ERRORINFO></RESPONSE>"
    ),
    "unknown_code": lambda _: (
        "<RESPONSE><STATUS>Failure</STATUS><ERRORCODE>E066</ERRORCODE>"
        "<ERRORINFO>Something new</ERRORINFO></RESPONSE>"
    ),
}


async def respond(
    request: web.Request, reply: str, mode: str, settings: Settings
) -> web.StreamResponse:
    """Return the HTTP response in this mode. Skycore itself always answers 200."""
    if mode in ("reset_before", "reset_after"):
        return _reset(request)
    if mode == "slow":
        await asyncio.sleep(settings.slow_seconds)
    if mode == "silent":
        await asyncio.sleep(SILENCE)
    if mode == "http500":
        page = "<html><body><h1>Internal Server Error</h1></body></html>"
        return web.Response(status=500, text=page, content_type="text/html")
    if mode == "http503":
        return web.Response(status=503)
    if mode == "http302":
        return web.Response(status=302, headers={"Location": "/redirected"})
    altered = _ALTERED.get(mode, str)(reply)
    body = altered.encode("utf-8", "surrogateescape")
    if mode == "half":
        return await _half(request, body, settings.reply_content_type)
    if mode == "trickle":
        return await _trickle(request, body, settings)
    return web.Response(body=body, headers={"Content-Type": settings.reply_content_type})


def _reset(request: web.Request) -> web.StreamResponse:
    transport = request.transport
    if transport is not None:
        reset_on_close = struct.pack("ii", 1, 0)  # closing then sends RST, not FIN
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset_on_close)
        transport.abort()
    return web.Response()


async def _start_response(
    request: web.Request, length: int, content_type: str
) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": content_type})
    response.content_length = length
    response.force_close()
    await response.prepare(request)
    return response


async def _half(request: web.Request, body: bytes, content_type: str) -> web.StreamResponse:
    response = await _start_response(request, len(body), content_type)
    await response.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return response


async def _trickle(request: web.Request, body: bytes, settings: Settings) -> web.StreamResponse:
    response = await _start_response(request, len(body), settings.reply_content_type)
    for place in range(len(body)):
        await response.write(body[place : place + 1])
        await asyncio.sleep(settings.trickle_seconds)
    return response
