"""Repairs of XML that Skycore is known to send, tried only when a strict reading failed.

People's texts are set apart by then, so that everything here is Skycore's own markup. A repair is
made only where one reading exists. In doubt the body is unparsed: a value must not land in
another field, and markup must not land in a value.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from skycore.catalogue.fields import fields_by_element, plain_name
from skycore.postbacks.document import (
    MAX_DEPTH,
    MAX_PIECES,
    WRITTEN_BY_PEOPLE,
    replace_unsupported,
)

_TAG = re.compile(r"""<(/?)([A-Za-z_][\w:.-]*)((?>[^<>"']|"[^"<]*"|'[^'<]*')*+)>""")
_AMPERSAND = re.compile(r"&(?!(?:amp|lt|gt|quot|apos|#[0-9]{1,7}|#x[0-9A-Fa-f]{1,6});)")
_REFERENCE = re.compile(r"&(?:(amp|lt|gt|quot|apos)|#x([0-9A-Fa-f]{1,6})|#([0-9]{1,7}));")
_NAMED = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}
_QUOTED = re.compile(r"""("[^"]*"|'[^']*')(?=([A-Za-z_:])?)""")
_PREFIXED_ATTRIBUTE = re.compile(
    r"""(?<![\w:.-])[A-Za-z_][\w.-]{0,40}:[\w.-]+\s*=\s*(?:"[^"]*"|'[^']*')"""
)
_MARKUP = re.compile("[<>]|&(?:lt|gt|#)")


class _Piece(NamedTuple):
    """A piece of markup or text. `kind`: text, open, empty, close, or as-is (comment, CDATA)."""

    kind: str
    source: str
    name: str = ""
    attributes: str = ""


class _InDoubtError(Exception):
    """There is more than one reading, or none."""


def _pieces(text: str) -> Iterator[_Piece]:
    """Yield the text in pieces, at most MAX_PIECES, in time linear in its length."""
    place = 0
    for _ in range(MAX_PIECES):
        if place == len(text):
            return
        start = text.find("<", place)
        if start != place:
            end = start if start > 0 else len(text)
            yield _Piece("text", text[place:end])
        elif text.startswith(("<!--", "<![CDATA[", "<?"), start):
            end = _end_of_section(text, start)
            if text[start + 1] == "!":
                yield _Piece("as-is", text[start:end])
        elif tag := _TAG.match(text, start):
            slash, name, attributes = tag.groups()
            kind = "close" if slash else "empty" if attributes.endswith("/") else "open"
            yield _Piece(kind, tag[0], name, attributes)
            end = tag.end()
        elif text[start + 1 : start + 2] in {"/", "!", ""} or text[start + 1].isalpha():
            raise _InDoubtError
        else:
            yield _Piece("text", "<")
            end = start + 1
        place = end
    raise _InDoubtError


def _end_of_section(text: str, start: int) -> int:
    """Return where the comment, CDATA section or instruction that starts there ends."""
    opening = "<!--" if text.startswith("<!--", start) else text[start : start + 2]
    closing = {"<!--": "-->", "<!": "]]>", "<?": "?>"}[opening]
    end = text.find(closing, start)
    if end < 0:
        raise _InDoubtError
    return end + len(closing)


# --- Characters -------------------------------------------------------------------------------


def repair_characters(text: str) -> str | None:
    """Return the text with its characters, references and tags repaired; None when in doubt.

    `AT&T` and `a <3` are escaped, `&#xD83D;&#xDE00;` is one emoji, `id="1"created="2"` gets its
    space, and prefixes without `xmlns:` are removed. So is the declaration: the encoding is known.
    """
    unbound = "xmlns:" not in text
    out = []
    try:
        for kind, source, name, attributes in _pieces(replace_unsupported(text)):
            if kind == "text":
                out.append(_escape_bare(source).replace("<", "&lt;"))
            elif kind == "as-is":
                out.append(source)
            else:
                if unbound:
                    name = _local(name)  # noqa: PLW2901
                    attributes = _PREFIXED_ATTRIBUTE.sub("", attributes)  # noqa: PLW2901
                spaced = _QUOTED.sub(
                    lambda quoted: quoted[1] + " " if quoted[2] else quoted[1], attributes
                )
                out.append(f"<{'/' if kind == 'close' else ''}{name}{_escape_bare(spaced)}>")
    except _InDoubtError:
        return None
    return "".join(out)


def _escape_bare(text: str) -> str:
    """Escape each `&` that does not begin an XML reference; repair references to characters."""
    if "&" not in text:
        return text
    repaired = _REFERENCE.sub(lambda found: found[0] if found[1] else _character(found), text)
    return _AMPERSAND.sub("&amp;", _join_surrogates(repaired))


def resolve_references(text: str) -> str:
    """Return the text with its references resolved, those that XML knows."""
    if "&" not in text:
        return text
    return _join_surrogates(_REFERENCE.sub(_resolved, text))


def _character(reference: re.Match[str]) -> str:
    """Return the reference to a character, resolved if XML does not allow it."""
    character = _resolved(reference)
    return character if character == "\ufffd" or "\ud800" <= character <= "\udfff" else reference[0]


def _resolved(reference: re.Match[str]) -> str:
    """Return the character, or the surrogate; U+FFFD if there is no such character."""
    named, hexadecimal, decimal = reference.groups()
    if named:
        return _NAMED[named]
    number = int(hexadecimal, 16) if hexadecimal else int(decimal)
    if number > 0x10FFFF:
        return "\ufffd"
    half = 0xD800 <= number <= 0xDFFF
    return chr(number) if half else replace_unsupported(chr(number))


def _join_surrogates(text: str) -> str:
    """Join pairs of surrogates; replace those without a pair by U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


# --- Elements left open -----------------------------------------------------------------------


@dataclass(slots=True)
class _Open:
    """An open element, and what it holds so far: nothing, text or elements."""

    name: str
    holds: str = ""
    texts: list[str] = field(default_factory=list)


def close_leaves(text: str) -> str | None:
    """Return the text with each field closed that was left open; None when in doubt.

    A field holds text only, so the next field's tag or its container's end tag ends it.
    `<FROM_MASK><FROM_MASK>` (the slash forgotten) is an empty field; `<OS>x<TO>1</TO>` and
    `<OS>x</POSTBACK>` end OS where the next field or its container's end begins. A close tag in
    other letter case than its open tag closes it.
    """
    try:
        pieces = list(_pieces(text))
        return "".join(_Closing(pieces).pieces())
    except _InDoubtError:
        return None


class _Closing:
    """One walk over the pieces with the open elements on a stack."""

    def __init__(self, pieces: list[_Piece]) -> None:
        self.all = pieces
        self.closed = {piece.name for piece in pieces if piece.kind == "close"}
        self.stack: list[_Open] = []

    def pieces(self) -> Iterator[str]:
        """Yield the repaired pieces."""
        for number, piece in enumerate(self.all):
            if piece.kind in {"text", "as-is"}:
                self._add(piece.source)
                yield piece.source
            elif piece.kind == "close":
                yield from self._close(piece.name)
            else:
                yield from self._open(number, piece)
        if self.stack:
            raise _InDoubtError

    def _add(self, text: str) -> None:
        if self.stack:
            self.stack[-1].texts.append(text)
            if not self.stack[-1].holds and not text.isspace():
                self.stack[-1].holds = "text"

    def _in_leaf(self) -> bool:
        """Return whether the innermost open element can hold text only."""
        top = self.stack[-1]
        return _is_field(top.name) or (top.holds == "text" and top.name not in self.closed)

    def _end(self) -> str:
        """Close the innermost element, whose end tag is missing.

        In doubt if a person wrote it, or if its text may hold the rest of a damaged tag.
        """
        top = self.stack.pop()
        text = "".join(top.texts).rstrip().lower()
        by_person = plain_name(_local(top.name)) in WRITTEN_BY_PEOPLE
        rest_of_tag = text.endswith("/") or f"/{top.name.lower()}" in text
        if by_person or rest_of_tag or _MARKUP.search(text):
            raise _InDoubtError
        return f"</{top.name}>"

    def _open(self, number: int, piece: _Piece) -> Iterator[str]:
        if self.stack and self._in_leaf():
            if _same(piece.name, self.stack[-1].name):
                yield from self._open_again(number)
                return
            if not _is_field(piece.name) and plain_name(_local(piece.name)) != "CONTENT":
                raise _InDoubtError
            yield self._end()
        if self.stack:
            self.stack[-1].holds = "elements"
        if piece.kind == "open":
            if len(self.stack) == MAX_DEPTH:
                raise _InDoubtError
            self.stack.append(_Open(piece.name))
        yield piece.source

    def _open_again(self, number: int) -> Iterator[str]:
        """Read a field's own open tag inside it: the slash forgotten, or the tag written twice."""
        following = self.all[number + 1 : number + 3]
        text = bool(following) and following[0].kind in {"text", "as-is"}
        blank = not text or following[0].source.isspace()
        tag = following[1 if text else 0 :][:1]
        if tag and tag[0].kind == "close" and _same(tag[0].name, self.stack[-1].name):
            if self.stack[-1].holds:
                raise _InDoubtError
        elif blank:
            yield self._end()
        else:
            raise _InDoubtError

    def _close(self, name: str) -> Iterator[str]:
        if self.stack and not _same(name, self.stack[-1].name) and self._in_leaf():
            yield self._end()
        if not self.stack or not _same(name, self.stack[-1].name):
            raise _InDoubtError
        yield f"</{self.stack.pop().name}>"


def _local(name: str) -> str:
    return name.rpartition(":")[2]


def _same(one: str, other: str) -> bool:
    return one.lower() == other.lower()


def _is_field(name: str) -> bool:
    return plain_name(_local(name)) in fields_by_element()
