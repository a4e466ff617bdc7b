"""The control routes under /_control/: JSON in and out, for tests and for the page.

GET   settings             all settings (secrets masked)
PATCH settings             changes some; null resets one to its default
POST  reset                forgets everything; {"empty": true}: without the seed data
GET   requests             each request, how it was read, the reply          ?limit= ?after=
GET   messages             accepted and inbound messages       ?limit= ?after= ?to= ?tracking_id=
GET   postbacks            each with its attempts              ?limit= ?after= ?code= ?tracking_id=
GET   counts               calls, acceptances, refusals, maximum per second, minute and day
GET   events               all of these as they happen (server-sent events)
POST  inbound              {from, to, text} an SMS; with files or subject an MMS
POST  postback             {repeat: id, times, after, as} or {body | body_base64, content_type, …}
POST  notify               {tracking_id, code, status, to} one more postback for a message
POST  report               a report file: {body}, or one of all messages
POST  down                 {seconds} refuses connections for so long
GET   line, PATCH line     the API port (--api-port); {"open": false} closes it
"""

import base64
from collections.abc import Callable
from typing import Any

from aiohttp import web

from skycore_simulator.actions.reports import store_report
from skycore_simulator.inbound import receive_mms, receive_sms
from skycore_simulator.journal import Postback
from skycore_simulator.journal_routes import JournalRoutes
from skycore_simulator.json_http import bad_request, not_found, read_object
from skycore_simulator.notifications import Notification, body_of
from skycore_simulator.sending import SPID
from skycore_simulator.settings import FORMATS, InvalidSettingError
from skycore_simulator.simulator import Simulator
from skycore_simulator.tables import table


class ControlRoutes:
    """The control routes of one simulator; go_down closes the port for so many seconds."""

    def __init__(self, simulator: Simulator, go_down: Callable[[float], None]) -> None:
        self._simulator = simulator
        self._go_down = go_down

    def routes(self) -> list[web.RouteDef]:
        """Return all routes, the journals' included."""
        return [
            *JournalRoutes(self._simulator).routes(),
            web.get("/_control/settings", self.settings),
            web.patch("/_control/settings", self.change),
            web.post("/_control/reset", self.reset),
            web.post("/_control/inbound", self.inbound),
            web.post("/_control/postback", self.postback),
            web.post("/_control/notify", self.notify),
            web.post("/_control/report", self.report),
            web.post("/_control/down", self.down),
        ]

    async def settings(self, _request: web.Request) -> web.Response:
        """Return all settings."""
        return web.json_response(self._simulator.settings.as_json())

    async def change(self, request: web.Request) -> web.Response:
        """Change some settings, all or none."""
        try:
            changed = self._simulator.settings.changed(await read_object(request))
        except InvalidSettingError as error:
            raise bad_request(str(error)) from error
        self._simulator.settings = changed
        return web.json_response(changed.as_json())

    async def reset(self, request: web.Request) -> web.Response:
        """Start again, keeping only the settings."""
        empty = bool((await read_object(request)).get("empty"))
        await self._simulator.postback_sender.stop()
        self._simulator.reset(seeded=not empty)
        return web.json_response({})

    async def inbound(self, request: web.Request) -> web.Response:
        """Receive a message from a handset."""
        body = await read_object(request)
        sender, to = _text(body, "from"), _text(body, "to")
        text, subject = str(body.get("text") or ""), str(body.get("subject") or "")
        files = body.get("files") or []
        if not isinstance(files, list) or not all(isinstance(name, str) for name in files):
            raise bad_request("files must be a list of file names or URLs")
        if files or subject:
            keyword = str(body.get("keyword") or "")
            message = receive_mms(
                self._simulator, sender, to,
                files=files, text=text, subject=subject, keyword=keyword,
            )  # fmt: skip
        else:
            message = receive_sms(self._simulator, sender, to, text)
        return web.json_response(message.as_json())

    async def postback(self, request: web.Request) -> web.Response:
        """Send any body to the postback URL, or an earlier postback again."""
        body = await read_object(request)
        times = body.get("times", 1)
        if not isinstance(times, int) or not 1 <= times <= 10_000:
            raise bad_request("times must be between 1 and 10000")
        after = body.get("after", 0)
        if not isinstance(after, int | float) or not 0 <= after <= 3600:
            raise bad_request("after must be between 0 and 3600 seconds")
        if not self._simulator.settings.postback_url:
            raise bad_request("set postback_url first")
        notification = None
        if "repeat" in body:
            kept = self._simulator.journal.postbacks
            found = next((p for p in kept if p.id == body["repeat"]), None)
            if found is None:
                raise not_found("no postback has this id")
            content, kind = _as(found, body.get("as"))
            code, tracking_id = found.code, found.tracking_id
            notification = found.notification
        else:
            content, code, tracking_id = _content(body), "", ""
            kind = str(body.get("content_type") or "text/xml; charset=utf-8")
        post = self._simulator.postback_sender.post
        made = [
            post(content, kind, code=code, tracking_id=tracking_id, after=float(after))
            for _ in range(times)
        ]
        for each in made:
            each.notification = notification  # a copy can be repeated in other forms too
        return web.json_response({"ids": [each.id for each in made]})

    async def notify(self, request: web.Request) -> web.Response:
        """Send one more postback for a message, as its carrier might cause it."""
        body = await read_object(request)
        code = _text(body, "code")
        to = _text(body, "to") if "to" in body else None
        message = self._simulator.journal.message_with(_text(body, "tracking_id"), to)
        if message is None or message.kind not in ("sms", "mms"):
            raise not_found("no message has this tracking id")
        fits = ("sms_mt",) if message.kind == "sms" else ("mms_mt", "mms_fallback", "ddm")
        shapes = table("postback_shapes")
        shape = next((name for name in fits if code in shapes[name]["codes"]), None)
        if shape is None:
            raise bad_request(f"an {message.kind.upper()} has no postback {code}")
        usual = {"N": "Message Sent/Delivered", "E": "Message Sent/Failed"}
        facts = {
            "FROM": message.sender,
            "TO": message.to,
            "TRACKINGID": message.tracking_id,
            "SPID": SPID,
            "MMSID": message.mms_id or None,
            "SENTAS": "SMS" if shape == "mms_fallback" else "MMS",
            "STATUS": str(body.get("status") or usual.get(code[0], "Message Sent")),
        }
        self._simulator.notify(Notification(shape, code, facts, message))
        return web.json_response(message.as_json())

    async def report(self, request: web.Request) -> web.Response:
        """Store a report file: the given body, or a report of all messages."""
        body = (await read_object(request)).get("body")
        sent = [m for m in self._simulator.journal.messages if m.direction == "out"]
        text = body if isinstance(body, str) else self._simulator.report(sent)
        return web.json_response({"url": store_report(self._simulator, text)})

    async def down(self, request: web.Request) -> web.Response:
        """Refuse connections for some seconds."""
        seconds = (await read_object(request)).get("seconds")
        if not isinstance(seconds, int | float) or not 0 < seconds <= 3600:
            raise bad_request("seconds must be above 0 and at most 3600")
        self._go_down(float(seconds))
        return web.json_response({})


def _as(postback: Postback, form: Any) -> tuple[bytes, str]:
    """Return the body and content type of a postback for its repetition."""
    if form is None:
        return postback.body, postback.content_type
    if form == "malformed":
        return postback.body[: len(postback.body) * 2 // 3], postback.content_type
    if form not in FORMATS:
        raise bad_request(f"as must be malformed, {' or '.join(FORMATS)}")
    if postback.notification is None:
        raise bad_request("this postback was sent as a given body and has no other form")
    return body_of(postback.notification, form)


def _content(body: dict[str, Any]) -> bytes:
    if isinstance(body.get("body_base64"), str):
        try:
            return base64.b64decode(body["body_base64"], validate=True)
        except ValueError as error:
            raise bad_request("body_base64 is not base64") from error
    return _text(body, "body").encode("utf-8", "surrogateescape")


def _text(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str):
        raise bad_request(f"{name} must be text")
    return value
