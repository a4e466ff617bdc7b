"""The stack's parameters that apply to every message, among them its quiet hours.

Quiet hours are the part of the day in which queued messages wait, by the recipient's clock. A
number does not say where its owner is. It may belong to several time zones, and then a message
waits until none of them is in its quiet hours.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property, lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from collections.abc import Sequence

MINUTE = timedelta(minutes=1)
MINUTES_A_DAY = 1440
STEP = 5  # minutes, in which the day is examined
MIN_FREE = 120  # minutes a day that a number's time zones must leave, else the region's count


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From `start` until before `end`, in minutes since midnight; `region` is DefaultRegion."""

    start: int
    end: int
    region: str

    @staticmethod
    def of(text: str, region: str) -> QuietHours | None:
        """Return the quiet hours that the parameter states, such as 21:00-08:00; None for none.

        Raises ValueError if they are not two different times.
        """
        if not text:
            return None
        start, end = (_minutes(part) for part in text.split("-"))
        if start == end:
            raise ValueError("quiet hours that are the whole day, or none of it")
        return QuietHours(start, end, region)

    def include(self, minute: int) -> bool:
        """Return whether a minute of a local day is quiet."""
        if self.start < self.end:
            return self.start <= minute < self.end
        return minute >= self.start or minute < self.end

    def next_free(self, number: str, time: datetime) -> datetime:
        """Return the first moment from `time` on that is not quiet for a number in digits."""
        zones = self._zones(number, time)
        free = time
        while ends := [end for zone in zones if (end := self._end(zone, free)) is not None]:
            free = max(ends)
        return free

    def _zones(self, number: str, time: datetime) -> list[ZoneInfo]:
        """Return the time zones that count for a number at a time."""
        of_region = time_zones_of_region(self.region)
        for names in (time_zones_of(number), of_region):
            zones = [ZoneInfo(name) for name in names]
            if zones and _free_minutes(self, _offsets(zones, time)) >= MIN_FREE:
                return zones
        # The quiet hours are long and the region is wide: its largest zone alone leaves some time.
        return [ZoneInfo(name) for name in of_region[:1]]

    def _end(self, zone: ZoneInfo, time: datetime) -> datetime | None:
        """Return when the quiet hours end that `time` is in; None if it is in none."""
        local = time.astimezone(zone)
        if not self.include(local.hour * 60 + local.minute):
            return None
        end = local.replace(hour=self.end // 60, minute=self.end % 60, second=0, microsecond=0)
        if end.replace(tzinfo=None) <= local.replace(tzinfo=None):
            end += timedelta(days=1)  # of the local calendar, however many hours that day has
        return max(end.astimezone(UTC), time + MINUTE)


def _minutes(text: str) -> int:
    time = datetime.strptime(text.strip(), "%H:%M")  # noqa: DTZ007 - a time of any day
    return time.hour * 60 + time.minute


def _offsets(zones: Sequence[ZoneInfo], time: datetime) -> frozenset[int]:
    """Return by how many minutes the zones are ahead of UTC at a time."""
    offsets = (time.astimezone(zone).utcoffset() for zone in zones)
    return frozenset(offset // MINUTE for offset in offsets if offset is not None)


@lru_cache(maxsize=1_000)  # few sets of time zones; a batch asks for a thousand numbers
def _free_minutes(hours: QuietHours, offsets: frozenset[int]) -> int:
    """Return how many minutes of a day are quiet at none of these offsets."""
    return STEP * sum(
        not any(hours.include((minute + offset) % MINUTES_A_DAY) for offset in offsets)
        for minute in range(0, MINUTES_A_DAY, STEP)
    )


@lru_cache(maxsize=4_096)  # a message's number is asked for when it is queued and when it is sent
def time_zones_of(digits: str) -> tuple[str, ...]:
    """Return the time zones that a number may belong to; none if nothing is known about it."""
    import phonenumbers  # noqa: PLC0415 - large tables that only quiet hours need
    from phonenumbers import timezone  # noqa: PLC0415

    try:
        number = phonenumbers.parse(f"+{digits}")
    except phonenumbers.NumberParseException:
        return ()
    zones: tuple[str, ...] = timezone.time_zones_for_number(number)
    if zones == (timezone.UNKNOWN_TIMEZONE,):  # a number of no known kind still has a prefix
        zones = timezone.time_zones_for_geographical_number(number)
    return () if zones == (timezone.UNKNOWN_TIMEZONE,) else zones


@cache
def time_zones_of_region(region: str) -> tuple[str, ...]:
    """Return the time zones of an ISO country, the most important first; UTC if it has none."""
    table = files("tzdata").joinpath("zoneinfo", "zone.tab").read_text("utf-8")
    rows = (line.split("\t") for line in table.splitlines() if not line.startswith("#"))
    return tuple(row[2] for row in rows if row[0] == region) or ("UTC",)


@dataclass(frozen=True, slots=True)
class SendPolicy:
    """The stack's parameters that apply to every message.

    `region` is DefaultRegion, `countries` the calling codes and `regions` the ISO countries that
    may be sent to (empty: all), `campaigns` whether sends are taken whose numbers only Skycore
    knows, `days` how long its row is kept, `quiet_hours` when queued messages wait (None: never),
    `require_key` whether a send without an Idempotency-Key is refused.
    """

    region: str
    countries: tuple[str, ...]
    days: int
    regions: tuple[str, ...] = ()
    campaigns: bool = True
    quiet_hours: QuietHours | None = None
    require_key: bool = False

    @staticmethod
    def of(
        region: str,
        countries: str,
        days: int,
        allowed_countries: str = "",
        allow_campaign_sends: str = "on",
        *,
        quiet_hours: str = "",
        require_key: str = "off",
    ) -> SendPolicy:
        """Return the policy of the environment's texts; commas separate the lists' items."""
        codes = (code.strip().removeprefix("+") for code in countries.split(","))
        regions = (name.strip().upper() for name in allowed_countries.split(","))
        return SendPolicy(
            region,
            tuple(code for code in codes if code),
            days,
            tuple(name for name in regions if name),
            allow_campaign_sends != "off",
            QuietHours.of(quiet_hours, region),
            require_key == "on",
        )


@dataclass(frozen=True, kw_only=True)
class PolicySettings:
    """The environment of every function that checks messages."""

    default_region: str
    allowed_country_codes: str
    event_retention_days: int
    allowed_countries: str = ""  # not in the environment of the previous release
    allow_campaign_sends: str = "on"
    quiet_hours: str = ""  # nor is this
    require_idempotency_key: str = "off"
    hash_secret: str = ""  # `keyed_hash` reads it

    @cached_property
    def policy(self) -> SendPolicy:
        """The stack's policy for every message, read from the texts once."""
        return SendPolicy.of(
            self.default_region,
            self.allowed_country_codes,
            self.event_retention_days,
            self.allowed_countries,
            self.allow_campaign_sends,
            quiet_hours=self.quiet_hours,
            require_key=self.require_idempotency_key,
        )
