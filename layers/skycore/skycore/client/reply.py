"""Read Skycore's replies: accepted, refused, or unknown."""

import json
import re
import zlib
from dataclasses import dataclass, field
from typing import Any

from skycore.catalogue.actions import Action, find_error, problem_for
from skycore.catalogue.fields import reply_field
from skycore.client.errors import HTTP_PROBLEMS, HttpRefused, OutcomeUnknown, Refused, plain_code
from skycore.phone_numbers import names_recipient
from skycore.postbacks.document import (
    MAX_LAYERS,
    Node,
    UnreadableError,
    as_utf8,
    decode_layer,
    form_fields,
)
from skycore.postbacks.xml_document import read_markup, without_comments

MAX_REPLY_BYTES = 2 * 1024 * 1024  # as transferred, and again when unpacked
_SUCCESS = "success"
_FAILURE = "failure"
_GROUPS = ("subscribers", "sendings")  # one for each recipient
_ACCEPTED, _REJECTED, _UNKNOWN = "accepted", "rejected", "unknown"
_DIGITS = re.compile("[0-9]{1,18}")
_NO_ERROR = re.compile("0*")  # an error code of zero means no error
_NO_ERROR_UNLESS_FAILURE = re.compile("e0+|none|null|nil|n/?a|no ?error|-", re.IGNORECASE)
_MAX_DIGITS = 15  # of one number (E.164); more are a list


@dataclass(frozen=True, slots=True)
class Reply:
    """What Skycore answered to an action that it carried out.

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
        """One map for each number of a reply about several; otherwise empty.

        A map has ``to``, ``status``, ``tracking_id`` or ``error_code`` as Skycore gave them, and
        ``outcome``: ``accepted`` (a tracking id and no error), ``rejected``, or ``unknown`` (E503,
        a tracking id together with an error, or neither). With an error, ``problem`` is the code
        of the HTTP answer, such as ``rate_limited``, and an ``error_code`` that does not look like
        one is ``undocumented``: it may be a text with the recipient's number.
        """
        return [_with_outcome(group) for name in _GROUPS for group in self.fields.get(name, ())]


def read_reply(
    action: Action,
    http_status: int,
    body: bytes,
    *,
    to: str | None = None,
    retry_after: str | None = None,
) -> Reply:
    """Read the answer to a call that named ``to``, in digits, as its recipient.

    Only the bytes count, not their labels: junk, form fields and escapes around the reply, wrong
    labels and the faults that postbacks have are tolerated, as long as there is exactly one closed
    RESPONSE.

    Raises ``Refused`` when Skycore says that it did not do it; ``HttpRefused`` when there is no
    reply at all and the HTTP status says so; otherwise ``OutcomeUnknown``: for HTTP 3xx, 5xx and
    other 4xx, an unreadable or incomplete reply, one about another number, a success without the
    tracking id that the action promises, and a send with both a success and an error.
    """
    unknown = OutcomeUnknown(f"HTTP {http_status}")
    if not (200 <= http_status < 300 or 400 <= http_status < 500):
        raise unknown
    root: Node | None = None
    unreadable = ""
    try:
        root = read_reply_xml(body)
    except UnreadableError as error:
        unreadable = str(error)
    if root is None:
        if http_status in HTTP_PROBLEMS and not unreadable:
            raise HttpRefused(http_status, retry_after)
        nothing = "no reply in the body" if body.strip() else "empty reply"
        raise OutcomeUnknown(unreadable or nothing) if http_status < 300 else unknown
    fields = _children(root)
    _lift_single_sending(fields)
    if to is not None and _names_another(root, fields, to):
        raise OutcomeUnknown("reply about another number")
    reply = _reply_or_error(action, fields)
    if http_status >= 300:
        raise unknown
    return reply


def _names_another(root: Node, fields: dict[str, Any], to: str) -> bool:
    """Return whether the reply names exactly one number, and not the recipient's."""
    written = fields.get("to")
    several = sum(_local(child) == "TO" for child in root.children) > 1
    if several or not isinstance(written, str) or sum(map(str.isdigit, written)) > _MAX_DIGITS:
        return False
    return not names_recipient(to, written)


def _error_code(part: dict[str, Any]) -> str:
    """Return the error code of a reply or of a part of it; empty if there is none."""
    code = str(part.get("error_code", ""))
    failed = str(part.get("status", "")).lower() == _FAILURE
    none = _NO_ERROR.fullmatch(code) or (not failed and _NO_ERROR_UNLESS_FAILURE.fullmatch(code))
    return "" if none else code


def _with_outcome(group: dict[str, Any]) -> dict[str, Any]:
    code = _error_code(group)
    failed = str(group.get("status", "")).lower() == _FAILURE or code != ""
    result = {**group, "outcome": _UNKNOWN}
    if code and not plain_code(code):
        result["error_code"] = "undocumented"
    if failed:
        result["problem"] = problem_for(code, effect="send").code
    if group.get("tracking_id"):
        result["outcome"] = _UNKNOWN if failed else _ACCEPTED
    elif failed and result["problem"] != "outcome_unknown":
        result["outcome"] = _REJECTED
    return result


def _reply_or_error(action: Action, fields: dict[str, Any]) -> Reply:
    """Return the reply if Skycore did what was asked. Raises Refused, or OutcomeUnknown."""
    status = str(fields.get("status", "")).lower()
    code = _error_code(fields)
    groups = [group for name in _GROUPS for group in fields.get(name, ())]
    failed = status == _FAILURE or code != ""
    if failed and action.effect == "send" and any(map(_shows_success, (fields, *groups))):
        raise OutcomeUnknown("reply with both a success and an error")
    if failed:
        documented = find_error(code)
        raise Refused(
            documented.code if documented else plain_code(code),
            str(fields.pop("error_info", "")),
            {k: v for k, v in fields.items() if k not in ("status", "error_code")},
            effect=action.effect,
        )
    if action.effect == "send" and not (fields.get("tracking_id") or fields.get("scheduled_id")):
        _check_recipients([_with_outcome(group) for group in groups])
    if status not in (_SUCCESS, ""):
        raise OutcomeUnknown("reply with an unknown status")
    if not status and not groups and (action.effect != "read" or not fields):
        raise OutcomeUnknown("reply without a status")
    promised = action.effect == "send" and "tracking_id" in action.reply
    if promised and not groups and not _readable_id(fields):
        raise OutcomeUnknown("success without a tracking id")
    return Reply(action.name, fields)


def _check_recipients(recipients: list[dict[str, Any]]) -> None:
    """Raise Refused if each recipient was refused because of the account or of a limit.

    Such a refusal is not about a recipient, and nothing was sent: the call may be repeated.
    """
    passing = {"skycore_account", "rate_limited"}
    refused = [one for one in recipients if one["outcome"] == _REJECTED]
    if refused and refused == recipients and {one["problem"] for one in refused} <= passing:
        first = refused[0]
        raise Refused(str(first["error_code"]).upper(), str(first.get("error_info", "")))


def _shows_success(part: dict[str, Any]) -> bool:
    """Return whether this part of a reply, taken alone, says that something was sent."""
    status = str(part.get("status", "")).lower()
    ids = part.get("tracking_id") or part.get("scheduled_id")
    return status == _SUCCESS or (status != _FAILURE and bool(ids))


def _readable_id(fields: dict[str, Any]) -> bool:
    """Return whether a tracking id has more than control characters, which are U+FFFD here."""
    tracking_id = fields.get("tracking_id")
    return isinstance(tracking_id, str) and tracking_id.strip("\ufffd") != ""


def _lift_single_sending(fields: dict[str, Any]) -> None:
    """Flatten the group that the form of 2013 has even for a single recipient."""
    if len(fields.get("sendings", ())) == 1:
        single = fields.pop("sendings")[0]
        if _error_code(single):  # what is said of the only recipient is said of all
            fields.pop("status", None)
        fields.update(single)


def _children(parent: Node) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for child in parent.children:
        name, shape = _named(child)
        value = _shaped(child, shape)
        if shape in ("group", "groups"):
            fields.setdefault(name, []).extend(value)
        elif name not in fields:
            fields[name] = value
        elif shape == "unknown":
            before = fields[name]
            fields[name] = [*(before if isinstance(before, list) else [before]), value]
    return fields


def _named(element: Node) -> tuple[str, str]:
    tag = _local(element)
    documented = reply_field(tag)
    if documented:
        return documented.name, documented.shape
    singular = reply_field(tag.removesuffix("S"))
    if singular and singular.shape == "group" and element.children:  # a plural around its groups
        return singular.name, "groups"
    return tag.lower().replace("-", "_"), "unknown"


def _shaped(element: Node, shape: str) -> Any:
    if shape == "groups":
        return [_children(child) for child in element.children]
    if shape == "group":
        return [_children(element)]
    if shape == "map":
        return _children(element)
    if shape == "list":
        return _listed(element)
    if shape == "markup":
        return element.inner()
    value = _children(element) if element.children else element.text.strip()
    if shape == "int" and isinstance(value, str) and _DIGITS.fullmatch(value):
        return int(value)
    return value


def _listed(element: Node) -> list[Any]:
    texts = [child.text for child in element.children] or element.text.split(",")
    return [text.strip() for text in texts if text.strip()]


def _local(element: Node) -> str:
    """Return the upper-case name of an element, without a prefix."""
    return element.name.rpartition(":")[2].upper()


_PREFIX = r"(?:[A-Za-z_][\w.-]{0,40}:)?"
_OPENING = re.compile(rf"<{_PREFIX}RESPONSE(?=[\s/>]|$)", re.IGNORECASE)
_CLOSING = re.compile(rf"</{_PREFIX}RESPONSE\s*+>", re.IGNORECASE)
_FORM = re.compile(rb"[\w.-]{1,64}=")
_DECLARED = re.compile(r"<!(?:ENTITY|DOCTYPE(?!\s+html\b))", re.IGNORECASE)
_MARKUP = re.compile("<EMAILHTML>", re.IGNORECASE)


def read_reply_xml(body: bytes) -> Node | None:
    """Return the RESPONSE element of a reply, with EMAILHTML as one text; None without one.

    Raises ``UnreadableError``, without quoting the reply, when it is incomplete or cannot be read.
    """
    written = _with_escaped_markup(_unwrapped(body).decode("utf-8", "replace"))
    text = without_comments(written)
    openings = [found.start() for found in _OPENING.finditer(text)]
    closings = [found.end() for found in _CLOSING.finditer(text)]
    if not openings:
        if _OPENING.search(written):
            raise UnreadableError("reply in a comment")
        if _is_cut_off(text):
            raise UnreadableError("reply cut off")
        return None
    if not closings:
        raise UnreadableError("reply cut off")
    if len(openings) > 1 or len(closings) > 1 or closings[0] < openings[0]:
        raise UnreadableError("more than one reply")
    before = text[: openings[0]]
    if _DECLARED.search(before):
        raise UnreadableError("reply with a document type or entities")
    if before.rfind("<!--") > before.rfind("-->"):
        raise UnreadableError("reply in a comment")
    return read_markup(text[openings[0] : closings[0]])[0]


def _is_cut_off(text: str) -> bool:
    """Return whether a text without a RESPONSE ends where one, or its declaration, begins."""
    begun = text[text.rfind("<") :].lower() if "<" in text else "-"
    return "<response".startswith(begun) or (begun.startswith("<?xml") and ">" not in begun)


def _unwrapped(body: bytes) -> bytes:
    """Return the body in UTF-8 without the compression, forms and escapes around all of it.

    What cannot be unwrapped stays as it is. Nothing is left out: a form's fields stay together, so
    that two replies are never taken for one.
    """
    for _ in range(MAX_LAYERS):
        body = as_utf8(_unpacked(body))
        if body.startswith(b"<"):
            break
        try:
            inner = decode_layer(body)
            if inner is None and body.startswith(b'"'):
                inner = str(json.loads(body)).encode("utf-8", "replace")
            elif (
                inner is None and _FORM.match(body) and not _OPENING.search(body.decode("latin-1"))
            ):
                inner = b"\n".join(value for _, value in form_fields(body))
        except (UnreadableError, ValueError, RecursionError):
            break
        if inner is None:
            break
        body = inner
    return body


def _unpacked(body: bytes) -> bytes:
    """Return the body decompressed; its bytes, not its label, show the compression."""
    for _ in range(2):
        if body.startswith(b"\x1f\x8b"):
            packed = zlib.decompressobj(zlib.MAX_WBITS | 16)
        elif body[:1] == b"\x78" and int.from_bytes(body[:2]) % 31 == 0:  # RFC 1950, section 2.2
            packed = zlib.decompressobj()
        else:
            break
        try:
            body = packed.decompress(body, MAX_REPLY_BYTES + 1)
        except zlib.error:
            raise UnreadableError("reply not decompressed") from None
        if len(body) > MAX_REPLY_BYTES:
            raise UnreadableError("reply too large")
        if not packed.eof:
            raise UnreadableError("reply cut off")
    return body


def _with_escaped_markup(text: str) -> str:
    """Escape the HTML in EMAILHTML, which may contain anything but its own end tag."""
    start = _MARKUP.search(text)
    end = text.lower().rfind("</emailhtml>") if start else -1
    if start is None or end < start.end():
        return text
    inner = text[start.end() : end]
    if "<" not in inner or inner.lstrip().startswith("<![CDATA["):
        return text
    escaped = inner.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text[: start.end()] + escaped + text[end:]
