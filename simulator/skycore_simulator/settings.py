"""What a user of the simulator can set, at the start and later through the control API."""

import re
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from local.simulator.catalogue import action_named, table

FORMATS = ("v1", "v2", "sinch")
_CODE = re.compile(r"E\d{3}")


class BadSettingError(ValueError):
    """A setting with an unknown name or an impossible value; the text says which and why."""


@dataclass
class Settings:
    """Every setting, with its default. Times are in seconds; a limit of 0 is no limit."""

    api_key: str | None = None  # None: any key that is not empty will do
    user: str | None = None  # the older way in, together with the MD5 of password
    password: str | None = None
    require_md5_password: bool = False  # a key alone is then refused with E103
    senders: list[str] = field(default_factory=list)  # empty: every number may be FROM
    enforce_campaign_check: bool = False  # the account setting that makes CAMPAIGNREF mandatory
    max_per_second: int = 0  # E106 over it
    max_per_minute: int = 0  # E113 over it
    max_per_day: int = 0  # E120 over it
    action_limits: dict[str, int] = field(default_factory=dict)  # calls per second, E113 over it
    next_errors: list[str] = field(default_factory=list)  # one for each of the next requests
    error_for_action: dict[str, str] = field(default_factory=dict)  # "*" is every action
    mode: str = "normal"  # or a row of data/modes.json
    weather: dict[str, int] = field(default_factory=dict)  # percent of requests: by mode or code
    slow_seconds: float = 5.0
    trickle_seconds: float = 0.2  # between two bytes
    outcome: str = "delivered"  # of ordinary numbers: a row of data/outcomes.json
    outcome_for_number: dict[str, str] = field(default_factory=dict)
    encode_seconds: float = 0.5  # audio and video in a template take this long
    report_spacing_seconds: float = 0.0  # E510 when a report is asked for sooner
    postback_url: str | None = None
    postback_format: str = "v1"  # v1 XML, v2 JSON, or the XML of the Sinch twin
    postback_content_type: str | None = None  # None: as the format has it
    postback_form: bool = False  # the XML in a form field "xml" in place of the bare body
    postback_delay: float = 0.2  # before each postback of a message
    postback_timeout: float = 10.0
    postback_concurrency: int = 20
    retry_seconds: float = 2.0  # stands for Skycore's five minutes
    retries: int = 5
    duplicate_rate: float = 0.0  # share of the postbacks that come twice
    shuffle: bool = False  # the postbacks of one message in any order

    def changed(self, changes: dict[str, Any]) -> "Settings":
        """A copy with the changes in it. Raises BadSettingError if one of them is wrong.

        null puts a setting back to its default.
        """
        defaults = asdict(Settings())
        values: dict[str, Any] = {}
        for name, value in changes.items():
            if name not in defaults:
                raise BadSettingError(f"there is no setting {name!r}; GET shows those there are")
            default = defaults[name]
            values[name] = default if value is None else _typed(name, value, default)
            if name in ("error_for_action", "action_limits"):
                values[name] = {action_named(key) or key: v for key, v in values[name].items()}
        new = replace(self, **values)
        new.check()
        return new

    def check(self) -> None:
        """Raises BadSettingError if a value is not one of those possible."""
        _one_of("mode", self.mode, ["normal", *table("modes")])
        _one_of("postback_format", self.postback_format, list(FORMATS))
        for outcome in [self.outcome, *self.outcome_for_number.values()]:
            _one_of("outcome", outcome, list(table("outcomes")))
        for code in [*self.next_errors, *self.error_for_action.values()]:
            if not _CODE.fullmatch(code):
                raise BadSettingError(f"{code!r} is not an error code such as E503")
        self._check_weather()
        for action in [*self.error_for_action, *self.action_limits]:
            if action != "*" and action_named(action) is None:
                raise BadSettingError(f"there is no action {action!r}")
        for name, value in asdict(self).items():
            if isinstance(value, int | float) and value < 0:
                raise BadSettingError(f"{name} must not be negative")

    def _check_weather(self) -> None:
        for name, percent in self.weather.items():
            if not _CODE.fullmatch(name):
                _one_of("weather", name, list(table("modes")))
            if not 0 <= percent <= 100:
                raise BadSettingError("weather is in percent of the requests, 0 to 100")

    def shown(self) -> dict[str, Any]:
        """All settings for reading, the secrets masked."""
        shown = asdict(self)
        for secret in ("api_key", "password"):
            if shown[secret]:
                shown[secret] = "********"
        return shown


def _typed(name: str, value: Any, default: Any) -> Any:
    kind = str if default is None else type(default)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise BadSettingError(f"{name} must be of the type {kind.__name__}")
    inner: list[Any] = []
    if isinstance(value, list | dict):
        inner = list(value.values()) if isinstance(value, dict) else value
    wanted = int if name in ("action_limits", "weather") else str
    if any(type(each) is not wanted for each in inner):
        raise BadSettingError(f"{name} must hold values of the type {wanted.__name__}")
    return value


def _one_of(name: str, value: str, possible: list[str]) -> None:
    if value not in possible:
        raise BadSettingError(f"{name} must be one of {', '.join(possible)}")
