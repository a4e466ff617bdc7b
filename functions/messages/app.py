"""The read API: messages, their timelines, postback events; and cancellation of queued messages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from skycore.handler import Answer, lambda_handler
from skycore.http import RestApi, identity_of, json_response
from skycore.queries import messages
from skycore.queries.messages import list_messages, list_unparsed
from skycore.settings import load

if TYPE_CHECKING:
    from aws_lambda_powertools.event_handler import Response

api = RestApi()


@dataclass(frozen=True)
class Settings:
    table_name: str
    stack_name: str
    default_region: str
    event_retention_days: int
    media_bucket: str = ""  # the previous release's environment does not have it


@lambda_handler
def handler(event: dict[str, Any], context: object) -> Answer:
    return api.resolve(event, context)


@api.get("/messages/<message_id>")
def get_message(message_id: str) -> Response[str]:
    return json_response(messages.get_message(message_id))


@api.delete("/messages/<message_id>")
def cancel_message(message_id: str) -> Response[str]:
    return json_response(messages.cancel(message_id, identity_of(api.current_event)))


@api.get("/messages")
def get_messages() -> Response[str]:
    settings, query = load(Settings), api.current_event.multi_value_query_string_parameters
    page = list_messages(query, region=settings.default_region, days=settings.event_retention_days)
    return json_response(page)


@api.get("/postbacks/unparsed")
def get_unparsed() -> Response[str]:
    query = api.current_event.multi_value_query_string_parameters
    return json_response(list_unparsed(query, days=load(Settings).event_retention_days))


@api.get("/postbacks/<item>")
def get_event(item: str) -> Response[str]:
    settings = load(Settings)
    source = f"urn:skycore:{settings.stack_name}"
    return json_response(
        messages.get_event(item, source=source, media_bucket=settings.media_bucket)
    )
