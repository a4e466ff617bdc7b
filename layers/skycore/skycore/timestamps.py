"""Read and write times: UTC, RFC 3339, with `Z`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

A_DAY = timedelta(days=1)
MAX_AHEAD = timedelta(minutes=2)  # of a foreign clock before ours
MAX_BEHIND = timedelta(minutes=35)  # Skycore's last retry comes after some 25 minutes
EARLIEST = datetime(2010, 1, 1, tzinfo=UTC)  # before Skycore's first postback


def now() -> datetime:
    """Return the time, in UTC."""
    return datetime.now(UTC)


def to_text(moment: datetime) -> str:
    """Return a time as RFC 3339 with `Z`; exactly six digits of fraction where it is not zero.

    A time without a zone is taken as UTC.
    """
    if moment.tzinfo is not None and moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return f"{moment.replace(tzinfo=None).isoformat()}Z"


def to_key(moment: datetime) -> str:
    """Return as `to_text`, always with six digits, so that text order is time order."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def from_text(text: str) -> datetime:
    """Return the time that `to_text` or `to_key` wrote. Raises ValueError for anything else."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time without an offset")
    return moment.astimezone(UTC)


def from_epoch_ms(milliseconds: int) -> datetime:
    """Return the time from milliseconds since 1970, as AWS events have it."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def utc_timestamp(text: str) -> str | None:
    """Return a postback's time in UTC; None if it has no offset or is not a date and time.

    Skycore writes `2019-03-08T14:22:05-05:00`, with `-05`, with a space for the `T`, with
    fractions of one to six digits, and with `Z`; RFC 3339 allows `t` and `z` as well.
    """
    if len(text) < 16 or text[4] != "-":  # dates alone, week dates
        return None
    try:
        time = datetime.fromisoformat(text.upper())
        return to_text(time) if time.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def credible_time(stated: datetime | None, received_at: datetime) -> datetime | None:
    """Return a time stated by another clock; None if it does not fit the time of arrival."""
    if stated is None or not received_at - MAX_BEHIND <= stated <= received_at + MAX_AHEAD:
        return None
    return stated


def event_time(timestamp: str | None, received_at: datetime) -> str:
    """Return an event's `time`: its timestamp, or its arrival if that timestamp is impossible."""
    if timestamp and EARLIEST <= from_text(timestamp) <= received_at + MAX_AHEAD:
        return timestamp
    return to_text(received_at)
