"""The report of getSendingStatus: what became of each message in a window.

The file looks like XML and is not: some tags are never closed, some close themselves and are
closed again, ampersands stand bare. It is read tag by tag, without a tree and without entities;
what is not understood is skipped. ``docs/report.md`` says what is certain about it.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING, Self

from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from skycore.client.errors import FieldError, InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from skycore.client.reply import Reply

# possessive, so that no hostile file makes it slow; quoted values may hold > but not <
_TAG = re.compile(
    r"<(/?)([A-Za-z_][\w.-]*+)((?:\"[^\"<]*+\"|'[^'<]*+'|[^<>\"'])*+|[^<>]*+)>",
)
_ATTRIBUTE = re.compile(
    r"(?<![\w:.-])([A-Za-z_][\w:.-]*+)\s*+=\s*+(?:\"([^\"]*+)\"|'([^']*+)')",
)
_ENTITY = re.compile(r"&(?:(amp|lt|gt|quot|apos)|#(\d{1,7})|#x([0-9a-fA-F]{1,6}));")
_ENTITIES = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}
_SECTIONS = {
    "BATCH": "batch",
    "AUTORESPONDER": "autoresponder",
    "SUB": "subscription",
    "SENDING_LIST": "single",
}
_ITEMS = {"TEXT": "sms", "CONTENT": "mms"}
_BY_GATEWAY = {
    "0": "queued",
    "9": "sent",
    "10": "sent",
    "11": "opened",
    "20": "delivered",
    "30": "expired",
    "35": "rejected",
    "80": "ddm_sent",
    "81": "ddm_delivered",
}
_BY_STEP = {
    "INQUE": "queued",
    "INIT": "queued",
    "ACK": "sent",
    "ERROR": "failed",
    "DLR": "delivered",
    "EXPIRED": "expired",
    "REJECTED": "rejected",
    "OPENED": "opened",
}
_RANKS = {
    state: rank
    for rank, state in enumerate(
        (
            *("ddm_sent", "ddm_failed", "ddm_delivered", "queued", "sent"),
            *("expired", "rejected", "failed", "delivered", "opened"),
        )
    )
}
# Device discovery shares these gateway numbers and steps with the message itself.
_OF_DISCOVERY = {"expired": "ddm_failed", "rejected": "ddm_failed", "failed": "ddm_failed"}
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Step:
    """One status of a message; ``time`` as printed: it ends in Z but may be another zone's.

    ``info`` is Skycore's explanation of an error.
    """

    state: str
    gateway: str | None
    network: str | None
    time: str | None
    info: str | None = None


@dataclass(frozen=True, slots=True)
class ReportRow:
    """One message of the report.

    ``kind`` is ``sms`` or ``mms``; ``section`` is ``batch``, ``autoresponder``, ``subscription`` or
    ``single``. ``fallback``: the MMS was sent as an SMS with a link. ``history_id`` is Skycore's
    number of this message, which is not its tracking id; ``group_id`` is the one of its batch (the
    scheduled sending of a campaign) or autoresponder. ``text`` is the text of an SMS.

    ``state`` is the one of its steps that says most: ``queued``, ``sent``, ``expired``,
    ``rejected``, ``failed``, ``delivered``, ``opened``, or of a device discovery ``ddm_sent``,
    ``ddm_failed`` and ``ddm_delivered``; None when there is no step. ``attributes`` holds all
    attributes, those of the group around it included, under lower-case names without ``-`` and
    ``_``; the group's id is under ``groupid``.
    """

    kind: str
    section: str
    history_id: str | None
    group_id: str | None
    tracking_id: str | None
    to: str | None = field(repr=False)
    sender: str | None = field(repr=False)
    mms_id: str | None
    text: str | None = field(repr=False)
    fallback: bool
    state: str | None
    gateway: str | None
    network: str | None
    time: str | None
    steps: tuple[Step, ...]
    attributes: dict[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Report:
    """``complete`` is false for a file that was cut off; its rows are true as far as they go."""

    rows: tuple[ReportRow, ...]
    complete: bool


def report_link(reply: Reply) -> str | None:
    """Return the link in a reply to getSendingStatus; its element's name is not documented.

    It is a whole URL, or a path at the endpoint's host.
    """
    values = [value.strip() for value in reply.fields.values() if isinstance(value, str)]
    whole = (value for value in values if value.lower().startswith(("http:", "https:")))
    return next(whole, None) or next((value for value in values if value.startswith("/")), None)


def report_url(link: str, base_url: str) -> str:
    """Return the URL to fetch for a link, which must lead to the host of ``base_url``.

    Its port must be the one of ``base_url``, or that of HTTPS. urllib3 parses the link, and what
    it understood is what requests fetches, so that no spelling of a link names one host to this
    check and another to the connection. Raises ``InvalidRequest``.
    """
    try:
        base = parse_url(base_url)
        is_path = link.startswith("/") and not link.startswith("//")
        url = parse_url(f"{base.scheme}://{base.netloc}{link}" if is_path else link)
    except (LocationParseError, ValueError):
        raise InvalidRequest([FieldError("link", "must be a URL")]) from None
    origin = (url.scheme, url.port or _PORTS.get(url.scheme or ""))
    allowed = {(base.scheme, base.port or _PORTS.get(base.scheme or "")), ("https", 443)}
    if url.host is None or url.host != base.host or origin not in allowed or url.auth:
        raise InvalidRequest([FieldError("link", f"must be a URL at {base.host}")])
    return url.url


def text_digest(text: str) -> str:
    """Return 4 hex digits by which the text of an SMS is found in the report.

    So few do not reveal the text. Only its letters and digits count, without their
    case: the report escapes and wraps texts in no documented way.
    """
    folded = "".join(filter(str.isalnum, text.casefold())) or text.strip()
    return blake2b(folded.encode("utf-8", "surrogatepass"), digest_size=2).hexdigest()


def campaign_tracking_id(scheduled_id: str) -> str:
    """Return the tracking id in the postbacks of a campaign send, whose reply has none.

    The one documented pair shows that it contains the SCHEDULEDID; nothing says that it always
    does, so it may help to find rows and must not decide what becomes of a message.
    """
    return base64.b64encode(f"MMS_{scheduled_id}".encode()).decode()


def read_report(content: bytes) -> Report:
    """Read a report file; it never fails, but what is not understood is missing."""
    text = content.decode("utf-8-sig", "replace")
    complete = re.search(r"</RESPONSE\s*>\s*$", text[-200:], re.IGNORECASE) is not None
    return Report(tuple(_rows(text)), complete)


@dataclass(frozen=True, slots=True)
class _Tag:
    name: str
    attributes: dict[str, str]
    closing: bool
    text: str


def _tags(text: str) -> Iterator[_Tag]:
    """Yield the tags outside comments, each with the text after it."""
    position = 0
    while position < len(text):
        comment = text.find("<!--", position)
        until = comment if comment >= 0 else len(text)
        for found in _TAG.finditer(text, position, until):
            after = text[found.end() : text.find("<", found.end())]
            yield _Tag(found[2].upper(), _attributes(found[3]), found[1] == "/", after)
        end = text.find("-->", until)
        position = end + 3 if end >= 0 else len(text)


def _rows(text: str) -> Iterator[ReportRow]:
    group: _Tag | None = None
    item: _Item | None = None
    for tag in _tags(text):
        if item and (tag.name in _ITEMS or tag.name in _SECTIONS):
            yield item.row()
            item = None
        if tag.name in _SECTIONS:
            # groups do not nest, and one that closes itself still has its messages after it
            group = None if tag.closing else tag
        elif tag.name in _ITEMS and not tag.closing:
            item = _Item.inside(group, tag)
        elif item and not tag.closing:
            item.take(tag)
    if item:
        yield item.row()


@dataclass(slots=True)
class _Item:
    kind: str
    section: str
    attributes: dict[str, str]
    steps: list[Step] = field(default_factory=list)

    @classmethod
    def inside(cls, group: _Tag | None, tag: _Tag) -> Self:
        """Return a message with the attributes that its group gives to all its messages."""
        shared = dict(group.attributes) if group else {}
        if "id" in shared:  # of the group; a message has one of its own
            shared["groupid"] = shared.pop("id")
        section = _SECTIONS[group.name] if group else "single"
        return cls(_ITEMS[tag.name], section, shared | tag.attributes)

    def take(self, tag: _Tag) -> None:
        if tag.name in _BY_STEP:
            gateway = tag.attributes.get("gw")
            state = _BY_GATEWAY.get(gateway or "", _BY_STEP[tag.name])
            if self._in_discovery():
                state = _OF_DISCOVERY.get(state, state)
                if state == "delivered" and gateway is None:
                    state = "ddm_delivered"
            network, time = tag.attributes.get("net"), tag.attributes.get("time")
            self.steps.append(Step(state, gateway, network, time, tag.attributes.get("info")))
        elif inner := _plain(tag.text.strip()):
            self.attributes.setdefault(_folded(tag.name), inner)

    def _in_discovery(self) -> bool:
        """Return whether the handset is being discovered, before the message itself is sent."""
        states = {step.state for step in self.steps}
        began = any(step.state == "queued" and step.gateway == "0" for step in self.steps)
        return bool(states & {"ddm_sent", "ddm_delivered"}) and not (began or "sent" in states)

    def row(self) -> ReportRow:
        said_most = max(self.steps, key=lambda step: _RANKS[step.state], default=None)
        return ReportRow(
            kind=self.kind,
            section=self.section,
            history_id=self._first("id"),
            group_id=self._first("groupid"),
            tracking_id=self._first("trackingid"),
            to=_digits(self._first("to", "mobile", "msisdn")),
            sender=_digits(self._first("from", "shortcode")),
            mms_id=self._first("mmsid", "contentid") if self.kind == "mms" else None,
            text=self._first("body", "text") if self.kind == "sms" else None,
            fallback=self.kind == "mms" and self._is_fallback(),
            state=said_most.state if said_most else None,
            gateway=said_most.gateway if said_most else None,
            network=said_most.network if said_most else None,
            time=said_most.time if said_most else None,
            steps=tuple(self.steps),
            attributes=self.attributes,
        )

    def _is_fallback(self) -> bool:
        """Return whether the MMS was sent as an SMS with a link."""
        as_sms = any(step.gateway in ("10", "11") for step in self.steps)
        return as_sms or self.attributes.get("delivery", "").lower() == "xhtml"

    def _first(self, *names: str) -> str | None:
        return next((self.attributes[name] for name in names if self.attributes.get(name)), None)


def _attributes(text: str) -> dict[str, str]:
    return {
        _folded(found[1]): _plain(found[2] if found[2] is not None else found[3])
        for found in _ATTRIBUTE.finditer(text)
    }


def _folded(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")


def _plain(text: str) -> str:
    return _ENTITY.sub(_character, text)


def _character(found: re.Match[str]) -> str:
    if found[1]:
        return _ENTITIES[found[1]]
    code = int(found[2]) if found[2] else int(found[3], 16)
    return chr(code) if code < 0x110000 and not 0xD800 <= code < 0xE000 else "\ufffd"


def _digits(number: str | None) -> str | None:
    """Return a number without the ``+`` that one sample has."""
    return number.removeprefix("+") if number else None
