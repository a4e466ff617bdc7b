"""From a request body to the XML or JSON in it, by its content and not by its Content-Type."""

import re
from html import unescape
from urllib.parse import unquote_to_bytes

from skycore.postbacks.bounds import (
    MAX_BODY_BYTES,
    MAX_FORM_FIELDS,
    MAX_LAYERS,
    UnreadableError,
)
from skycore.postbacks.characters import as_utf8
from skycore.postbacks.json_document import read_json
from skycore.postbacks.node import Node
from skycore.postbacks.xml_document import read_xml

_ESCAPED = re.compile(
    rb"&(?:amp;)*(?:lt|quot|#0*(?:60|34|123|91)|#x0*(?:3c|22|7b|5b));", re.IGNORECASE
)
_PERCENT = re.compile(
    rb"%(?:25)*(?:3c|7b|5b|22|26|ef|ff|fe|0d|0a|20)|[\w.-]{1,64}%(?:25)*3d", re.IGNORECASE
)
_FORM = re.compile(rb"[A-Za-z0-9_.%\[\]-]{1,64}=")
_RAW_FIELD = re.compile(rb"(?:^|&)[\w.-]{1,64}=\s*(?=[<{\[])")
_PART_NAME = re.compile(rb"""\bname\s*=\s*(?:"([^"]*)"|([^\s;"]+))""", re.IGNORECASE)
_BLANK_LINE = re.compile(rb"\r?\n\r?\n")
_CONTENT_STARTS = (b"<", b"{", b"[", b"&", b"%", b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\0")


def read_body(body: bytes) -> list[Node]:
    """The root elements or objects in a body.

    Raises UnreadableError when there are none, or when the body is over a bound.
    """
    if len(body) > MAX_BODY_BYTES:
        raise UnreadableError(f"longer than {MAX_BODY_BYTES} bytes")
    for _ in range(MAX_LAYERS):
        if body.lstrip().startswith(b"--"):  # its parts may differ in encoding
            body = _best(_parts(body.strip()))
        body = as_utf8(body)
        if body.startswith(b"<"):
            return read_xml(body)
        if body.startswith((b"{", b"[")):
            return read_json(body.decode())
        body = _unwrapped(body)
    raise UnreadableError(f"more than {MAX_LAYERS} layers of wrapping")


def _unwrapped(body: bytes) -> bytes:
    """The body with its outermost layer taken off."""
    if not body:
        raise UnreadableError("empty")
    if _ESCAPED.match(body):
        return _html_unescaped(body)
    if _PERCENT.match(body):
        return _percent_decoded(body)
    raw = _RAW_FIELD.search(body)
    if raw:
        return body[raw.end() :]
    if _FORM.match(body):
        return _best(_form_fields(body))
    if body.startswith(b'"'):
        return _json_string(body)
    raise UnreadableError("neither XML nor JSON nor a form")


def _html_unescaped(body: bytes) -> bytes:
    try:
        return unescape(body.decode()).encode()
    except ValueError:  # a reference to a number of thousands of digits
        raise UnreadableError("HTML escapes that cannot be read") from None


def _percent_decoded(value: bytes) -> bytes:
    return unquote_to_bytes(value.replace(b"+", b" "))


def _json_string(body: bytes) -> bytes:
    """XML or JSON that was given as one JSON string."""
    nodes = read_json(f"[{body.decode()}]")
    return nodes[0].text.encode() if nodes else b""


def _form_fields(body: bytes) -> list[tuple[bytes, bytes]]:
    """Names and values of an urlencoded form."""
    pairs = body.split(b"&", MAX_FORM_FIELDS)
    if len(pairs) > MAX_FORM_FIELDS:
        raise UnreadableError(f"a form of more than {MAX_FORM_FIELDS} fields")
    fields = (pair.partition(b"=") for pair in pairs)
    return [(_percent_decoded(name), _percent_decoded(value)) for name, _, value in fields]


def _parts(body: bytes) -> list[tuple[bytes, bytes]]:
    """Names and contents of a multipart body, whose boundary is its first line."""
    boundary = body.partition(b"\n")[0].rstrip()
    parts = body.split(b"\n" + boundary, MAX_FORM_FIELDS)
    if len(parts) > MAX_FORM_FIELDS:
        raise UnreadableError(f"a multipart body of more than {MAX_FORM_FIELDS} parts")
    parts[0] = parts[0].removeprefix(boundary)
    found = []
    for part in parts:
        blank = _BLANK_LINE.search(part)
        if blank:
            name = _PART_NAME.search(part, 0, blank.start())
            content = part[blank.end() :].removesuffix(b"\r")
            found.append(((name[1] or name[2] or b"") if name else b"", content))
    return found


def _best(fields: list[tuple[bytes, bytes]]) -> bytes:
    """The field called xml, else the first that looks like XML or JSON."""
    for name, value in fields:
        if name.strip().lower() == b"xml" and value.strip():
            return value
    for _, value in fields:
        if value.lstrip().startswith(_CONTENT_STARTS):
            return value
    raise UnreadableError("a form without a field that holds XML or JSON")
