"""What operators look up later: who changed what, and when each postback token was last used.

A change has a row in the partition of its month: an action that changes the Skycore account, or a
command of the operator's tool. It holds no numbers and no texts. Cancellations are in their
message's row.

A token has a row under its fingerprint. It shows whether Skycore still posts to an address before a
rotation ends it. Times only grow, so postbacks may be stored in any order. These rows do not
expire: there is one for each rotation.
"""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from pynamodb.attributes import UnicodeAttribute
from pynamodb.exceptions import DoesNotExist, PutError

from skycore import timestamps
from skycore.table.models import StoredRow, condition_failed, expiry

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

WRITE_INTERVAL = timedelta(minutes=10)  # of a process, for each token; the operator needs hours

_last_written: dict[str, datetime] = {}  # by fingerprint; the row has this time or a later one


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
        _month_partition(time),
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
    while _month_partition(month) >= _month_partition(since):
        later = ChangeRow.sk >= timestamps.to_key(since)
        for row in ChangeRow.query(_month_partition(month), later, scan_index_forward=False):
            names = ("change", "caller", "session", "address")
            yield {"time": row.sk.partition("#")[0]} | {name: getattr(row, name) for name in names}
        month = month.replace(day=1) - timestamps.A_DAY


def _month_partition(time: datetime) -> str:
    return f"changes#{timestamps.to_key(time)[:7]}"


class TokenRow(StoredRow, discriminator="token"):
    """One token's last use."""

    used_at = UnicodeAttribute()


def mark_token_used(fingerprint: str, time: datetime) -> bool:
    """Record that a postback with this token came at `time`; return whether that was written.

    A process writes a token's row at most every ten minutes, so the row may be that late.
    Raises PynamoDB's errors.
    """
    previous = _last_written.get(fingerprint)
    if previous is not None and time - previous < WRITE_INTERVAL:
        return False
    row = TokenRow(*_key(fingerprint), used_at=timestamps.to_key(time))
    is_later = TokenRow.pk.does_not_exist() | (TokenRow.used_at < row.used_at)
    try:
        row.save(is_later)
    except PutError as error:
        if not condition_failed(error):
            raise
        written = False  # the row has a later time, from a newer postback or another process
    else:
        written = True
    _last_written[fingerprint] = time
    return written


def token_last_used(fingerprint: str) -> datetime | None:
    """Return when the last postback with this token came (UTC), up to ten minutes late, or None.

    A postback counts once it is stored, not while it waits in the queue. Raises PynamoDB's errors.
    """
    try:
        row = TokenRow.get(*_key(fingerprint), consistent_read=True)
    except DoesNotExist:
        return None
    return timestamps.from_text(row.used_at)


def _key(fingerprint: str) -> tuple[str, str]:
    return f"token#{fingerprint}", "used"
