"""When each postback token was last used: a row per token, under its fingerprint.

It is what tells the operator whether Skycore still posts to an address before a rotation ends it.
Times only grow, so postbacks may be stored in any order. These rows do not expire: there is one
for each rotation.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from pynamodb.attributes import UnicodeAttribute
from pynamodb.exceptions import DoesNotExist, PutError

from skycore import timestamps
from skycore.table.models import StoredRow, condition_failed

if TYPE_CHECKING:
    from datetime import datetime

WRITTEN_EVERY = timedelta(minutes=10)  # by a process for a token: what is asked is hours

_written: dict[str, datetime] = {}  # by fingerprint: a use that the row is known to have, or later


class TokenRow(StoredRow, discriminator="token"):
    """One token's last use."""

    used_at = UnicodeAttribute()


def mark_used(fingerprint: str, moment: datetime) -> bool:
    """Notes that a postback with this token came at `moment`; True if that was written.

    A process writes at most every ten minutes for a token, so the row may be that much behind.
    Raises PynamoDB's errors.
    """
    before = _written.get(fingerprint)
    if before is not None and moment - before < WRITTEN_EVERY:
        return False
    row = TokenRow(*_key(fingerprint), used_at=timestamps.to_key(moment))
    later = TokenRow.pk.does_not_exist() | (TokenRow.used_at < row.used_at)
    try:
        row.save(later)
    except PutError as error:
        if not condition_failed(error):
            raise
        written = False  # the row has a later time: an old postback, or another process
    else:
        written = True
    _written[fingerprint] = moment
    return written


def last_used(fingerprint: str) -> datetime | None:
    """When the last postback with this token came (UTC), up to ten minutes late; None: never.

    Only postbacks that are stored count: one that waits in the queue is not seen yet. Raises
    PynamoDB's errors.
    """
    try:
        row = TokenRow.get(*_key(fingerprint), consistent_read=True)
    except DoesNotExist:
        return None
    return timestamps.from_text(row.used_at)


def _key(fingerprint: str) -> tuple[str, str]:
    return f"token#{fingerprint}", "used"
