"""Check single values: one function for each kind of parameter."""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from skycore.catalogue.actions import Parameter
from skycore.client.media import MediaUrlError, media_url
from skycore.phone_numbers import (
    NumberError,
    parse_msisdn,
    parse_sender,
    parse_sender_mask,
    visible_text,
)

MAX_LENGTH = 1_000  # characters of a value whose kind is short: a number, a time, degrees


class BadValueError(Exception):
    """A value that its parameter does not accept; the message is for the caller."""


@dataclass(frozen=True, slots=True)
class RequestRules:
    """Rules of a whole request: the ISO country of bare numbers; whether long SMS are allowed."""

    default_region: str
    allow_multipart: bool


def check_value(value: Any, parameter: Parameter, rules: RequestRules) -> Any:
    """Return the value as it is sent.

    Raises ``BadValueError`` when it is of the wrong type or breaks a rule of its kind.
    """
    return _CHECKS[parameter.kind](value, parameter, rules)


def _value(value: Any, parameter: Parameter, _: RequestRules) -> str:
    if not isinstance(value, str):
        raise BadValueError("must be a string")
    _check_length(value, parameter.max_length or MAX_LENGTH)  # before anything reads all of it
    if flaw := find_invalid_character(value):
        raise BadValueError(flaw)
    return value


def _check_length(value: str, most: int, invisible: int = 0) -> None:
    if len(value) > most + invisible:
        raise BadValueError(f"must be at most {most} characters; it has {len(value)} characters")


def _text(value: Any, parameter: Parameter, rules: RequestRules) -> str:
    text = _value(value, parameter, rules)
    if not has_visible_character(text):
        raise BadValueError("must contain a visible character")
    return text


def _line(value: Any, parameter: Parameter, rules: RequestRules) -> str:
    text = _text(value, parameter, rules)
    if "\n" in text or "\r" in text:
        raise BadValueError("must be one line")
    return text


def _sms_text(value: Any, parameter: Parameter, rules: RequestRules) -> str:
    text = _text(value, parameter, rules)
    length = sms_length(text)
    several = length.units > length.single
    if length.units > length.many or (several and not rules.allow_multipart):
        most = length.many if rules.allow_multipart else length.single
        detail = (
            f"must be at most {most} {length.alphabet}; it has {length.units} {length.alphabet}"
        )
        if length.forced_by is not None:
            detail += f": {describe_character(text, length.forced_by)} is not in GSM-7"
        if not rules.allow_multipart:
            detail += "; set allow_multipart to send it in several parts"
        raise BadValueError(detail)
    return text


def _matching(pattern: str, wanted: str) -> Callable[[Any, Parameter, RequestRules], str]:
    expression = re.compile(pattern)

    def check(value: Any, parameter: Parameter, rules: RequestRules) -> str:
        text = _line(value, parameter, rules)
        if not expression.fullmatch(text):
            raise BadValueError(f"must be {wanted}")
        return text

    return check


def _number(value: Any, parameter: Parameter, rules: RequestRules) -> str:
    text = _text(value, parameter, rules)
    try:
        if parameter.kind == "sender_mask":
            return parse_sender_mask(text)
        parse = parse_sender if parameter.kind == "sender" else parse_msisdn
        return parse(text, default_region=rules.default_region)
    except NumberError as error:
        raise BadValueError(error.detail) from None


def _url(value: Any, parameter: Parameter, rules: RequestRules) -> str:
    if isinstance(value, str):
        _check_length(value, parameter.max_length or MAX_LENGTH, invisible=MAX_LENGTH)
        value = visible_text(value).strip(" ")
    text = _line(value, parameter, rules)
    try:
        return media_url(text)
    except MediaUrlError as error:
        raise BadValueError(str(error)) from None


def _degrees(limit: int) -> Callable[[Any, Parameter, RequestRules], str]:
    check_form = _matching(r"[+-]?[0-9]{1,3}(\.[0-9]{1,20})?", "a number of degrees, such as 42.36")

    def check(value: Any, parameter: Parameter, rules: RequestRules) -> str:
        text = check_form(value, parameter, rules)
        if abs(float(text)) > limit:
            raise BadValueError(f"must be from -{limit} to {limit}")
        return text

    return check


def _beacon_number(value: Any, parameter: Parameter, rules: RequestRules) -> str:
    text = _value(value, parameter, rules)
    if not re.fullmatch("[0-9]{1,5}", text) or int(text) > 0xFFFF:
        raise BadValueError("must be a string of digits, from 0 to 65535")
    return text


def _integer(value: Any, parameter: Parameter, _: RequestRules) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # in JSON, 5.0 is the same as 5
    if not isinstance(value, int) or isinstance(value, bool):
        raise BadValueError("must be a whole number")
    low, high = parameter.minimum, parameter.maximum
    if (low is not None and value < low) or (high is not None and value > high):
        raise BadValueError(f"must be from {low} to {high}")
    return value


def _boolean(value: Any, _: Parameter, __: RequestRules) -> bool:
    if not isinstance(value, bool):
        raise BadValueError("must be true or false")
    return value


_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(\.\d{1,9})?(Z|z|[+-]\d\d:\d\d)",
    re.ASCII,
)
_UTC_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", re.ASCII)


def _time(value: Any, parameter: Parameter, rules: RequestRules) -> str:
    text = _line(value, parameter, rules)
    if _UTC_TIME.fullmatch(text):
        text = f"{text}Z"
    if not _TIME.fullmatch(text):
        raise BadValueError(
            "must be a time with its offset, such as 2026-11-22T10:00:00Z,"
            " or YYYY-MM-DD hh:mm:ss in UTC",
        )
    try:
        time = datetime.fromisoformat(text.upper()).astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):
        raise BadValueError("must be a valid date and time") from None
    if parameter.kind == "datetime":
        return time.isoformat(sep=" ", timespec="seconds")
    return f"{time.isoformat(timespec='seconds')}Z"


_ADDRESS = r"[^@\s,;<>()]+@[^@\s,;<>()]+"

# The kinds that a pattern of the whole value describes, each with the words for a caller.
PATTERNS = {
    "alphanumeric": ("[A-Za-z0-9]+", "letters and digits only"),
    "carrier_id": ("[0-9]{1,7}", "up to 7 digits"),
    "email": (_ADDRESS, "an email address"),
    "email_or_all": (f"{_ADDRESS}|ALL", "an email address, or ALL"),
    "letters_digits_spaces": ("[A-Za-z0-9 ]+", "letters, digits and spaces only"),
    "uuid": ("[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}", "a UUID"),
}

_CHECKS: dict[str, Callable[[Any, Parameter, RequestRules], Any]] = {
    **{kind: _matching(*described) for kind, described in PATTERNS.items()},
    "beacon_number": _beacon_number,
    "datetime": _time,
    "datetime_iso": _time,
    "integer": _integer,
    "latitude": _degrees(90),
    "line": _line,
    "longitude": _degrees(180),
    "msisdn": _number,
    "sender": _number,
    "sender_mask": _number,
    "sms_text": _sms_text,
    "text": _text,
    "true_only": _boolean,
    "url": _url,
    "value": _value,
    "yes_no": _boolean,
}


_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def find_invalid_character(text: str) -> str | None:
    """Return why XML 1.0 cannot carry a text, or None when it can.

    Tabs and line breaks are fine; other control characters, halves of surrogate pairs and the two
    non-characters U+FFFE and U+FFFF are not.
    """
    bad = _NOT_XML.search(text)
    if bad is None:
        return None
    code = ord(bad[0])
    what = (
        "half of a surrogate pair"
        if 0xD800 <= code <= 0xDFFF
        else "a control character"
        if code < 0x20
        else "a character"
    )
    place = f"U+{code:04X}, character {bad.start() + 1}"
    return f"must not contain {what} that XML cannot carry ({place})"


# Characters without a glyph that Unicode does not list as format characters or spaces.
_NO_GLYPH = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\ufffc\U0001d159"
    "\U000e0000-\U000e0fff]"
)
# Controls, formats and spaces; and marks, which need a character to stand on.
_NO_GLYPHS = ("Cc", "Cf", "Me", "Mn", "Mc", "Zl", "Zp", "Zs")


def has_visible_character(text: str) -> bool:
    """Return whether a text has more than spaces, controls, lone marks and invisible characters."""
    return any(
        unicodedata.category(character) not in _NO_GLYPHS for character in _NO_GLYPH.sub("", text)
    )


def describe_character(text: str, index: int) -> str:
    """Return a character of a text, with its place, such as ``character 3 (é, U+00E9 …)``."""
    character = text[index]
    shown = f"{character}, " if character.isprintable() else ""
    name = unicodedata.name(character, "")
    return f"character {index + 1} ({shown}U+{ord(character):04X}{name and ' '}{name})"


_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà",
)
_EXTENSION = frozenset("\f^{}\\[~]|€")  # each is an escape and a character
_MAX_PARTS = 255  # the part number is one byte


@dataclass(frozen=True, slots=True)
class SmsLength:
    """``units`` of one SMS's ``single``; ``many`` is what the most parts can carry together.

    Units are septets of GSM-7, or 16-bit units of UCS-2 as soon as one character needs it;
    ``forced_by`` is the index of the first such character.
    """

    alphabet: str
    units: int
    single: int
    many: int
    forced_by: int | None = None


def sms_length(text: str) -> SmsLength:
    """Measure a text: 160 septets or 70 UCS-2 units fit into one SMS."""
    septets = 0
    for index, character in enumerate(text):
        if character in _BASIC:
            septets += 1
        elif character in _EXTENSION:
            septets += 2
        else:
            units = len(text.encode("utf-16-le", "surrogatepass")) // 2
            return SmsLength("UCS-2 units", units, 70, 67 * _MAX_PARTS, index)
    return SmsLength("GSM-7 septets", septets, 160, 153 * _MAX_PARTS)
