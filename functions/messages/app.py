"""The read API: messages, their timelines, postback events; and cancelling what is queued."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from skycore.handler import lambda_handler
from skycore.http import Answer, answer, serve
from skycore.queries import messages
from skycore.queries.messages import list_messages, list_unparsed
from skycore.settings import load

if TYPE_CHECKING:
    from skycore.http import Request


@dataclass(frozen=True)
class Settings:
    table_name: str
    stack_name: str
    default_region: str
    event_retention_days: int


@cache
def settings() -> Settings:
    return load(Settings)


@lambda_handler
def handler(event: dict[str, Any], _context: object) -> Answer:
    return serve(event, _route)


def _route(request: Request) -> Answer:
    known = settings()
    match request.method, request.route:
        case "GET", "/messages/{message_id}":
            return answer(200, messages.get_message(request.path["message_id"]))
        case "DELETE", "/messages/{message_id}":
            return answer(200, messages.cancel(request.path["message_id"]))
        case "GET", "/messages":
            page = list_messages(
                request.query, region=known.default_region, days=known.event_retention_days
            )
            return answer(200, page)
        case "GET", "/postbacks/unparsed":
            return answer(200, list_unparsed(request.query, days=known.event_retention_days))
        case "GET", "/postbacks/{item}":
            return answer(
                200,
                messages.get_event(request.path["item"], source=f"urn:skycore:{known.stack_name}"),
            )
    raise LookupError("a route that the template has and this function does not")
