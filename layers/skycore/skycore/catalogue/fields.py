"""Fields of replies and postbacks, with their JSON names and shapes, and names of carriers."""

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, cast

ReplyShape = Literal["text", "int", "list", "map", "group", "groups", "markup"]


@dataclass(frozen=True, slots=True)
class ReplyField:
    """How an element of a reply reads in JSON.

    ``text`` and ``int``; ``list``: one text with commas; ``map``: child elements; ``group``: a map
    that may occur several times, told as a list; ``groups``: an element around such maps;
    ``markup``: HTML that may come unescaped.
    """

    name: str
    shape: ReplyShape


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


def _shape(text: str) -> ReplyShape:
    for shape in ("text", "int", "list", "map", "group", "groups", "markup"):
        if text == shape:
            return shape
    raise ValueError(f"fields.csv: no such shape: {text}")


type PostbackShape = Literal["text", "prose", "number", "numbers", "time", "list"]


@dataclass(frozen=True, slots=True)
class PostbackField:
    """One field of an event.

    `elements`: the elements that give it, the most telling first. `shape`: `prose` keeps its
    blanks, `number` is a phone number or a sender's name, `time` becomes UTC.
    """

    name: str
    elements: tuple[str, ...]
    shape: PostbackShape
    meaning: str


@cache
def all_postback_fields() -> tuple[PostbackField, ...]:
    """Every documented field, in the order in which events list them."""
    path = Path(__file__).with_name("postback_fields.csv")
    with path.open(encoding="utf-8", newline="") as file:
        return tuple(
            PostbackField(
                name=row["name"],
                elements=tuple(row["elements"].split()),
                shape=cast("PostbackShape", row["shape"]),
                meaning=row["meaning"],
            )
            for row in csv.DictReader(file)
        )


def plain_name(element: str) -> str:
    """An element's name without what differs between the forms: `tracking-id` is `TRACKINGID`."""
    return element.replace("-", "").replace("_", "").upper()


@cache
def fields_by_element() -> dict[str, tuple[int, PostbackField]]:
    """By plain name: the element's place in its field's `elements`, and the field."""
    return {
        element: (rank, field)
        for field in all_postback_fields()
        for rank, element in enumerate(field.elements)
    }


ALL_CARRIERS = "All Carriers"  # a name that says something only with its country


def carrier_name(spid: str) -> str | None:
    """The carrier's name, or None when the id is not in Skycore's lists.

    Ids are seven digits with their leading zeros. Until November 2013 the last digit was missing
    (000189 for 0001890), and software that takes the id for a number loses the zeros in front.
    Where two lists give one id to two carriers, both are named.
    """
    names = _carrier_names()
    digits = spid.strip()
    for form in (digits, f"{digits}0" if len(digits) == 6 else digits, digits.zfill(7)):
        if form in names:
            return names[form]
    return None


@cache
def _carrier_names() -> dict[str, str]:
    path = Path(__file__).with_name("carriers.csv")
    names: dict[str, str] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            name = (
                f"{row['name']}, {row['country']}" if row["name"] == ALL_CARRIERS else row["name"]
            )
            known = names.get(row["spid"])
            names[row["spid"]] = f"{known} or {name}" if known and known != name else name
    return names
