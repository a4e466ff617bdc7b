"""Repairs of XML that Skycore is known to send, tried only when a strict reading failed.

`mend_characters` changes characters and tags where only one reading exists:
- `bare_ampersands`: `AT&T` is `AT&amp;T`
- `bare_less_thans`: `I <3 you` is `I &lt;3 you`
- `uncarried_references`: `&#xD83D;&#xDE00;` is one emoji, `&#1;` is U+FFFD
- `spaced_attributes`: `id="1"created="2"` has a blank between
- `unbound_prefixes`: `xsi:a="..."` goes where no `xmlns:xsi` is; the declaration always goes,
  because the encoding is known by then

`close_leaves` closes fields that were left open. A field holds text only, so that the next
field's tag or its container's end tag ends it. In doubt it gives up: a value must not land in
another field.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from skycore.catalogue.fields import fields_by_element, plain_name
from skycore.postbacks.document import carried

_TAG = re.compile(
    r"""<(/?)([A-Za-z_][\w:.-]*)((?>[^<>"']|"[^"<]*"|'[^'<]*')*+)>""",
)
_AMPERSAND = re.compile(r"&(?!(?:amp|lt|gt|quot|apos|#[0-9]{1,7}|#x[0-9A-Fa-f]{1,6});)")
_REFERENCE = re.compile(r"&#(?:x([0-9A-Fa-f]{1,6})|([0-9]{1,7}));")
_QUOTED = re.compile(r"""("[^"]*"|'[^']*')(?=([A-Za-z_:])?)""")
_PREFIXED_ATTRIBUTE = re.compile(
    r"""(?<![\w:.-])[A-Za-z_][\w.-]*:[\w.-]+\s*=\s*(?:"[^"]*"|'[^']*')"""
)


class _Piece(NamedTuple):
    """A piece of markup or text. `kind`: text, open, empty, close, or as-is (comment, CDATA)."""

    kind: str
    source: str
    name: str = ""
    attributes: str = ""


class _InDoubtError(Exception):
    """More than one reading, or none."""


def _pieces(text: str) -> Iterator[_Piece]:
    """The text in pieces, in time linear in its length."""
    place = 0
    while place < len(text):
        start = text.find("<", place)
        if start < 0:
            start = len(text)
        if start > place:
            yield _Piece("text", text[place:start])
            place = start
            continue
        for opening, closing in (("<!--", "-->"), ("<![CDATA[", "]]>"), ("<?", "?>")):
            if text.startswith(opening, start):
                end = text.find(closing, start)
                if end < 0:
                    raise _InDoubtError
                place = end + len(closing)
                if opening != "<?":
                    yield _Piece("as-is", text[start:place])
                break
        else:
            tag = _TAG.match(text, start)
            if tag:
                slash, name, attributes = tag.groups()
                kind = "close" if slash else "empty" if attributes.endswith("/") else "open"
                yield _Piece(kind, tag[0], name, attributes)
                place = tag.end()
            elif text[start + 1 : start + 2] in {"/", "!", ""} or text[start + 1].isalpha():
                raise _InDoubtError
            else:
                yield _Piece("text", "<")
                place = start + 1


def bare_ampersands(text: str) -> str:
    """Escape each `&` that begins no reference that XML knows."""
    return _AMPERSAND.sub("&amp;", text)


def bare_less_thans(text: str) -> str:
    """Escape each `<`; for text, in which none begins a tag."""
    return text.replace("<", "&lt;")


def _referred(reference: re.Match[str]) -> str:
    hexadecimal, decimal = reference.groups()
    number = int(hexadecimal, 16) if hexadecimal else int(decimal)
    if 0xD800 <= number <= 0xDFFF:
        return chr(number)
    if number > 0x10FFFF or carried(chr(number)) != chr(number):
        return "\ufffd"
    return reference[0]


def uncarried_references(text: str) -> str:
    """Join references to surrogates into one character; no character for what XML forbids."""
    if "&#" not in text:
        return text
    text = _REFERENCE.sub(_referred, text)
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def spaced_attributes(attributes: str) -> str:
    """Put the blank between two attributes that stand together."""
    return _QUOTED.sub(lambda quoted: quoted[1] + " " if quoted[2] else quoted[1], attributes)


def unbound_prefixes(name: str, attributes: str) -> tuple[str, str]:
    """The element's name without its prefix, and only the attributes that have none."""
    return _local(name), _PREFIXED_ATTRIBUTE.sub("", attributes)


def mend_characters(text: str) -> str | None:
    """The text with its characters, references and tags mended; None when in doubt."""
    unbound = "xmlns:" not in text
    out = []
    try:
        for kind, source, name, attributes in _pieces(carried(text)):
            if kind == "text":
                out.append(bare_ampersands(uncarried_references(bare_less_thans(source))))
            elif kind == "as-is":
                out.append(source)
            else:
                if unbound:
                    name, attributes = unbound_prefixes(name, attributes)  # noqa: PLW2901
                mended = spaced_attributes(bare_ampersands(uncarried_references(attributes)))
                out.append(f"<{'/' if kind == 'close' else ''}{name}{mended}>")
    except _InDoubtError:
        return None
    return "".join(out)


def close_leaves(text: str) -> str | None:
    """The text with each field closed that was left open; None when in doubt.

    `<FROM_MASK><FROM_MASK>` (the slash forgotten) is an empty field; `<OS>x<TO>1</TO>` and
    `<OS>x</POSTBACK>` end OS where the next field or its container's end begins. A close tag in
    other letter case than its open tag closes it.
    """
    try:
        pieces = list(_pieces(text))
        closed = {piece.name for piece in pieces if piece.kind == "close"}
        return "".join(_Closing(pieces, closed).pieces())
    except _InDoubtError:
        return None


class _Closing:
    """One walk over the pieces with the open elements on a stack."""

    def __init__(self, pieces: list[_Piece], closed: set[str]) -> None:
        self.all = pieces
        self.closed = closed
        self.stack: list[str] = []
        self.holds: list[str] = []  # what each of them holds so far: nothing, text or elements

    def pieces(self) -> Iterator[str]:
        """The mended pieces."""
        for number, piece in enumerate(self.all):
            if piece.kind in {"text", "as-is"}:
                if self.stack and not self.holds[-1] and not piece.source.isspace():
                    self.holds[-1] = "text"
                yield piece.source
            elif piece.kind == "close":
                yield from self._close(piece.name)
            else:
                yield from self._open(number, piece)
        if self.stack:
            raise _InDoubtError

    def _in_leaf(self) -> bool:
        """Whether the innermost open element can hold text only."""
        name = self.stack[-1]
        return _is_field(name) or (self.holds[-1] == "text" and name not in self.closed)

    def _pop(self) -> str:
        self.holds.pop()
        return f"</{self.stack.pop()}>"

    def _open(self, number: int, piece: _Piece) -> Iterator[str]:
        if self.stack and self._in_leaf():
            if _same(piece.name, self.stack[-1]):
                yield from self._open_again(number)
                return
            if not _is_field(piece.name) and plain_name(_local(piece.name)) != "CONTENT":
                raise _InDoubtError
            yield self._pop()
        if self.stack:
            self.holds[-1] = "elements"
        if piece.kind == "open":
            self.stack.append(piece.name)
            self.holds.append("")
        yield piece.source

    def _open_again(self, number: int) -> Iterator[str]:
        """A field's own open tag inside it: the slash forgotten, or the tag written twice."""
        following = self.all[number + 1 : number + 3]
        text = bool(following) and following[0].kind in {"text", "as-is"}
        blank = not text or following[0].source.isspace()
        tag = following[1 if text else 0 :][:1]
        if tag and tag[0].kind == "close" and _same(tag[0].name, self.stack[-1]):
            if self.holds[-1]:
                raise _InDoubtError
        elif blank:
            yield self._pop()
        else:
            raise _InDoubtError

    def _close(self, name: str) -> Iterator[str]:
        if self.stack and not _same(name, self.stack[-1]) and self._in_leaf():
            yield self._pop()
        if not self.stack or not _same(name, self.stack[-1]):
            raise _InDoubtError
        yield self._pop()


def _local(name: str) -> str:
    return name.rpartition(":")[2]


def _same(one: str, other: str) -> bool:
    return one.lower() == other.lower()


def _is_field(name: str) -> bool:
    return plain_name(_local(name)) in fields_by_element()
