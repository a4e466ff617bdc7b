"""What XML and JSON bodies share: nodes, the bounds of reading, encodings and escapes."""

import codecs
import json
import re
from base64 import b64decode
from collections.abc import Iterator
from contextlib import suppress
from html import unescape
from typing import Any
from urllib.parse import unquote_to_bytes

from skycore.catalogue.fields import fields_by_element, plain_name


class Node:
    """An XML element or a JSON member."""

    __slots__ = ("attributes", "children", "is_json", "name", "tail", "text")

    def __init__(self, name: str, *, is_json: bool = False) -> None:
        self.name = name
        self.is_json = is_json
        self.text = ""
        self.tail = ""
        self.attributes: dict[str, str] = {}
        self.children: list[Node] = []

    @property
    def plain(self) -> str:
        """The name without letter case, hyphens and underscores, which differ between forms."""
        return plain_name(self.name)

    def walk(self) -> Iterator["Node"]:
        """Yield the node and everything in it, in the order of the document."""
        waiting = [self]
        while waiting:
            node = waiting.pop()
            yield node
            waiting += reversed(node.children)

    def inner(self) -> str:
        """Return the content as one text: as JSON if it was JSON, else with its markup.

        A message text that was not escaped (`a <b>c</b>`) comes out as it was written.
        """
        if not self.children:
            return self.text
        if self.is_json:
            return json.dumps(self._members(), ensure_ascii=False, separators=(",", ":"))
        parts = [self.text]
        for child in self.children:
            parts += f"<{child.name}>", child.inner(), f"</{child.name}>", child.tail
        return "".join(parts)

    def _members(self) -> Any:
        if not self.children:
            return self.text
        members: dict[str, Any] = {}
        for child in self.children:
            value = child._members()  # noqa: SLF001 - of the same class
            if child.name not in members:
                members[child.name] = value
            elif isinstance(members[child.name], list):
                members[child.name].append(value)
            else:
                members[child.name] = [members[child.name], value]
        return members


# Reading stops at these bounds before it does more work. A body over one of them is unparsed.

MAX_BODY_BYTES = 256 * 1024
"""The longest body that `ack` takes, and the longest that a compressed one may become."""

MAX_LAYERS = 6
"""Wrappings (form field, percent encoding, HTML escapes...) around the document itself."""

MAX_FORM_FIELDS = 200
"""Fields of a form, or parts of a multipart body."""

MAX_DOCUMENTS = 10
"""Consecutive documents in a body. Skycore's documentation has one."""

MAX_DEPTH = 32
"""Elements inside each other. Documented ones reach 6."""

MAX_ELEMENTS = 20_000
"""Elements or JSON members in a body. 300 notifications at once have some 4,500."""

MAX_NOTIFICATIONS = 500
"""Notifications in a body; each one costs writes. Skycore documents 300."""

MAX_ATTRIBUTES = 32
"""Attributes of one element. Documented ones have 4."""

MAX_PIECES = 25_000
"""Tags, texts and quotes that a repair looks at. 300 notifications at once have some 15,000."""

MAX_WRONG_BYTES = 1_000
"""Bytes that are not UTF-8 and are decoded one by one; a body with more is decoded as a whole."""

MAX_NAME_CHARACTERS = 100
"""Length of an unknown element's name in `extra`; longer ones are cut."""

WRITTEN_BY_PEOPLE = frozenset({"TEXT", "MESSAGETEXT", "SUBJECT", "MESSAGESUBJECT", "KEYWORD"})
"""Plain names of the elements that hold text that a stranger wrote on a phone."""


class UnreadableError(Exception):
    """The body cannot be read; the text says why, without any of its content."""


# Characters that neither XML nor SQS carries. What stood there is kept in the raw body.
_UNCARRIED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")

_BOMS = (  # UTF-32 first: its little-endian mark begins with that of UTF-16
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_DECLARED = re.compile(rb"""<\?xml[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9._-]{1,20})["']""")
# Believed when declared and the bytes are not UTF-8. A list, because Python also knows codecs
# that are slow or are not character encodings.
_BELIEVED = re.compile(
    r"(windows-?|cp-?)12(50|51|53|54|55|56|57|58)|iso-?8859-?([2-9]|1[03456])|koi8-[ru]"
    r"|shift_?jis|euc-(jp|kr)|gb2312|gbk|gb18030|big5",
    re.IGNORECASE,
)


def replace_unsupported(text: str) -> str:
    """Return the text with U+FFFD for each character that neither XML nor SQS carries."""
    return text if text.isascii() and text.isprintable() else _UNCARRIED.sub("\ufffd", text)


def _cp1252(byte: int) -> str:
    try:
        return bytes((byte,)).decode("cp1252")
    except UnicodeDecodeError:
        return chr(byte)


_CP1252 = "".join(_cp1252(byte) for byte in range(256))


def _as_cp1252(error: UnicodeError) -> tuple[str, int]:
    """Decode bytes that are not UTF-8 as cp1252, which has Latin-1's letters (error handler)."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    wrong = error.object[error.start : error.end]
    return "".join(_CP1252[byte] for byte in wrong), error.end


codecs.register_error("skycore.cp1252", _as_cp1252)


def _marked(data: bytes) -> str | None:
    """UTF-16 or UTF-32 by byte order mark, or UTF-16 by where the zero bytes are."""
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, "replace") if encoding != "utf-8" else None
    head = data[:64]
    high, low = head[0::2], head[1::2]
    if low.count(0) * 2 > len(low) and 0 not in high:
        return data.decode("utf-16-le", "replace")
    if high.count(0) * 2 > len(high) and 0 not in low:
        return data.decode("utf-16-be", "replace")
    return None


def _not_utf8(data: bytes) -> str:
    """Decode bytes that are not UTF-8."""
    with suppress(UnicodeError):  # emoji as two halves of three bytes each, as from some databases
        halves = data.decode("utf-8", "surrogatepass")
        return halves.encode("utf-16", "surrogatepass").decode("utf-16")
    declared = _DECLARED.search(data, 0, 1024)
    if declared:
        name = declared[1].decode().lower()
        if _BELIEVED.fullmatch(name):
            with suppress(LookupError):  # such as iso-88597
                return data.decode(name, "replace")
        if name in {"iso-8859-1", "latin1", "latin-1", "windows-1252", "cp1252"}:
            return codecs.charmap_decode(data, "strict", _CP1252)[0]
    if data.decode("utf-8", "replace").count("\ufffd") > MAX_WRONG_BYTES:
        return codecs.charmap_decode(data, "strict", _CP1252)[0]
    return data.decode("utf-8", "skycore.cp1252")


def as_utf8(data: bytes) -> bytes:
    """Return the same text in UTF-8, without a byte order mark, space or zero bytes around it."""
    if not data.isascii() or 0 in data:
        text = _marked(data)
        if text is None:
            data = data.removeprefix(codecs.BOM_UTF8)
            try:
                data.decode()
            except UnicodeDecodeError:
                text = _not_utf8(data)
        if text is not None:
            data = text.encode("utf-8", "replace")
    return data.strip(_AROUND).removeprefix(codecs.BOM_UTF8).lstrip(_AROUND)


_AROUND = b" \t\r\n\v\f\0"

_ESCAPED = re.compile(
    rb"&(?:amp;)*(?:lt|quot|#0*(?:60|34|123|91)|#x0*(?:3c|22|7b|5b));", re.IGNORECASE
)
_PERCENT = re.compile(
    rb"%(?:25)*(?:3c|7b|5b|22|26|ef|ff|fe|0d|0a|20)|[\w.-]{1,64}%(?:25)*3d", re.IGNORECASE
)
# Base64 of what begins with `<`, `{`, `[`, a byte order mark or gzip's mark.
_BASE64 = re.compile(rb"(?:P[A-P]|e[w-z]|W[w-z]|77u/|H4sI)[A-Za-z0-9+/ \r\n]{10,}={0,2}")


def decode_layer(body: bytes) -> bytes | None:
    """Return the content of a body that is all base64, HTML escapes or percent encoding, else None.

    Raises UnreadableError.
    """
    if _BASE64.fullmatch(body):
        return _base64_decoded(body)
    if _ESCAPED.match(body):
        return _html_unescaped(body)
    if _PERCENT.match(body):
        return _percent_decoded(body)
    return None


def _base64_decoded(body: bytes) -> bytes:
    """Return the content. A form may have made spaces of `+`, of which the last is lost."""
    text = b"".join(body.replace(b" ", b"+").split())
    if b" " in body and len(text) % 4 == 3:
        text += b"+"
    try:
        return b64decode(text + b"==")
    except ValueError:
        raise UnreadableError("base64 that cannot be read") from None


def _html_unescaped(body: bytes) -> bytes:
    try:
        return unescape(body.decode()).encode()
    except ValueError:  # a reference to a number of thousands of digits
        raise UnreadableError("HTML escapes that cannot be read") from None


def _percent_decoded(value: bytes) -> bytes:
    return unquote_to_bytes(value.replace(b"+", b" "))


def form_fields(body: bytes) -> list[tuple[bytes, bytes]]:
    """Return names and values of an urlencoded form. Raises UnreadableError."""
    pairs = body.split(b"&", MAX_FORM_FIELDS)
    if len(pairs) > MAX_FORM_FIELDS:
        raise UnreadableError(f"a form of more than {MAX_FORM_FIELDS} fields")
    fields = (pair.partition(b"=") for pair in pairs)
    return [(_percent_decoded(name), _percent_decoded(value)) for name, _, value in fields]


# Prose may hold `&` and `<`; a name or a URL may hold `&`. In all other fields, which hold codes,
# numbers, ids and times, they are damage.
_PROSE_FIELDS = {
    *("text", "subject", "keyword", "status_details", "operator_name", "campaign_title"),
    *("brand_name", "copy_to", "reference_value", "reference_data"),
}
_NAME_FIELDS = {
    *("campaign", "client_reference", "custom_pass_id", "email", "from_mask", "handset", "os"),
    *("audio_name", "video_name", "files"),
}
_MARKUP = re.compile('[<>"{}]')
_CODE = re.compile(r"[A-Za-z]?\d{3,4}")
_TIME = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{1,9})?([+-]\d\d(:?\d\d)?|Z)?", re.IGNORECASE
)


def refuse_uncertain(roots: list[Node]) -> None:
    """Raise UnreadableError if a repaired document shows that the repair may be wrong.

    A code or a time that does not look like one, or markup in a field that has none, means that a
    tag or a quote was damaged in a way that has more than one reading.
    """
    for node in (node for root in roots for node in root.walk() if not node.children):
        _, field = fields_by_element().get(node.plain, (0, None))
        text = node.text.strip()
        if field is None or field.name in _PROSE_FIELDS or not text:
            continue
        wrong = _MARKUP.search(text) or ("&" in text and field.name not in _NAME_FIELDS)
        wrong = wrong or (field.name == "code" and not _CODE.fullmatch(text))
        wrong = wrong or (field.shape == "time" and not _TIME.fullmatch(text))
        if wrong:
            raise UnreadableError(f"a repair leaves {field.name} in doubt")
