"""Times as the contract writes them: UTC, RFC 3339, `Z`."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


def to_text(moment: datetime) -> str:
    """RFC 3339 with `Z`; six digits of fraction only where it is not zero."""
    moment = moment.astimezone(UTC)
    kind = "microseconds" if moment.microsecond else "seconds"
    return moment.replace(tzinfo=None).isoformat(timespec=kind) + "Z"


def to_key(moment: datetime) -> str:
    """As `to_text`, always with six digits, so that text order is time order."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def from_text(text: str) -> datetime:
    """The moment of what `to_text` or `to_key` wrote. Raises ValueError for anything else."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time without an offset")
    return moment.astimezone(UTC)


def from_epoch_ms(milliseconds: int) -> datetime:
    """The moment of a count of milliseconds since 1970, as AWS events have it."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
