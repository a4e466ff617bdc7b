"""JSON bodies: v2 postbacks, wallet v3 ones, and lists of them."""

import json
import re
from collections.abc import Iterator
from typing import Any

from skycore.postbacks.document import (
    MAX_DEPTH,
    MAX_ELEMENTS,
    MAX_PIECES,
    WRITTEN_BY_PEOPLE,
    Node,
    UnreadableError,
    refuse_uncertain,
)


def read_json(text: str) -> list[Node]:
    """Return the top values of a JSON body; repaired only when it cannot be read as it is.

    Raises UnreadableError when the body cannot be read with certainty, or is over a bound.
    """
    _refuse_too_much(text)
    try:
        return _nodes(_values(text))
    except ValueError:
        pass
    repaired = repair_json(text)
    if repaired is not None:
        _refuse_too_much(repaired)
        try:
            roots = _nodes(_values(repaired))
        except ValueError:
            pass
        else:
            if any(node.plain in WRITTEN_BY_PEOPLE for root in roots for node in root.walk()):
                raise UnreadableError("JSON with a person's text is not well-formed")
            refuse_uncertain(roots)
            return roots
    raise UnreadableError("JSON is not well-formed")


_MARK = re.compile(r'"(?>[^"\\]|\\.)*+"?|[{}\[\],]', re.DOTALL)


def _refuse_too_much(text: str) -> None:
    """Raise UnreadableError if the text is over a bound, before it is decoded.

    Commas separate members, so that they and the brackets are counted.
    """
    depth = members = 0
    for number, mark in enumerate(_MARK.finditer(text)):
        character = text[mark.start()]
        if character in "{[":
            depth += 1
        elif character in "}]":
            depth -= 1
        if character in "{[,":
            members += 1
        if depth > MAX_DEPTH:
            raise UnreadableError(f"JSON nested deeper than {MAX_DEPTH}")
        if members > MAX_ELEMENTS or number > 6 * MAX_ELEMENTS:
            raise UnreadableError(f"more than {MAX_ELEMENTS} JSON members")


class _Members(list[tuple[str, Any]]):
    """An object's members in order, a repeated name included."""


# Numbers stay as they are written: an id may be longer than a float is exact.
_DECODER = json.JSONDecoder(
    object_pairs_hook=_Members,
    parse_int=str,
    parse_float=str,
    parse_constant=str,
    strict=False,  # line breaks inside strings
)


_JUNK = re.compile(r'[^"“”{}\[\]]*')


def _values(text: str) -> Iterator[Any]:
    """Yield each JSON value in the text.

    Junk may follow the last value. Raises ValueError if that may be more JSON.
    """
    place = 0
    while True:
        value, place = _DECODER.raw_decode(text, place)
        yield value
        while text[place : place + 1] in {" ", "\t", "\r", "\n", ","}:
            place += 1
        if text[place : place + 1] not in {"{", "["}:
            break
    if not _JUNK.fullmatch(text, place):
        raise ValueError("JSON after its last value")


def _nodes(values: Iterator[Any]) -> list[Node]:
    """Return a node for each value, and for each entry of a list at the top."""
    root = Node("")
    added = sum(_add(root, "", value, 1) for value in values)
    if added > MAX_ELEMENTS:
        raise UnreadableError(f"more than {MAX_ELEMENTS} JSON members")
    if not root.children:
        raise UnreadableError("JSON without an object")
    return root.children


def _add(parent: Node, name: str, value: Any, depth: int) -> int:
    """Add a member, each entry of a list as one of the same name; return how many there are."""
    if depth > MAX_DEPTH:
        raise UnreadableError(f"JSON nested deeper than {MAX_DEPTH}")
    if isinstance(value, list) and not isinstance(value, _Members):
        return 1 + sum(_add(parent, name, entry, depth + 1) for entry in value)
    node = Node(name, is_json=True)
    parent.children.append(node)
    if isinstance(value, _Members):
        return 1 + sum(_add(node, member, content, depth + 1) for member, content in value)
    if isinstance(value, str):
        node.text = value
    elif value is not None:
        node.text = "true" if value else "false"
    return 1


_QUOTES = "“”„‟″"
_TOKEN = re.compile(rf'\s+|[{{}}\[\]:,]|["{_QUOTES}]|[-+.\w]+')
_STRAIGHT_END = re.compile(rf'(?>[^"\\{_QUOTES}]|\\.)*+(["{_QUOTES}])', re.DOTALL)
_ENDS_VALUE = re.compile(r"\s*(?:[,:}\]]|$)")
_NAME_FOLLOWS = re.compile(r"\s*:")


def repair_json(text: str) -> str | None:
    """Return the text with typographic quotes and missing commas repaired; None when in doubt.

    Both occur in Skycore's printed samples.
    """
    out: list[str] = []
    place = 0
    after_value = False
    for _ in range(MAX_PIECES):
        if place == len(text):
            return "".join(out)
        token = _TOKEN.match(text, place)
        if token is None:
            return None
        place = token.end()
        piece = token[0]
        if piece in f'"{_QUOTES}':
            end = _string_end(text, place, straight=piece == '"')
            if end is None:
                return None
            if after_value and _NAME_FOLLOWS.match(text, end + 1):
                if "".join(out[-2:]).rstrip().endswith(',"'):
                    return None  # the comma may stand on the wrong side of the quote
                out.append(",")
            out.append(f'"{text[place:end]}"')
            place = end + 1
            after_value = True
        else:
            out.append(piece)
            if not piece.isspace():
                after_value = piece not in {"{", "[", ":", ","}
    return None


def _string_end(text: str, start: int, *, straight: bool) -> int | None:
    """Return the place of the quote that ends the string whose content starts there.

    A straight quote always does. A typographic one does after a typographic one; after a straight
    one only where a value can end, because a text may hold quotations.
    """
    place = start
    while found := _STRAIGHT_END.match(text, place):
        place = found.end()
        if found[1] == '"' or not straight or _ENDS_VALUE.match(text, place):
            return place - 1
    return None
