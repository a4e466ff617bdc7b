"""The read API: messages, their timelines, postback events; and cancelling what is queued."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from skycore.flows import read
from skycore.settings import load
from skycore.web.answers import Answer, answer, serve

if TYPE_CHECKING:
    from skycore.web.request import Request


@dataclass(frozen=True)
class Settings:
    table_name: str
    stack_name: str
    default_region: str


@cache
def settings() -> Settings:
    return load(Settings)


def handler(event: dict[str, Any], _context: object) -> Answer:
    return serve(event, _route)


def _route(request: Request) -> Answer:
    source = f"urn:skycore:{settings().stack_name}"
    match request.method, request.route:
        case "GET", "/messages/{message_id}":
            return answer(200, read.get_message(request.path["message_id"]))
        case "DELETE", "/messages/{message_id}":
            return answer(200, read.cancel(request.path["message_id"]))
        case "GET", "/postbacks/unparsed":
            return answer(200, read.unparsed(source=source, limit=50, cursor=None))
        case "GET", "/postbacks/{item}":
            return answer(200, read.get_event(request.path["item"], source=source))
    raise LookupError("a route that the template has and this function does not")
