"""Protect the simulator from other web sites that are open in the same browser.

Such a site can make the browser post to 127.0.0.1, and can give 127.0.0.1 a name of its own (DNS
rebinding). Programs send neither Origin nor Sec-Fetch-Site and are let through; they may reach
Skycore's API under any name.
"""

import json
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

GUARDED = ("/_control/", "/_page/")
READING = ("GET", "HEAD", "OPTIONS")
LOCAL_NAMES = ("127.0.0.1", "localhost", "::1")
# Replies are labelled text/html and may hold text from a request: a browser must not run it.
SANDBOX = {
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "X-Content-Type-Options": "nosniff",
}


def guard(own_host: str) -> Middleware:
    """Return a middleware that answers 403 to other sites; `own_host` is the server's address."""
    names = {*LOCAL_NAMES, own_host}

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        guarded = request.path.startswith(GUARDED)
        named = urlsplit(f"//{request.host}").hostname in names
        if not named and (guarded or "Origin" in request.headers):
            raise _forbidden("use 127.0.0.1 or localhost as the host name")
        # Skycore accepts requests by GET, with the action in the query.
        reading = request.method in READING and (guarded or not request.query_string)
        if not reading and not _is_own_page(request):
            raise _forbidden("requests from another web site are refused")
        return await handler(request)

    return check


async def add_safe_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Stop browsers from running anything in a response that does not set its own policy."""
    if not request.path.startswith("/_control/"):
        for name, value in SANDBOX.items():
            response.headers.setdefault(name, value)


def _is_own_page(request: web.Request) -> bool:
    """Return whether a program or a page of this address sent the request."""
    origin = request.headers.get("Origin")
    site = request.headers.get("Sec-Fetch-Site", "none")
    return origin in (None, f"http://{request.host}") and site in ("same-origin", "none")


def _forbidden(reason: str) -> web.HTTPForbidden:
    return web.HTTPForbidden(text=json.dumps({"error": reason}), content_type="application/json")
