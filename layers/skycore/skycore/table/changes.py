"""Who changed what: actions that change the Skycore account, and what operators change.

One row per change, in the partition of its month. It holds no numbers and no texts. Cancellations
are in their message's row.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from pynamodb.attributes import UnicodeAttribute

from skycore import timestamps
from skycore.table.models import StoredRow, expiry

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime


class ChangeRow(StoredRow, discriminator="change"):
    """One change. `caller` is the role or user, `session` the name of its session."""

    change = UnicodeAttribute()
    caller = UnicodeAttribute(null=True)
    session = UnicodeAttribute(null=True)
    address = UnicodeAttribute(null=True)


def record_change(change: str, identity: Mapping[str, str | None], *, days: int) -> None:
    """Record a change by an identity (`caller`, `session`, `address`). Raises PynamoDB's errors."""
    time = timestamps.now()
    ChangeRow(
        _partition(time),
        f"{timestamps.to_key(time)}#{secrets.token_hex(4)}",
        change=change,
        expires=expiry(time, days),
        caller=identity.get("caller"),
        session=identity.get("session"),
        address=identity.get("address"),
    ).save()


def changes_since(since: datetime) -> Iterator[dict[str, Any]]:
    """Yield the changes since a time, newest first. Raises PynamoDB's errors."""
    month = timestamps.now()
    while _partition(month) >= _partition(since):
        later = ChangeRow.sk >= timestamps.to_key(since)
        for row in ChangeRow.query(_partition(month), later, scan_index_forward=False):
            names = ("change", "caller", "session", "address")
            yield {"time": row.sk.partition("#")[0]} | {name: getattr(row, name) for name in names}
        month = month.replace(day=1) - timestamps.A_DAY


def _partition(time: datetime) -> str:
    return f"changes#{timestamps.to_key(time)[:7]}"
