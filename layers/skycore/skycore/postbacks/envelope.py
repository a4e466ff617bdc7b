"""The CloudEvents envelope: every element present, values within what a queue takes."""

import json
from functools import cache
from typing import Any

from skycore.catalogue.postback_fields import all_postback_fields
from skycore.postbacks.cutting import cut_values

DATA_SCHEMA = "urn:skycore:schema/postback-event-v1.json"

MAX_VALUE_BYTES = 128 * 1024
"""All values as JSON together. SNS and SQS take 256 KiB with attributes and the rest."""

MAX_SUBJECT_CHARACTERS = 256
MAX_ATTRIBUTE_CHARACTERS = 100

_ATTRIBUTES = ("origin", "code", "outcome", "to", "from")


@cache
def data_names() -> tuple[str, ...]:
    """Every element of an event's data, in the order in which it is written."""
    names = ["event"]
    for field in all_postback_fields():
        names.append(field.name)
        names += {
            "code": ["outcome", "terminal"],
            "tracking_id": ["message_id"],
            "timestamp": ["received_at"],
        }.get(field.name, [])
    return (*names, "opt_out", "error", "raw", "from_report", "truncated", "extra")


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
    """The envelope around the data; elements that the data does not have are null.

    Where the values are over MAX_VALUE_BYTES the longest are cut and `truncated` is true.
    """
    whole = dict.fromkeys(data_names()) | {"extra": {}} | data
    if cut_values(whole, MAX_VALUE_BYTES):
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
    """The envelope as it is published: compact, and characters as themselves.

    At most 192 KiB in UTF-8, and only characters that SQS takes, for envelopes made here.
    """
    return json.dumps(envelope, ensure_ascii=False, separators=(",", ":"))


def message_attributes(envelope: dict[str, Any]) -> dict[str, str]:
    """Values for subscribers' filter policies: type, origin, code, outcome, to and from.

    Absent, unprintable and over-long values are left out: AWS refuses empty ones, and a whole
    message for one bad attribute.
    """
    values = {"type": envelope["type"]} | {name: envelope["data"][name] for name in _ATTRIBUTES}
    return {
        name: value
        for name, value in values.items()
        if value and len(value) <= MAX_ATTRIBUTE_CHARACTERS and value.isprintable()
    }
