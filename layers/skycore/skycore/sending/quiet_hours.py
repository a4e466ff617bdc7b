"""Quiet hours: the part of the day in which queued messages wait, by the recipient's clock.

A number does not say where its owner is. It may belong to several time zones, and then a message
waits until none of them is in its quiet hours.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from skycore.phone_numbers import time_zones_of, time_zones_of_region

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
