"""The column "Your side" of the page: the send form, messages, events and queues of the stack."""

from __future__ import annotations

import asyncio
import json
import time
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import web

from local.page import media, queues
from local.page.forms import forms
from local.page.messages import Messages
from local.page.stack import NotUpError, Stack
from local.page.subscription import Subscription
from local.paths import ROOT
from skycore_simulator.json_http import (
    bad_request,
    error_body,
    not_found,
    query_number,
    read_object,
)
from skycore_simulator.page.extension import PageExtension
from skycore_simulator.page.rows import PAGE_SIZE

if TYPE_CHECKING:
    from collections.abc import Callable

    from skycore_simulator.page.extension import Publish

CALLS = {
    "POST": ("/messages", "/actions/"),
    "GET": ("/messages", "/postbacks/"),
    "DELETE": ("/messages/",),
}
REQUEST_HEADERS = ("Idempotency-Key", "Prefer")  # that the form may set
RESPONSE_HEADERS = ("retry-after", "idempotency-replayed")  # that the form shows


class StackColumn(PageExtension):
    """The column for the stack that `stack_file` describes, once that file exists."""

    title = "Skycore on AWS"
    files = Path(__file__).parent / "static"

    def __init__(self, stack_file: Path) -> None:
        self._stack = Stack(stack_file)
        self._publish: Publish = lambda _kind, _id, _value: None
        self.subscription = Subscription(
            self._stack, lambda entry: self._publish("events", entry["id"], entry)
        )
        self.messages = Messages(
            self._stack, lambda row: self._publish("stack_messages", row["id"], row)
        )

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of the column."""
        return [
            web.get("/_page/stack", self.stack),
            web.get("/_page/forms", self.forms),
            web.get("/_page/stack-messages", self.older_messages),
            web.get("/_page/events", self.events),
            web.get("/_page/media/{event_id}", self.media),
            web.get("/_page/media/{event_id}/{place:[0-9]+}", self.media_file),
            web.get("/_page/queues", self.queues),
            web.get("/_page/queues/{name}", self.dead_letters),
            web.post("/_page/call", self.call),
        ]

    def snapshot(self) -> dict[str, Any]:
        """Return the stack, its newest messages and its newest events."""
        return {
            "stack": self._describe_stack(),
            "stack_messages": self._newest_messages(None),
            "events": self._newest_events(None, ""),
        }

    async def page_opened(self) -> None:
        """Start to read messages and events when the first browser opens the page."""
        self.subscription.start()
        self.messages.start()

    async def run(self, publish: Publish) -> None:
        """Notify pages when the stack starts, changes or stops."""
        self._publish = publish
        known = self._stack.visible()
        while True:
            await asyncio.sleep(1)
            if (now := self._stack.visible()) != known:
                known = now
                publish("stack", 0, self._describe_stack())

    async def stop(self) -> None:
        """Stop reading, and remove the page's queue."""
        await self.messages.stop()
        await self.subscription.stop()

    def _describe_stack(self) -> dict[str, Any]:
        file = self._stack.file  # relative to the project, where README's commands run
        name = str(file.relative_to(ROOT) if file.is_relative_to(ROOT) else file)
        return {**self._stack.visible(), "file": name}

    async def stack(self, _request: web.Request) -> web.Response:
        """Return whether the stack is up, and what the browser may know of it."""
        return web.json_response(self._describe_stack())

    async def forms(self, request: web.Request) -> web.Response:
        """Return the actions and fields of the send form."""
        picture = f"http://{request.host}/_page/extension/parcel.png"
        return web.json_response(await asyncio.to_thread(forms, picture))

    async def events(self, request: web.Request) -> web.Response:
        """Return events that are older than `before` and contain the words `q`."""
        before = query_number(request, "before")
        return web.json_response(self._newest_events(before, request.query.get("q", "")))

    def _newest_events(self, before: int | None, words: str) -> list[dict[str, Any]]:
        wanted = words.casefold()
        found: list[dict[str, Any]] = []
        for entry in reversed(self.subscription.events.values()):
            if before is not None and entry["id"] >= before:
                continue
            if not wanted or wanted in json.dumps(entry["event"]).casefold():
                found.append(entry)
            if len(found) == PAGE_SIZE:
                break
        return found

    async def older_messages(self, request: web.Request) -> web.Response:
        """Return messages that are older than `before`."""
        return web.json_response(self._newest_messages(query_number(request, "before")))

    def _newest_messages(self, before: int | None) -> list[dict[str, Any]]:
        rows = reversed(self.messages.rows.values())
        older = (row for row in rows if before is None or row["id"] < before)
        return list(islice(older, PAGE_SIZE))

    async def media(self, request: web.Request) -> web.Response:
        """Return the kept files of an inbound MMS, or null until they are kept."""
        event_id = request.match_info["event_id"]
        return web.json_response(await self._ask(media.file_names, self._stack, event_id))

    async def media_file(self, request: web.Request) -> web.Response:
        """Return one of these files."""
        event_id, place = request.match_info["event_id"], int(request.match_info["place"])
        content, kind = await self._ask(media.read_file, self._stack, event_id, place)
        return web.Response(body=content, headers={"Content-Type": kind})

    async def queues(self, _request: web.Request) -> web.Response:
        """Return the depths of the queues and what is left of the limits."""
        depths = await self._ask(queues.depths, self._stack)
        allowance = await self._ask(queues.allowance, self._stack)
        return web.json_response({"queues": depths, "allowance": allowance})

    async def dead_letters(self, request: web.Request) -> web.Response:
        """Return messages of a dead-letter queue."""
        found = await self._ask(queues.peek, self._stack, request.match_info["name"])
        return web.json_response(found)

    async def call(self, request: web.Request) -> web.Response:
        """Call the product's API as a user's service does; the server signs, not the browser."""
        body = await read_object(request)
        method, path = str(body.get("method", "POST")), str(body.get("path", ""))
        if not path.startswith(CALLS.get(method, ("/no",))) or ".." in path:
            raise bad_request(f"the page cannot call {method} {path}")
        given = body.get("headers") or {}
        headers = {name: str(given[name]) for name in REQUEST_HEADERS if given.get(name)}
        content = body.get("body")
        content = content.encode() if isinstance(content, str) else content
        began = time.monotonic()
        answer = await self._ask(
            lambda: self._stack.client().request(method, path, content, headers)
        )
        return web.json_response(
            {
                "status": answer.status_code,
                "seconds": round(time.monotonic() - began, 3),
                "headers": {
                    name.lower(): value
                    for name, value in answer.headers.items()
                    if name.lower() in RESPONSE_HEADERS
                },
                "body": answer.text,
            }
        )

    async def _ask(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Return what a blocking function returns; turn its failures into JSON errors."""
        try:
            return await asyncio.to_thread(function, *arguments)
        except NotUpError as error:
            raise _error(web.HTTPServiceUnavailable, "the stack is coming up") from error
        except LookupError as error:
            raise not_found(str(error)) from error
        except Exception as error:
            reason = f"the stack does not answer ({type(error).__name__}); is it up?"
            raise _error(web.HTTPBadGateway, reason) from error


def _error(kind: type[web.HTTPError], reason: str) -> web.HTTPError:
    return kind(text=error_body(reason), content_type="application/json")
