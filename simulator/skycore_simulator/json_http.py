"""JSON in requests to the control routes and the page, and errors as JSON."""

import json
from typing import Any

from aiohttp import web


async def read_object(request: web.Request) -> dict[str, Any]:
    """Return the JSON object in a request, {} for an empty body; raise HTTPBadRequest otherwise."""
    text = await request.text()
    try:
        body = json.loads(text) if text.strip() else {}
    except ValueError as error:
        raise bad_request("the body is not JSON") from error
    if not isinstance(body, dict):
        raise bad_request("the body is not a JSON object")
    return body


def query_number(request: web.Request, name: str) -> int | None:
    """Return a whole number from the query, or None; raise HTTPBadRequest for anything else."""
    value = request.query.get(name)
    if value is None:
        return None
    try:
        return int(value)
    except ValueError as error:
        raise bad_request(f"{name} must be a whole number") from error


def bad_request(reason: str) -> web.HTTPBadRequest:
    """Return a 400 with the reason."""
    return web.HTTPBadRequest(text=error_body(reason), content_type="application/json")


def not_found(reason: str) -> web.HTTPNotFound:
    """Return a 404 with the reason."""
    return web.HTTPNotFound(text=error_body(reason), content_type="application/json")


def error_body(reason: str) -> str:
    """Return {"error": reason}."""
    return json.dumps({"error": reason})
