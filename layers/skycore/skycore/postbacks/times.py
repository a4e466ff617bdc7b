"""Times as events give them: RFC 3339 in UTC, with a fraction only where there is one."""

from datetime import UTC, datetime


def utc_text(time: datetime) -> str:
    """`2026-11-22T10:41:15Z`, with exactly six digits of fraction where it is not zero.

    A time without a zone is taken as UTC.
    """
    if time.tzinfo is not None and time.tzinfo is not UTC:
        time = time.astimezone(UTC)
    return f"{time.replace(tzinfo=None).isoformat()}Z"


def utc_timestamp(text: str) -> str | None:
    """A postback's time as UTC, None for one without an offset or that is no date and time.

    Skycore writes `2019-03-08T14:22:05-05:00`, with `-05`, with a blank for the `T`, with
    fractions of one to six digits, and with `Z`.
    """
    if len(text) < 16 or text[4] != "-":  # dates alone, week dates
        return None
    try:
        time = datetime.fromisoformat(text)
        return utc_text(time) if time.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None
