"""Cutting an event's values to what a queue takes."""

import json
from typing import Any, NamedTuple


class _Place(NamedTuple):
    """Where a text stands: in the data, in `extra` or in a list; bytes of both in JSON."""

    size: int
    holder: Any
    key: Any
    name_size: int


def cut_values(data: dict[str, Any], most: int) -> bool:
    """Cut the longest texts so that all are at most so many bytes in JSON; whether it had to.

    `raw` stays base64, every text ends at a character, and an unknown element that nothing is
    left of goes. The given lists and `extra` are not changed but replaced.
    """
    if sum(map(_characters, data.values())) * 6 <= most:  # no character has more than 6 bytes
        return False
    data["extra"] = dict(data["extra"])
    places = [place for group in (data["extra"], data) for place in _places(group, data)]
    if sum(place.size for place in places) <= most:
        return False
    left = most
    for taken, place in enumerate(sorted(places, key=lambda place: place.size)):
        share = left // (len(places) - taken)
        text = place.holder[place.key]
        if place.size > share:
            text = _beginning(
                text,
                share - place.name_size - _size(""),
                by=4 if place.key == "raw" and place.holder is data else 1,
            )
            place.holder[place.key] = text
        left -= min(place.size, share)
    _drop_empty(data)
    return True


def _characters(value: Any) -> int:
    """Characters of a value with its punctuation, at least."""
    if isinstance(value, str):
        return len(value) + 3
    if isinstance(value, dict):
        return sum(len(name) + 4 + _characters(entry) for name, entry in value.items())
    return sum(map(_characters, value)) if isinstance(value, list) else 0


def _size(value: str) -> int:
    """Bytes of a text in JSON, with its quotes and what separates it from the next."""
    return len(json.dumps(value, ensure_ascii=False).encode()) + 1


def _places(group: dict[str, Any], data: dict[str, Any]) -> list[_Place]:
    """Every text of a group. Names are counted where Skycore chose them."""
    places = []
    for name, value in group.items():
        name_size = 0 if group is data else _size(name)
        if isinstance(value, str):
            places.append(_Place(name_size + _size(value), group, name, name_size))
        elif isinstance(value, list):
            group[name] = texts = list(value)
            for number, text in enumerate(texts):
                places.append(_Place(name_size + _size(text), texts, number, name_size))
    return places


def _beginning(text: str, most: int, *, by: int) -> str:
    """The longest beginning that is at most so many bytes in JSON, in steps of `by` characters."""
    low, high = 0, max(0, min(most, len(text))) // by
    while low < high:
        middle = (low + high + 1) // 2
        if _size(text[: middle * by]) - _size("") <= most:
            low = middle
        else:
            high = middle - 1
    return text[: low * by]


def _drop_empty(data: dict[str, Any]) -> None:
    """Take out what nothing is left of."""
    for group in data, data["extra"]:
        for name, value in list(group.items()):
            if isinstance(value, list):
                group[name] = value = [text for text in value if text]  # noqa: PLW2901
            if value in ("", []):
                if group is data:
                    data[name] = None
                else:
                    del group[name]
