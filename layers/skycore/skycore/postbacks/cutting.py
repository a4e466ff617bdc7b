"""Cutting an event's values to what a queue takes."""

import json
from typing import Any


def cut_values(data: dict[str, Any], most: int) -> bool:
    """Cut the longest values so that all are at most so many bytes in JSON; whether it had to.

    Each value has an equal share, and what short ones leave is the longer ones'. A text ends at a
    character, `raw` stays base64, a list and `extra` keep as many whole entries as fit. What the
    data holds is not changed but replaced.
    """
    if sum(map(_characters, data.values())) * 6 <= most:  # no character has more than 6 bytes
        return False
    sizes = {name: _size(value) for name, value in data.items() if value}
    if sum(sizes.values()) <= most:
        return False
    left = most
    for taken, name in enumerate(sorted(sizes, key=sizes.__getitem__)):
        share = left // (len(sizes) - taken)
        if sizes[name] > share:
            data[name] = _beginning(data[name], share, by=4 if name == "raw" else 1)
        left -= min(sizes[name], share)
    return True


def _characters(value: Any) -> int:
    """Characters of a value with its punctuation, at least."""
    if isinstance(value, str):
        return len(value) + 3
    if isinstance(value, dict):
        return sum(len(name) + 4 + _characters(entry) for name, entry in value.items())
    return sum(map(_characters, value)) if isinstance(value, list) else 0


def _size(value: Any) -> int:
    """Bytes of a value in compact JSON."""
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())


def _beginning(value: Any, most: int, *, by: int) -> Any:
    """As much of the beginning of a text, list or map as has so many bytes in JSON.

    Of a text in steps of `by` characters; of a map the first entry that is too long is cut. None
    when nothing is left of a list.
    """
    if isinstance(value, str):
        return _text(value, most, by=by)
    left = most - 2  # brackets
    if isinstance(value, list):
        kept = []
        for entry in value:
            left -= _size(entry) + 1
            if left < 0:
                break
            kept.append(entry)
        return kept or None
    held = {}
    for name, entry in value.items():
        room = left - _size(name) - 2
        if _size(entry) <= room:
            held[name] = entry
        else:
            held[name] = _beginning(entry, room, by=1)
            if not held[name]:
                del held[name]
            break
        left = room - _size(entry)
    return held


def _text(text: str, most: int, *, by: int) -> str:
    low, high = 0, max(0, min(most, len(text))) // by
    while low < high:
        middle = (low + high + 1) // 2
        if _size(text[: middle * by]) <= most:
            low = middle
        else:
            high = middle - 1
    return text[: low * by]
