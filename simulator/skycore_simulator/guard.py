"""Keeps other web sites, open in the same browser, away from all that the simulator serves.

Such a site can make the browser post to 127.0.0.1, and can give 127.0.0.1 a name of its own (DNS
rebinding). Programs send neither Origin nor Sec-Fetch-Site and pass; Skycore's API may have any
name for them.
"""

import json
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from aiohttp import web

GUARDED = ("/_control/", "/_page/")
READING = ("GET", "HEAD", "OPTIONS")
LOCAL_NAMES = ("127.0.0.1", "localhost", "::1")

type Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def guard(own_host: str) -> Callable[[web.Request, Handler], Awaitable[web.StreamResponse]]:
    """A middleware that answers 403 to what another site asks for; `own_host` is listened on."""
    names = {*LOCAL_NAMES, own_host}

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        guarded = request.path.startswith(GUARDED)
        named = urlsplit(f"//{request.host}").hostname in names
        if not named and (guarded or "Origin" in request.headers):
            raise _forbidden("this address is for 127.0.0.1 and localhost only")
        # Skycore takes requests by GET too: what they ask for is in the query.
        reading = request.method in READING and (guarded or not request.query_string)
        if not reading and not _from_here(request):
            raise _forbidden("another web site may not change anything here")
        return await handler(request)

    return check


def _from_here(request: web.Request) -> bool:
    """Whether a program sent it, or a page of this very address."""
    origin = request.headers.get("Origin")
    site = request.headers.get("Sec-Fetch-Site", "none")
    return origin in (None, f"http://{request.host}") and site in ("same-origin", "none")


def _forbidden(reason: str) -> web.HTTPForbidden:
    return web.HTTPForbidden(text=json.dumps({"error": reason}), content_type="application/json")
