"""The recipients of one call: what the caller is told of each, and a row for each."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from skycore.parts import parts
from skycore.storage import batches, keys, messages
from skycore.storage.table import expiry

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

    from skycore.api import Reply

NOTE_BYTES = 200_000  # of recipients in a note; with the rest under 256 KiB
LONGEST_WORD = 512  # characters


def told(parent_id: str, reply: Reply) -> list[dict[str, Any]]:
    """What the caller is told of each recipient that Skycore returned."""
    children = []
    for number, recipient in enumerate(reply.recipients, start=1):
        child = {
            "message_id": f"{parent_id}-{number}",
            "status": recipient["outcome"],
            "to": _word(recipient.get("to")),
            "from": _word(recipient.get("from")),
            "tracking_id": _word(recipient.get("tracking_id")),
        }
        if code := _word(recipient.get("error_code")):
            child["skycore_code"] = code
        children.append(child)
    return children


def notes(children: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Recipients in parts that fit into a message of the queue."""

    def size(child: dict[str, Any]) -> int:
        return len(json.dumps(child)) + 2

    return parts(children, size, most_bytes=NOTE_BYTES)


def write(note: Mapping[str, Any], moment: datetime, days: int) -> None:
    """Writes the rows of a note's recipients, of a call that ended at `moment`.

    Pointers before rows, as for a single message; a row that is there stays as it is. Raises
    PynamoDB's errors, and TimeoutError if DynamoDB leaves rows unprocessed.
    """
    children, reference = note["children"], note["client_reference"]
    pointers = {
        child["tracking_id"]: messages.PointerRow(
            keys.tracking_partition(child["tracking_id"]),
            keys.MESSAGE,
            kind="pointer",
            message_id=child["message_id"],
            client_reference=reference,
            expires=expiry(moment, days),
        )
        for child in children
        if child["tracking_id"]
    }
    if batches.put_all(list(pointers.values())):
        raise TimeoutError("DynamoDB left pointers unprocessed")
    rows = [
        messages.new_row(
            child["message_id"],
            child["status"],
            moment=moment,
            days=days,
            attempt=note["attempt"],
            action=note["action"],
            to=child["to"],
            sender=child["from"],
            tracking_id=child["tracking_id"],
            code=child.get("skycore_code"),
            client_reference=reference,
            parent=note["message_id"],
            fingerprint=note["fingerprint"],
            news=child["status"],
        )
        for child in children
    ]
    messages.create_many(rows)


def _word(value: Any) -> str | None:
    """A text that may be in a key; None for what no number, id or code is."""
    return value if isinstance(value, str) and 0 < len(value) <= LONGEST_WORD else None
