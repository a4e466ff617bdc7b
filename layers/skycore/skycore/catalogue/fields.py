"""Fields of replies and postbacks, with their JSON names and shapes, and names of carriers."""

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, cast

ReplyShape = Literal["text", "int", "list", "map", "group", "groups", "markup"]


@dataclass(frozen=True, slots=True)
class ReplyField:
    """An element of a reply in JSON.

    ``text`` and ``int``; ``list``: one text with commas; ``map``: child elements; ``group``: a map
    that may occur several times, a list in JSON; ``groups``: an element around such maps;
    ``markup``: HTML that may come unescaped.
    """

    name: str
    shape: ReplyShape


def reply_field(xml: str) -> ReplyField | None:
    """Return the field of this element; letter case, ``-`` and ``_`` do not matter."""
    return _by_element().get(plain_name(xml))


def field_named(name: str) -> ReplyField | None:
    """Return the field with this JSON name; None if no reply has it."""
    return next((field for field in _by_element().values() if field.name == name), None)


@cache
def _by_element() -> dict[str, ReplyField]:
    path = Path(__file__).with_name("fields.csv")
    with path.open(encoding="utf-8", newline="") as file:
        return {
            plain_name(row["xml"]): ReplyField(row["json"], _shape(row["shape"]))
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

    `elements`: the elements that hold it, the most specific first. `shape`: `prose` keeps its
    spaces, `number` is a phone number or a sender's name, `time` becomes UTC.
    """

    name: str
    elements: tuple[str, ...]
    shape: PostbackShape
    meaning: str


@cache
def all_postback_fields() -> tuple[PostbackField, ...]:
    """Return every documented field, in the order in which events list them."""
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
    """Return an element's name without what differs by form: `tracking-id` is `TRACKINGID`."""
    return element.replace("-", "").replace("_", "").upper()


@cache
def fields_by_element() -> dict[str, tuple[int, PostbackField]]:
    """Return, by plain name, the element's index in its field's `elements`, and the field."""
    return {
        element: (rank, field)
        for field in all_postback_fields()
        for rank, element in enumerate(field.elements)
    }


ALL_CARRIERS = "All Carriers"  # a name that needs its country beside it


def carrier_name(spid: str) -> str | None:
    """Return a carrier's name by its id (SPID, operator id); None if no list of Skycore's has it.

    Ids are seven digits with their leading zeros. Until November 2013 the last digit was missing
    (000189 for 0001890), and software that reads the id as a number drops the leading zeros. If
    two lists give one id to two carriers, the name has both.
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
            other = names.get(row["spid"])
            names[row["spid"]] = f"{other} or {name}" if other and other != name else name
    return names
