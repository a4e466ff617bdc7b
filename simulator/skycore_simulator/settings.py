"""The settings: given at the start, changed later through the control routes."""

import re
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from skycore_simulator.tables import action_named, table

FORMATS = ("v1", "v2", "sinch")
REPORT_FORMS = ("documented", "tracking_ids")
OLDER_NAMES = {"weather": "faults"}  # still accepted, and returned beside the newer name
_CODE = re.compile(r"E\d{3}")
_CONTENT_TYPE = re.compile(r"[!-~]+/[!-~]+( *;[ -~]*)?")


class InvalidSettingError(ValueError):
    """A setting has an unknown name or an invalid value; the text says which and why."""


@dataclass
class Settings:
    """Every setting, with its default. Times are in seconds; a limit of 0 is no limit."""

    api_key: str | None = None  # None: any key that is not empty
    user: str | None = None  # the older way to sign in, with the MD5 of the password
    password: str | None = None
    require_md5_password: bool = False  # E103 for a key alone
    senders: list[str] = field(default_factory=list)  # empty: any number may be FROM
    enforce_campaign_check: bool = False  # makes CAMPAIGNREF mandatory
    max_per_second: int = 0  # E106 over it
    max_per_minute: int = 0  # E113 over it
    max_per_day: int = 0  # E120 over it
    action_limits: dict[str, int] = field(default_factory=dict)  # calls per second, E113 over it
    next_errors: list[str] = field(default_factory=list)  # codes for the next requests, one each
    error_for_action: dict[str, str] = field(default_factory=dict)  # "*" is every action
    mode: str = "normal"  # or a row of data/modes.json
    faults: dict[str, int] = field(default_factory=dict)  # percent of requests, by mode or code
    # Not an XML type: the public Ruby client (gem "skycore") only works with such replies, so
    # Skycore presumably sends PHP's default.
    reply_content_type: str = "text/html; charset=utf-8"
    slow_seconds: float = 5.0
    trickle_seconds: float = 0.2  # between two bytes
    outcome: str = "delivered"  # of ordinary numbers: a row of data/outcomes.json
    outcome_for_number: dict[str, str] = field(default_factory=dict)
    encode_seconds: float = 0.5  # audio and video in a template take this long
    # "documented" has the attributes of Skycore's appendix C, which contain no tracking id.
    report_form: str = "documented"
    report_spacing_seconds: float = 0.0  # E510 for a report requested sooner
    postback_url: str | None = None
    postback_format: str = "v1"  # v1 XML, v2 JSON, or Sinch's XML
    postback_content_type: str | None = None  # None: that of the format
    postback_form: bool = False  # send the XML in a form field "xml"
    postback_delay: float = 0.2  # before each postback of a message
    postback_timeout: float = 10.0
    postback_concurrency: int = 4  # each may start another copy of what takes postbacks
    retry_seconds: float = 2.0  # Skycore waits five minutes
    retries: int = 5
    duplicate_rate: float = 0.0  # share of postbacks sent twice, 0 to 1
    shuffle: bool = False  # send the postbacks of a message in any order

    def changed(self, changes: dict[str, Any]) -> "Settings":
        """Return a copy with the changes; None resets a setting to its default.

        Raises InvalidSettingError, and changes nothing, if one of them is invalid.
        """
        defaults = asdict(Settings())
        values: dict[str, Any] = {}
        for given, value in changes.items():
            name = OLDER_NAMES.get(given, given)
            if name != given and name in changes:
                continue  # the newer name wins
            if name not in defaults:
                raise InvalidSettingError(f"there is no setting {given!r}")
            default = defaults[name]
            values[name] = default if value is None else _typed(name, value, default)
            if name in ("error_for_action", "action_limits"):
                values[name] = {action_named(key) or key: v for key, v in values[name].items()}
        new = replace(self, **values)
        new.check()
        return new

    def check(self) -> None:
        """Raise InvalidSettingError if a value is not one of those possible."""
        _one_of("mode", self.mode, ["normal", *table("modes")])
        _one_of("postback_format", self.postback_format, list(FORMATS))
        _one_of("report_form", self.report_form, list(REPORT_FORMS))
        for outcome in [self.outcome, *self.outcome_for_number.values()]:
            _one_of("outcome", outcome, list(table("outcomes")))
        for code in [*self.next_errors, *self.error_for_action.values()]:
            if not _CODE.fullmatch(code):
                raise InvalidSettingError(f"{code!r} is not an error code such as E503")
        if not _CONTENT_TYPE.fullmatch(self.reply_content_type):
            raise InvalidSettingError("reply_content_type must be a content type")
        self._check_faults()
        for action in [*self.error_for_action, *self.action_limits]:
            if action != "*" and action_named(action) is None:
                raise InvalidSettingError(f"there is no action {action!r}")
        for name, value in asdict(self).items():
            if isinstance(value, int | float) and value < 0:
                raise InvalidSettingError(f"{name} must not be negative")

    def _check_faults(self) -> None:
        for name, percent in self.faults.items():
            if not _CODE.fullmatch(name):
                _one_of("faults", name, list(table("modes")))
            if not 0 <= percent <= 100:
                raise InvalidSettingError("faults are percentages, 0 to 100")

    def as_json(self) -> dict[str, Any]:
        """Return all settings with the secrets masked."""
        shown = asdict(self)
        shown |= {older: shown[name] for older, name in OLDER_NAMES.items()}
        for secret in ("api_key", "password"):
            if shown[secret]:
                shown[secret] = "********"
        return shown


def _typed(name: str, value: Any, default: Any) -> Any:
    kind = str if default is None else type(default)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise InvalidSettingError(f"{name} must be of type {kind.__name__}")
    inner: list[Any] = []
    if isinstance(value, list | dict):
        inner = list(value.values()) if isinstance(value, dict) else value
    wanted = int if name in ("action_limits", "faults") else str
    if any(type(each) is not wanted for each in inner):
        raise InvalidSettingError(f"{name} must hold values of type {wanted.__name__}")
    return value


def _one_of(name: str, value: str, possible: list[str]) -> None:
    if value not in possible:
        raise InvalidSettingError(f"{name} must be one of {', '.join(possible)}")
