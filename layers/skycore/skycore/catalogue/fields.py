"""JSON names and shapes of the elements of a reply."""

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

Shape = Literal["text", "int", "list", "map", "group", "groups", "markup"]


@dataclass(frozen=True, slots=True)
class ReplyField:
    """How an element of a reply reads in JSON.

    ``text`` and ``int``; ``list``: one text with commas; ``map``: child elements; ``group``: a map
    that may occur several times, told as a list; ``groups``: an element around such maps;
    ``markup``: HTML that may come unescaped.
    """

    name: str
    shape: Shape


def reply_field(xml: str) -> ReplyField | None:
    """The field of this element; letter case, ``-`` and ``_`` do not matter."""
    return _by_element().get(_folded(xml))


def field_named(name: str) -> ReplyField | None:
    """The field of this JSON name, None for one that no reply has."""
    return next((field for field in _by_element().values() if field.name == name), None)


def _folded(xml: str) -> str:
    return xml.upper().replace("-", "").replace("_", "")


@cache
def _by_element() -> dict[str, ReplyField]:
    path = Path(__file__).with_name("fields.csv")
    with path.open(encoding="utf-8", newline="") as file:
        return {
            _folded(row["xml"]): ReplyField(row["json"], _shape(row["shape"]))
            for row in csv.DictReader(file)
        }


def _shape(text: str) -> Shape:
    for shape in ("text", "int", "list", "map", "group", "groups", "markup"):
        if text == shape:
            return shape
    raise ValueError(f"fields.csv: no such shape: {text}")
