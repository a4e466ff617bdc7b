"""Names of a postback's elements, the same for XML, its hyphenated twin and JSON."""

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, cast

type Shape = Literal["text", "prose", "number", "numbers", "time", "list"]


@dataclass(frozen=True, slots=True)
class PostbackField:
    """One field of an event.

    `elements`: the elements that give it, the most telling first. `shape`: `prose` keeps its
    blanks, `number` is a phone number or a sender's name, `time` becomes UTC.
    """

    name: str
    elements: tuple[str, ...]
    shape: Shape
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
                shape=cast("Shape", row["shape"]),
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
