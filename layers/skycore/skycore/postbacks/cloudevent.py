"""The CloudEvents envelope: every element present, values within what a queue takes."""

import json
from functools import cache
from typing import Any

from skycore.catalogue.fields import all_postback_fields

DATA_SCHEMA = "urn:skycore:schema/postback-event-v1.json"

MAX_VALUE_BYTES = 128 * 1024
"""All values as JSON together. SNS and SQS take 256 KiB with attributes and the rest."""

MAX_SUBJECT_CHARACTERS = 256
MAX_ATTRIBUTE_CHARACTERS = 100

_ATTRIBUTES = ("origin", "code", "outcome", "to", "from")


@cache
def data_names() -> tuple[str, ...]:
    """Return every element of an event's data, in the order in which it is written."""
    names = ["event"]
    for field in all_postback_fields():
        names.append(field.name)
        names += {
            "code": ["outcome", "terminal"],
            "tracking_id": ["message_id", "message_status"],
            "timestamp": ["received_at"],
        }.get(field.name, [])
    return (
        *names,
        *("media", "opt_out", "error", "raw", "from_report", "resolved_by", "reason"),
        *("truncated", "extra"),
    )


def envelope(
    *,
    id: str,  # noqa: A002 - CloudEvents' name
    type: str,  # noqa: A002
    source: str,
    subject: str | None,
    time: str,
    data: dict[str, Any],
    replaces: str | None = None,
) -> dict[str, Any]:
    """Return the envelope around the data; elements that the data does not have are null.

    If the values exceed MAX_VALUE_BYTES, the longest are cut and `truncated` is true.
    """
    whole = dict.fromkeys(data_names()) | {"extra": {}} | data
    if truncate_values(whole, MAX_VALUE_BYTES):
        whole["truncated"] = True
    attributes = {
        "specversion": "1.0",
        "id": id,
        "source": source,
        "type": type,
        "subject": subject[:MAX_SUBJECT_CHARACTERS] if subject else None,
        "time": time,
        "datacontenttype": "application/json",
        "dataschema": DATA_SCHEMA,
    }
    if replaces is not None:
        attributes["replaces"] = replaces
    return {**attributes, "data": whole}


def event_json(envelope: dict[str, Any]) -> str:
    """Return the envelope as it is published: compact, with no character escaped needlessly.

    An envelope made here has at most 192 KiB in UTF-8, and only characters that SQS accepts.
    """
    return json.dumps(envelope, ensure_ascii=False, separators=(",", ":"))


def message_attributes(envelope: dict[str, Any]) -> dict[str, str]:
    """Return the values for subscribers' filter policies: type, origin, code, outcome, to and from.

    Absent, unprintable and over-long values are left out: AWS refuses empty ones, and refuses
    the whole message for one bad attribute.
    """
    values = {"type": envelope["type"]} | {name: envelope["data"][name] for name in _ATTRIBUTES}
    return {
        name: value
        for name, value in values.items()
        if value and len(value) <= MAX_ATTRIBUTE_CHARACTERS and value.isprintable()
    }


def truncate_values(data: dict[str, Any], most: int) -> bool:
    """Cut the longest values until all fit into `most` bytes of JSON; return whether any was cut.

    Each value has an equal share, and longer values share what short ones leave. A text ends at a
    character, `raw` stays base64, a list and `extra` keep as many whole entries as fit. Values are
    replaced in `data`, not changed in place.
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
    """Return at least how many characters a value has with its punctuation."""
    if isinstance(value, str):
        return len(value) + 3
    if isinstance(value, dict):
        return sum(len(name) + 4 + _characters(entry) for name, entry in value.items())
    return sum(map(_characters, value)) if isinstance(value, list) else 0


def _size(value: Any) -> int:
    """Return the bytes of a value in compact JSON."""
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())


def _beginning(value: Any, most: int, *, by: int) -> Any:
    """Return the longest beginning of a text, list or map that fits into `most` bytes of JSON.

    A text is cut in steps of `by` characters, a map in the first entry that is too long. Return
    None if nothing is left of a list.
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
