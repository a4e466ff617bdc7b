"""Repairs of JSON that Skycore is known to print, tried only when a strict reading failed.

- `“code”: "N202”`: typographic quotes in place of straight ones
- `"install-id": "1" "reference-data": "2"`: no comma between two members

The result is read strictly, so that a wrong guess is refused and not believed.
"""

import re

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
