"""Phone numbers and senders, from what people write to what Skycore takes.

Skycore wants digits, country code first. A number whose country code was forgotten may be somebody
else's number abroad, so what can be read in two ways is refused.
"""

import re

import phonenumbers
from phonenumbers import PhoneNumber, ValidationResult

_INVISIBLE = dict.fromkeys(map(ord, "\u200e\u200f\u202a\u202c\u2066\u2069\u200b\ufeff"))
_WRITTEN = re.compile(r"\+?[0-9 ()./\u00a0\u202f\u2010-\u2015\u2212-]+")
_NO_DIGIT = re.compile(r"[^0-9]")
_LONGEST = 64
_SHORTCODE = re.compile(r"[0-9]{3,8}")
_ALPHANUMERIC = re.compile(r"[A-Za-z0-9_ -]{1,11}")


class NumberError(ValueError):
    """A number that cannot be used.

    ``detail`` tells the caller why and may name the number; the message shows at most its last two
    digits.
    """

    def __init__(self, detail: str, safe: str | None = None) -> None:
        self.detail = detail
        super().__init__(safe or detail)


def parse_msisdn(value: str, *, default_region: str) -> str:
    """The digits of a phone number, country code first.

    ``+1 (774) 319-9144``, ``+17743199144`` and ``17743199144`` give ``17743199144``. Without a
    ``+``, a number that is also a national number of ``default_region`` (an ISO country code) is
    ambiguous; one that is no international number lacks its country code. Whether a number exists
    is not asked, only whether its length is possible: numbering plans change faster than tables.
    Raises ``NumberError`` when it cannot be used; ``detail`` says why and how to write it.
    """
    text = value.translate(_INVISIBLE).strip(" ")
    if len(text) > _LONGEST or not _WRITTEN.fullmatch(text):
        raise NumberError(
            "must be a phone number: + and digits; blanks, dots, dashes, slashes and brackets"
            " may separate them",
        )
    digits = _NO_DIGIT.sub("", text)
    international = _reading(f"+{digits}", None)
    if text.startswith("+"):
        if international is None:
            raise NumberError("is not a possible number of any country")
        return _digits(international)
    return _without_plus(digits, international, default_region)


def parse_sender(value: str, *, default_region: str) -> str:
    """A sender: a shortcode of 3 to 8 digits, a phone number, or an alphanumeric name.

    Raises ``NumberError`` when it is none of these.
    """
    text = value.translate(_INVISIBLE).strip(" ")
    if any(character.isalpha() for character in text):
        return parse_sender_mask(text)
    digits = _NO_DIGIT.sub("", text)
    if _SHORTCODE.fullmatch(digits) and not text.startswith("+") and _WRITTEN.fullmatch(text):
        return digits
    return parse_msisdn(text, default_region=default_region)


def parse_sender_mask(value: str) -> str:
    """An alphanumeric sender: 1 to 11 of A-Z, a-z, 0-9, ``_``, ``-`` and blank, with a letter.

    Raises ``NumberError`` when it is not one.
    """
    if not _ALPHANUMERIC.fullmatch(value) or value != value.strip():
        raise NumberError("must be 1 to 11 letters, digits, blanks, _ or -")
    if not any(character.isalpha() for character in value):
        raise NumberError("must not be all digits")
    return value


def _without_plus(digits: str, international: PhoneNumber | None, region: str) -> str:
    national = _reading(digits, region)
    if digits.startswith("0"):
        hint = f", such as {_written(national)}" if national and digits[1:2] != "0" else ""
        raise NumberError(
            f"must start with + and the country code{hint}, not with 0, 00, 001 or 011",
            "starts with 0 where a country code is wanted",
        )
    if international is None:
        if national is None:
            raise NumberError("is not a possible number; write it with + and its country code")
        raise NumberError(
            f"lacks its country code; if it is a number of {region}, write {_written(national)}",
            f"lacks its country code (a number of {region}, …{digits[-2:]})",
        )
    if national is not None and _digits(national) != _digits(international):
        raise NumberError(
            f"is ambiguous: it reads as {_written(international)} and, without its country code,"
            f" as {_written(national)}; write the one that is meant with its +",
            f"is ambiguous: it reads as +{international.country_code}…{digits[-2:]}"
            f" and as +{national.country_code}…{digits[-2:]}",
        )
    return _digits(international)


def _reading(text: str, region: str | None) -> PhoneNumber | None:
    """The number that this text is, if its length is possible with an area code."""
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    possible = phonenumbers.is_possible_number_with_reason(number) == ValidationResult.IS_POSSIBLE
    return number if possible else None


def _digits(number: PhoneNumber) -> str:
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)[1:]


def _written(number: PhoneNumber) -> str:
    code = number.country_code or 0
    region = phonenumbers.region_code_for_country_code(code)
    country = f" ({region})" if region != "001" else ""
    return f"+{code} {_digits(number)[len(str(code)) :]}{country}"
