"""Record when each postback token was last used: a row per token, under its fingerprint.

The operator sees whether Skycore still posts to an address before a rotation ends it. Times only
grow, so postbacks may be stored in any order. These rows do not expire: there is one for each
rotation.
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

WRITE_INTERVAL = timedelta(minutes=10)  # of a process, for each token; the operator needs hours

_last_written: dict[str, datetime] = {}  # by fingerprint; the row has this time or a later one


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
