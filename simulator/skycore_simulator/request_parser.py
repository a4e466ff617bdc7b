"""Parse HTTP requests: GET pairs, a form or multipart field `xml`, bare XML, form pairs.

The order is Skycore's: the form field xml if there is one; otherwise the body itself unless the
query or form has an action; otherwise the pairs. Letter case does not matter in names.
"""

import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from typing import Any
from urllib.parse import parse_qsl, urlencode

from skycore_simulator.replies import RefusalError
from skycore_simulator.tables import action_named, table

MEDIA = ("IMAGE", "AUDIO", "VIDEO", "VCARD", "ICAL", "PDF", "PASSBOOK", "PERSONALIZED-IMAGE")
CREDENTIALS = ("API_KEY", "USER", "PASS")
_PREFIXES = {"DATA_": "DATA", "PD_": "PASSDATA"}
_CUSTOMTEXT = re.compile(r"CUSTOMTEXT_(\d+)")


@dataclass
class Call:
    """One parsed request.

    Names are upper case. Values are text, except that SLIDE and CUSTOMTEXT are lists of maps and
    DATA and PASSDATA are maps. `received` has the names as sent, `fields` the newest names.
    """

    transport: str
    text: str
    asked: str = ""
    action: str | None = None
    fields: dict[str, Any] = field(default_factory=dict)
    credentials: dict[str, str] = field(default_factory=dict)
    received: dict[str, Any] = field(default_factory=dict)

    def get(self, name: str) -> str:
        """Return a text field, or an empty string."""
        value = self.fields.get(name, "")
        return value if isinstance(value, str) else ""

    def values(self) -> list[str]:
        """Return every text in the request, including the key."""
        found = list(self.credentials.values())
        pending = list(self.fields.values())
        while pending:
            value = pending.pop()
            if isinstance(value, str):
                found.append(value)
            else:
                pending.extend(value.values() if isinstance(value, dict) else value)
        return found


def parse_http(method: str, query: str, content_type: str, body: bytes) -> Call:
    """Return the call in a request with its text; parse_fields reads the text."""
    pairs = _pairs(query)
    if method == "GET":
        return Call("get", query, fields=dict(pairs))
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        form, transport = _parts(content_type, body), "multipart"
    elif body.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        form, transport = [], "raw"
    else:
        form, transport = _pairs(body.decode("utf-8", "surrogateescape")), "form"
    document = next((value for name, value in form if name.upper() == "XML"), "")
    if document.strip():
        return Call(transport, document)
    keys = [*pairs, *form]
    if any(name.upper() == "ACTION" for name, _ in keys):
        return Call("keys", urlencode(keys, errors="replace"), fields=dict(keys))
    return Call("raw", body.decode("utf-8", "surrogateescape"))


def parse_fields(call: Call) -> None:
    """Set action, credentials and fields from the text of a call.

    Raises RefusalError: E108 for XML that does not parse or has a DOCTYPE, E100 for an empty
    request or another root element.
    """
    if call.transport in ("get", "keys"):
        if not call.fields:
            raise RefusalError("E100")
        pairs = {name.upper(): value for name, value in call.fields.items()}
        _name_action(call, pairs.pop("ACTION", ""))
        call.fields = _unflattened(call, pairs)
    else:
        if not call.text.strip():
            raise RefusalError("E100")
        root = _parse(call.text)
        if root.tag.upper() != "REQUEST":
            raise RefusalError("E100")
        found = _elements(root)
        _name_action(call, found.pop("ACTION", ""))
        call.fields = found
    for name in CREDENTIALS:
        value = call.fields.pop(name, "")
        if isinstance(value, str) and value:
            call.credentials[name] = value
    call.received = dict(call.fields)
    synonyms = table("actions").get(call.action or "", {}).get("synonyms", {})
    for older, name in synonyms.items():
        if older in call.fields and name not in call.fields:
            call.fields[name] = call.fields.pop(older)


def _name_action(call: Call, asked: Any) -> None:
    call.asked = asked.strip() if isinstance(asked, str) else ""
    call.action = action_named(call.asked)


def _pairs(query: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(query, keep_blank_values=True, errors="strict")
    except ValueError:
        return []


def _parts(content_type: str, body: bytes) -> list[tuple[str, str]]:
    head = b"Content-Type: " + content_type.encode("latin-1", "replace") + b"\r\n\r\n"
    whole = message_from_bytes(head + body)
    parts: list[Message] = [p for p in whole.get_payload() if isinstance(p, Message)]
    found = []
    for part in parts:
        name = part.get_param("name", header="content-disposition")
        payload = part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(payload, bytes):
            found.append((name, payload.decode("utf-8", "surrogateescape")))
    return found


class _NoDocumentType(ET.TreeBuilder):
    def doctype(self, _name: str, _public: str | None, _system: str | None) -> None:
        raise RefusalError("E108")


def _parse(document: str) -> ET.Element:
    try:
        parser = ET.XMLParser(target=_NoDocumentType())
        return ET.fromstring(document.lstrip("\ufeff \t\r\n"), parser)
    except (ET.ParseError, UnicodeError, ValueError) as error:
        raise RefusalError("E108") from error


def _elements(root: ET.Element) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for child in root:
        name = child.tag.upper()
        if name == "SLIDE":
            found.setdefault("SLIDE", []).append(_slide(child))
        elif name == "CUSTOMTEXT":
            group = {part.tag.upper(): part.text or "" for part in child}
            found.setdefault("CUSTOMTEXT", []).append(group)
        elif name in ("DATA", "PASSDATA"):
            group = {part.tag.upper(): part.text or "" for part in child}
            found.setdefault(name, {}).update(group)
        elif name in ("CONTENT", "SEQUENCE"):  # the layout of 2014
            for inner, value in _elements(child).items():
                found.setdefault(inner, value)
        else:
            found.setdefault(name, child.text or "")
    return found


def _slide(element: ET.Element) -> dict[str, Any]:
    slide: dict[str, Any] = {}
    for name, value in element.attrib.items():
        if name.upper() == "DURATION":
            slide["DURATION"] = value
    for part in element:
        name = part.tag.upper()
        value = part.text or ""
        if name in MEDIA:
            value = next((inner.text or "" for inner in part), value.strip())
        if name in slide and name != "DURATION":
            slide.setdefault("REPEATED", []).append(name)
        slide[name] = value
    return slide


def _unflattened(call: Call, pairs: dict[str, str]) -> dict[str, Any]:
    special = table("actions").get(call.action or "", {}).get("get_names", {})
    found: dict[str, Any] = {}
    for key, value in pairs.items():
        name = special.get(key.lower(), key)
        if custom := _CUSTOMTEXT.fullmatch(name):
            group = {"VALUE": value, "SLIDE": custom[1]}
            found.setdefault("CUSTOMTEXT", []).append(group)
            continue
        for prefix, group_name in _PREFIXES.items():
            if name.startswith(prefix):
                found.setdefault(group_name, {})[name.removeprefix(prefix)] = value
                break
        else:
            found[name] = value
    return found
