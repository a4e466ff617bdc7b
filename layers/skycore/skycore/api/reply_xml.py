"""The XML of a reply, which is not always XML.

Two faults are seen in Skycore's own samples: a bare ``&`` in a URL, and HTML put into EMAILHTML as
it is. Both are mended, but only in a reply whose root is closed: a reply that was cut off is never
read, however promising its beginning. A document type is refused, so no entity is ever expanded.
"""

import re
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

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
