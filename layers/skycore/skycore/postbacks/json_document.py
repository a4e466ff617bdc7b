"""JSON bodies: v2 postbacks, wallet v3 ones, and lists of them."""

import json
import re
from collections.abc import Iterator
from typing import Any

from skycore.postbacks.document import MAX_DEPTH, MAX_ELEMENTS, Node, UnreadableError


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


def _values(text: str) -> Iterator[Any]:
    """Each JSON value in the text; what follows the last is junk unless it begins another."""
    place = 0
    while True:
        value, place = _DECODER.raw_decode(text, place)
        yield value
        while text[place : place + 1] in {" ", "\t", "\r", "\n", ","}:
            place += 1
        if text[place : place + 1] not in {"{", "["}:
            return


class _Nodes:
    """Makes nodes of values within the bounds."""

    def __init__(self) -> None:
        self.elements = 0

    def add(self, parent: Node, name: str, value: Any, depth: int) -> None:
        """Add a member; each entry of a list becomes one of the same name."""
        if depth > MAX_DEPTH:
            raise UnreadableError(f"JSON nested deeper than {MAX_DEPTH}")
        self.elements += 1
        if self.elements > MAX_ELEMENTS:
            raise UnreadableError(f"more than {MAX_ELEMENTS} JSON members")
        if isinstance(value, list) and not isinstance(value, _Members):
            for entry in value:
                self.add(parent, name, entry, depth + 1)
            return
        node = Node(name, is_json=True)
        parent.children.append(node)
        if isinstance(value, _Members):
            for member, content in value:
                self.add(node, member, content, depth + 1)
        elif isinstance(value, str):
            node.text = value
        elif value is not None:
            node.text = "true" if value else "false"


def read_json(text: str) -> list[Node]:
    """The top values of a JSON body; repaired only when it cannot be read as it is.

    Raises UnreadableError when it cannot be read, or is over a bound.
    """
    try:
        values = _decoded(text)
    except ValueError:
        mended = mend_json(text)
        try:
            if mended is None:
                raise
            values = _decoded(mended)
        except ValueError:
            raise UnreadableError("JSON is not well-formed") from None
    root = Node("")
    nodes = _Nodes()
    for value in values:
        nodes.add(root, "", value, 1)
    if not root.children:
        raise UnreadableError("JSON without an object")
    return root.children


def _decoded(text: str) -> list[Any]:
    try:
        return list(_values(text))
    except RecursionError:
        raise UnreadableError(f"JSON nested deeper than {MAX_DEPTH}") from None


_QUOTES = "“”„‟″"
_TOKEN = re.compile(rf'\s+|[{{}}\[\]:,]|["{_QUOTES}]|[-+.\w]+')
_STRAIGHT_END = re.compile(rf'(?>[^"\\{_QUOTES}]|\\.)*+(["{_QUOTES}])', re.DOTALL)
_ENDS_VALUE = re.compile(r"\s*(?:[,:}\]]|$)")
_NAME_FOLLOWS = re.compile(r"\s*:")


def _string_end(text: str, start: int, *, straight: bool) -> int | None:
    """Place of the quote that ends the string whose content starts there.

    A straight quote always does. A typographic one does after a typographic one; after a straight
    one only where a value can end, because a text may hold quotations.
    """
    place = start
    while found := _STRAIGHT_END.match(text, place):
        place = found.end()
        if found[1] == '"' or not straight or _ENDS_VALUE.match(text, place):
            return place - 1
    return None


def mend_json(text: str) -> str | None:
    """The text with quotes and commas mended, None where that cannot help."""
    out: list[str] = []
    place = 0
    after_value = False
    while place < len(text):
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
                out.append(",")
            out.append(f'"{text[place:end]}"')
            place = end + 1
            after_value = True
        else:
            out.append(piece)
            if not piece.isspace():
                after_value = piece not in {"{", "[", ":", ","}
    return "".join(out)
