"""What a function that calls Skycore is made of, from its environment."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from skycore.flows.compose import Rules
from skycore.flows.gate import Gate
from skycore.flows.send import Line
from skycore.flows.skycore_client import client
from skycore.messages.limits import Limits
from skycore.settings import load


@dataclass(frozen=True)
class LineSettings:
    """The environment of every function that calls Skycore."""

    table_name: str
    skycore_url: str
    api_key_secret: str
    send_queue_url: str
    default_region: str
    allowed_country_codes: str
    event_retention_days: int
    max_calls_per_second: int
    max_calls_per_minute: int
    max_calls_per_day: int
    priority_share: int

    def rules(self) -> Rules:
        """What the stack says of any message."""
        return Rules.of(self.default_region, self.allowed_country_codes, self.event_retention_days)


@cache
def line_settings() -> LineSettings:
    """The environment, read once. Raises SettingsError that lists what is missing."""
    return load(LineSettings)


@cache
def line() -> Line:
    """The way to Skycore, made once per process: kept connections, one limiter."""
    known = line_settings()
    limits = Limits(
        known.max_calls_per_second,
        known.max_calls_per_minute,
        known.max_calls_per_day,
        known.priority_share,
    )
    return Line(
        skycore=client(known.skycore_url, known.api_key_secret),
        gate=Gate(limits),
        mend_queue=known.send_queue_url,
        days=known.event_retention_days,
    )
