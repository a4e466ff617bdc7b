"""A reply of Skycore: done, refused, or not to be known."""

import re
from dataclasses import dataclass, field
from typing import Any
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from skycore.catalogue.actions import Action
from skycore.catalogue.errors import find_error, problem_for
from skycore.catalogue.fields import reply_field
from skycore.client.errors import OutcomeUnknown, Refused

_SUCCESS = "success"
_FAILURE = "failure"
_GROUPS = ("subscribers", "sendings")  # one for each recipient
_ACCEPTED, _REJECTED, _UNKNOWN = "accepted", "rejected", "unknown"
_OUTCOME_UNKNOWN = "outcome_unknown"
_DIGITS = re.compile("[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class Reply:
    """What Skycore answered to an action that it did.

    ``fields`` holds the elements under their JSON names: lists for ``mms_ids``, ``email_ids`` and
    ``pass_template_ids`` (texts), ``campaigns`` (maps of id and name), ``subscribers``,
    ``mms_templates`` and ``sendings`` (maps); a map for ``pass_template``; whole numbers for
    ``page_number``, ``items_per_page`` and ``total_results``; text for all else. An element that is
    not documented keeps its lower-case name. Not in the repr: it may hold keys and numbers.
    """

    action: str
    fields: dict[str, Any] = field(repr=False)

    @property
    def recipients(self) -> list[dict[str, Any]]:
        """One map for each number, where the reply tells several; else empty.

        A map has ``to``, ``status``, ``tracking_id`` or ``error_code`` as Skycore gave them, and
        ``outcome``: ``accepted`` (a tracking id and no error), ``rejected``, or ``unknown`` (E503,
        a tracking id together with an error, or neither). With an error, ``problem`` is the code
        by which it is told over HTTP, such as ``rate_limited``.
        """
        return [_with_outcome(group) for name in _GROUPS for group in self.fields.get(name, ())]


def read_reply(action: Action, http_status: int, body: bytes) -> Reply:
    """Read the answer to a call.

    Raises ``Refused`` when Skycore says that it did not do it, and ``OutcomeUnknown`` for HTTP 3xx
    and 5xx, a body that is not a whole reply, a success without the tracking id that the action
    promises, and a send that tells both a success and an error.
    """
    if not (200 <= http_status < 300 or 400 <= http_status < 500):
        raise OutcomeUnknown(f"HTTP {http_status}")
    reason = ""
    try:
        fields = _children(read_reply_xml(body))
    except UnreadableError as error:
        reason = str(error)
    if reason:
        raise OutcomeUnknown(reason if http_status < 300 else f"HTTP {http_status}")
    _lift_single_sending(fields)
    reply = _judged(action, fields)
    if http_status >= 300:
        raise OutcomeUnknown(f"HTTP {http_status}")
    return reply


def _with_outcome(group: dict[str, Any]) -> dict[str, Any]:
    code = str(group.get("error_code", ""))
    failed = str(group.get("status", "")).lower() == _FAILURE or code != ""
    told = {**group, "outcome": _UNKNOWN}
    if failed:
        told["problem"] = problem_for(code, effect="send").code
    if group.get("tracking_id"):
        told["outcome"] = _UNKNOWN if failed else _ACCEPTED
    elif failed and told["problem"] != _OUTCOME_UNKNOWN:
        told["outcome"] = _REJECTED
    return told


def _judged(action: Action, fields: dict[str, Any]) -> Reply:
    status = str(fields.get("status", "")).lower()
    code = str(fields.get("error_code", ""))
    groups = [group for name in _GROUPS for group in fields.get(name, ())]
    failed = status == _FAILURE or code != ""
    if failed and action.effect == "send" and any(map(_tells_success, (fields, *groups))):
        raise OutcomeUnknown("reply with both a success and an error")
    if failed:
        known = find_error(code)
        raise Refused(
            known.code if known else code,
            str(fields.pop("error_info", "")),
            {k: v for k, v in fields.items() if k not in ("status", "error_code")},
            effect=action.effect,
        )
    if status not in (_SUCCESS, ""):
        raise OutcomeUnknown("reply with an unknown status")
    if not status and not groups and (action.effect != "read" or not fields):
        raise OutcomeUnknown("reply without a status")
    promised = action.effect == "send" and "tracking_id" in action.reply
    if promised and not groups and not fields.get("tracking_id"):
        raise OutcomeUnknown("success without a tracking id")
    return Reply(action.name, fields)


def _tells_success(part: dict[str, Any]) -> bool:
    """Whether this part of a reply, taken alone, says that something was sent."""
    status = str(part.get("status", "")).lower()
    ids = part.get("tracking_id") or part.get("scheduled_id")
    return status == _SUCCESS or (status != _FAILURE and bool(ids))


def _lift_single_sending(fields: dict[str, Any]) -> None:
    """In the form of 2013 a single recipient has a group of its own, too: make it plain."""
    if len(fields.get("sendings", ())) == 1:
        single = fields.pop("sendings")[0]
        if single.get("error_code"):  # what is said of the only recipient is said of all
            fields.pop("status", None)
        fields.update(single)


def _children(parent: Element) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for child in parent:
        name, shape = _named(child)
        value = _shaped(child, shape)
        if shape in ("group", "groups"):
            fields.setdefault(name, []).extend(value)
        elif name not in fields:
            fields[name] = value
        elif shape == "unknown":
            first = fields[name]
            fields[name] = [*first, value] if isinstance(first, list) else [first, value]
    return fields


def _named(element: Element) -> tuple[str, str]:
    tag = local_name(element)
    known = reply_field(tag)
    if known:
        return known.name, known.shape
    singular = reply_field(tag.removesuffix("S"))
    if singular and singular.shape == "group" and len(element):  # a plural around its groups
        return singular.name, "groups"
    return tag.lower().replace("-", "_"), "unknown"


def _shaped(element: Element, shape: str) -> Any:
    if shape == "groups":
        return [_children(child) for child in element]
    if shape == "group":
        return [_children(element)]
    if shape == "map":
        return _children(element)
    if shape == "list":
        return _listed(element)
    if shape == "markup":
        return element.text or ""
    value = _value(element)
    if shape == "int" and isinstance(value, str) and _DIGITS.fullmatch(value):
        return int(value)
    return value


def _value(element: Element) -> Any:
    return _children(element) if len(element) else (element.text or "").strip()


def _listed(element: Element) -> list[Any]:
    texts = [child.text or "" for child in element] or (element.text or "").split(",")
    return [text.strip() for text in texts if text.strip()]


_DECLARATION = re.compile(r"<\?xml\b[^>]*\?>", re.IGNORECASE)
_ENCODING = re.compile(rb"\s*<\?xml\b[^>]*?encoding\s*=\s*[\"']([A-Za-z0-9_-]+)", re.IGNORECASE)
_CODECS = {
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "us-ascii": "utf-8",
    "iso-8859-1": "cp1252",
    "windows-1252": "cp1252",
}
_BARE_AMPERSAND = re.compile(r"&(?!(?:amp|lt|gt|quot|apos|#\d{1,7}|#x[0-9a-fA-F]{1,6});)")
_MARKUP = re.compile("<EMAILHTML>", re.IGNORECASE)
_MARKUP_END = re.compile("</EMAILHTML>", re.IGNORECASE)
_CLOSED = re.compile(r"</RESPONSE\s*>$", re.IGNORECASE)
_TAG_ROOM = 100
_DEEPEST = 30


class UnreadableError(Exception):
    """The bytes are no complete reply; the message says why without quoting them."""


def read_reply_xml(body: bytes) -> Element:
    """The RESPONSE element of a reply, with EMAILHTML as one text.

    Raises ``UnreadableError`` when it is empty, cut off, has another root or a document type, or
    cannot be mended.
    """
    text = _decoded(body).strip()
    if declaration := _DECLARATION.match(text):
        text = text[declaration.end() :].strip()
    if not text:
        raise UnreadableError("empty reply")
    root = _parse(text)
    if root is None:
        if not _CLOSED.search(text[-_TAG_ROOM:]):
            raise UnreadableError("reply cut off or not XML")
        root = _mended(text)
    if local_name(root) != "RESPONSE":
        raise UnreadableError("reply with another root")
    if _too_deep(root):
        raise UnreadableError("reply nested too deeply")
    for child in root:
        if local_name(child) == "EMAILHTML" and len(child):
            child[:] = []
            start, end = _markup(text)
            child.text = text[start:end]
    return root


def local_name(element: Element) -> str:
    """The upper-case name of an element, without a namespace."""
    return str(element.tag).rpartition("}")[2].upper()


def _decoded(body: bytes) -> str:
    if body.startswith((b"\xff\xfe", b"\xfe\xff")):
        return body.decode("utf-16", "replace")
    body = body.removeprefix(b"\xef\xbb\xbf")
    declared = _ENCODING.match(body)
    codec = _CODECS.get(declared[1].decode().lower()) if declared else "utf-8"
    if codec is None:
        raise UnreadableError("reply in an unknown encoding")
    # a stray byte, in an echoed text say, does not make a whole reply unreadable
    return body.decode(codec, "replace")


def _parse(text: str) -> Element | None:
    try:
        root: Element = fromstring(text, forbid_dtd=True)
    except DefusedXmlException:
        raise UnreadableError("reply with a document type or entities") from None
    except (ParseError, ValueError):
        return None
    return root


def _mended(text: str) -> Element:
    ampersands = _BARE_AMPERSAND.sub("&amp;", text)
    start, end = _markup(text)
    inner = text[start:end].replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    markup = _BARE_AMPERSAND.sub("&amp;", text[:start] + inner + text[end:])
    for mended in (ampersands, markup):
        root = _parse(mended)
        if root is not None:
            return root
    raise UnreadableError("reply is not XML")


def _markup(text: str) -> tuple[int, int]:
    """Where the HTML in EMAILHTML begins and ends; its own text may hold anything but the end."""
    start = _MARKUP.search(text)
    ends = [found.start() for found in _MARKUP_END.finditer(text)]
    return (start.end(), ends[-1]) if start and ends else (0, 0)


def _too_deep(root: Element) -> bool:
    level = [root]
    for _ in range(_DEEPEST):
        level = [
            child for element in level for child in element if local_name(element) != "EMAILHTML"
        ]
    return bool(level)
