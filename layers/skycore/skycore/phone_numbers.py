"""Phone numbers: what callers write, what Skycore accepts, and what Skycore's postbacks say.

Skycore wants digits, country code first. A number whose country code was forgotten may be somebody
else's number abroad, so a caller's number that can be read in two ways is refused. Postbacks may
write one number in several ways; `canonical_number` gives the one form in which they are compared.
"""

import os
import re
import unicodedata
from functools import lru_cache

import phonenumbers
from phonenumbers import PhoneMetadata, PhoneNumber, ValidationResult

_WRITTEN = re.compile(r"\+?[0-9 ()./\u2010-\u2015\u2212-]+")
_NO_DIGIT = re.compile(r"[^0-9]")
_LONGEST = 64
_LONGEST_RECEIVED = 40
_SHORTCODE = re.compile(r"[0-9]{3,8}")
_ALPHANUMERIC = re.compile(r"[A-Za-z0-9_ -]{1,11}")
_VARIATION_SELECTORS = re.compile("[\u180b-\u180d\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef]")
_URI = re.compile(
    r"<?(?:tel:|sms:|mms:|sips?:)?([^@]*?)(@[^@;/]*)?(?:/TYPE=.*|;.*)?>?",
    re.IGNORECASE | re.DOTALL,
)
_OF_A_HOST = re.compile(r"\+.*|[1-9][0-9]{10,14}")  # a mailbox of fewer digits may be no phone
_NARROW = str.maketrans("\uff0b" + "".join(map(chr, range(0xFF10, 0xFF1A))), "+0123456789")
# What passed through floating point is whole, or no number.
_FLOAT = re.compile(r"(\+?[0-9]+)\.0+")
_FRACTION = re.compile(r"\+?[0-9]{7,}\.[0-9]{1,2}")
_NATIONAL_MEXICAN = re.compile("(?:01|044|045)([0-9]{10})")  # phonenumbers forgot these prefixes
SHORTEST_ENDING = 7  # digits of a national form that identify a number well enough

# One line in two forms: as some networks write it, and as it is compared.
_EQUIVALENTS = (
    (re.compile("521([0-9]{10})"), r"52\1"),  # Mexico: the 1 of mobiles ended in 2019
    (re.compile("52(?:01|044|045)([0-9]{10})"), r"52\1"),  # and with it the national prefixes
    (re.compile("549([0-9]{10})"), r"54\1"),  # Argentina: the 9 of mobiles
    (re.compile("55([0-9]{2})([6-9][0-9]{7})"), r"55\g<1>9\2"),  # Brazil: the 9 added to mobiles
)
_OTHER_FORMS = (
    (re.compile("52([0-9]{10})"), r"521\1"),
    (re.compile("54([0-9]{10})"), r"549\1"),
    (re.compile("55([0-9]{2})9([6-9][0-9]{7})"), r"55\1\2"),
)


class NumberError(ValueError):
    """A number that cannot be used.

    ``detail`` tells the caller why and may name the number; the message shows at most its last two
    digits.
    """

    def __init__(self, detail: str, safe: str | None = None) -> None:
        self.detail = detail
        super().__init__(safe or detail)


def visible_text(text: str) -> str:
    """Return the text without invisible characters, and with every kind of space as a space.

    Format characters (Unicode category Cf), such as the direction marks that address books add, and
    variation selectors are invisible.
    """
    if text.isascii() and text.isprintable():
        return text
    seen = (c for c in _VARIATION_SELECTORS.sub("", text) if unicodedata.category(c) != "Cf")
    return "".join(" " if character.isspace() else character for character in seen)


def parse_msisdn(value: str, *, default_region: str) -> str:
    """Return the digits of a phone number, country code first.

    ``+1 (774) 319-9144``, ``+17743199144`` and ``17743199144`` give ``17743199144``. Without a
    ``+``, a number that is also a national number of ``default_region`` (an ISO country code) is
    ambiguous; one that is not an international number lacks its country code. Only its length is
    checked, not whether it exists: numbering plans change faster than tables.
    Raises ``NumberError`` when it cannot be used; ``detail`` says why and how to write it.
    """
    text = visible_text(value).strip(" ")
    if len(text) > _LONGEST or not _WRITTEN.fullmatch(text):
        raise NumberError(
            "must be a phone number: + and digits; spaces, dots, dashes, slashes and brackets"
            " may separate them",
        )
    digits = _NO_DIGIT.sub("", text)
    international = _reading(f"+{digits}", None)
    if international is None and (current := _EQUIVALENTS[0][0].fullmatch(digits)):
        raise NumberError(
            f"must not have the 1 that Mexican numbers no longer have; write +52 {current[1]}",
            "must not have the 1 that Mexican numbers no longer have",
        )
    if text.startswith("+"):
        if international is None:
            raise NumberError("must be a possible phone number; it fits no numbering plan")
        return _digits(international)
    return _without_plus(digits, international, default_region)


def parse_sender(value: str, *, default_region: str) -> str:
    """Return a sender: a shortcode of 3 to 8 digits, a phone number, or an alphanumeric name.

    Raises ``NumberError`` when it is none of these.
    """
    text = visible_text(value).strip(" ")
    if any(character.isalpha() for character in text):
        return parse_sender_mask(text)
    digits = _NO_DIGIT.sub("", text)
    if _SHORTCODE.fullmatch(digits) and not text.startswith("+") and _WRITTEN.fullmatch(text):
        return digits
    return parse_msisdn(text, default_region=default_region)


def parse_sender_mask(value: str) -> str:
    """Return an alphanumeric sender: 1 to 11 of A-Z, a-z, 0-9, ``_``, ``-``, space; with a letter.

    Raises ``NumberError`` when it is not one.
    """
    if not _ALPHANUMERIC.fullmatch(value) or value != value.strip():
        raise NumberError("must be 1 to 11 letters, digits, spaces, _ or -")
    if not any(character.isalpha() for character in value):
        raise NumberError("must not be all digits")
    return value


# Blocks that phonenumbers finds in the patterns of two countries, of which it names the larger.
_OWN_BLOCKS = {"447924": "IM"}  # Isle of Man


def region_of(digits: str) -> str | None:
    """Return the ISO country of a number in digits, country code first; None if it is unknown.

    Countries that share a calling code are distinguished: a Jamaican number is not from the US.
    """
    for block, region in _OWN_BLOCKS.items():
        if digits.startswith(block):
            return region
    number = _reading(f"+{digits}", None)
    return None if number is None else phonenumbers.region_code_for_number(number)


def default_region() -> str:
    """Return the stack's DefaultRegion, whose national numbers postbacks may contain."""
    return os.environ.get("DEFAULT_REGION") or "US"


def received_digits(text: str | None) -> str | None:
    """Return the digits of a number as Skycore wrote it; None for a name or anything else.

    `tel:`, `/TYPE=PLMN`, invisible characters, a leading + and punctuation are only ways of
    writing.
    """
    written = _written_by_skycore(text)
    if written is None or _canonical(written, default_region()) is None:
        return None
    return _NO_DIGIT.sub("", written)


def canonical_number(text: str | None) -> str | None:
    """Return the one form in which numbers from Skycore are compared; None for anything else.

    Digits, country code first. National forms are completed by DefaultRegion, where the number is
    not a valid international one as it stands. Shortcodes stay as they are.
    """
    written = _written_by_skycore(text)
    return _canonical(written, default_region()) if written else None


def canonical_form(digits: str) -> str:
    """Return the canonical form of digits that are known to begin with the country code."""
    plain = received_digits(digits)
    if plain is None or _SHORTCODE.fullmatch(plain):
        return plain or digits
    return _canonical(f"+{plain}", default_region()) or plain


def equivalent_forms(digits: str) -> list[str]:
    """Return every international form of a number, the canonical one first."""
    canonical = canonical_form(digits)
    others = [
        form.sub(other, canonical) for form, other in _OTHER_FORMS if form.fullmatch(canonical)
    ]
    return [canonical, *others]


def stored_forms(digits: str) -> list[str]:
    """Return every form under which a release may have stored this number, the current one first.

    `digits` begin with the country code. The first release kept what Skycore wrote: also national
    digits of DefaultRegion and those with an international prefix.
    """
    forms = equivalent_forms(digits)
    if _SHORTCODE.fullmatch(forms[0]) or not forms[0].isdigit():
        return forms
    region = default_region()
    metadata = PhoneMetadata.metadata_for_region(region, None)
    abroad = metadata.international_prefix if metadata else None
    prefixes = ["00", abroad] if abroad and abroad.isdigit() else ["00"]
    calling_code = str(phonenumbers.country_code_for_region(region))
    trunk = phonenumbers.ndd_prefix_for_region(region, True) or ""
    for form in tuple(forms):
        forms += [prefix + form for prefix in prefixes]
        if form.startswith(calling_code):
            national = form.removeprefix(calling_code)
            forms += [national, trunk + national]
    return list(dict.fromkeys(forms))


def received_forms(text: str | None) -> list[str]:
    """Return the forms in which a number that Skycore wrote may be on file, its own form last.

    Empty for what is not a number.
    """
    canonical, received = canonical_number(text), received_digits(text)
    if canonical is None or received is None:
        return []
    return [form for form in equivalent_forms(canonical) if form != received] + [received]


def ending_of(digits: str) -> str:
    """Return what a national form of any country has in common with the international one."""
    ending = digits.lstrip("0")
    return ending if len(ending) >= SHORTEST_ENDING else digits


def is_same_number(digits: str, written: str | None) -> bool:
    """Return whether Skycore may have written this number (country code first) this way.

    Also true for what is not a number: a receipt that names nobody is the message's own.
    """
    forms = received_forms(written)
    return not forms or digits in forms or digits.endswith(ending_of(forms[-1]))


def names_recipient(digits: str, written: str) -> bool:
    """Return whether a reply's TO may be the recipient: `digits`, with the country code.

    The ending of a number is not enough: it may be somebody else's whole number. Without its
    country code, TO must be the recipient's national number, and no valid number as it stands.
    Also true for what is not a number: it names nobody.
    """
    text, forms = _written_by_skycore(written), received_forms(written)
    if text is None or not forms or digits in forms:
        return True
    plain, own = forms[-1], _reading(f"+{digits}", None)
    if text.startswith("+") or own is None or len(plain) < SHORTEST_ENDING:
        return False
    abroad = _reading(f"+{plain}", None)
    if abroad is not None and phonenumbers.is_valid_number(abroad):
        return False
    national = _reading(plain, phonenumbers.region_code_for_country_code(own.country_code or 0))
    return national is not None and _unified(_digits(national)) == _unified(digits)


def _written_by_skycore(text: str | None) -> str | None:
    """Return a received number without its wrapping, None if it is not one."""
    if not text or len(text) > _LONGEST:
        return None
    match = _URI.fullmatch(visible_text(text).translate(_NARROW).strip(" "))
    written = match[1].strip(" ") if match else ""
    if whole := _FLOAT.fullmatch(written):
        written = whole[1]
    if _FRACTION.fullmatch(written) or (match and match[2] and not _OF_A_HOST.fullmatch(written)):
        return None
    short = 0 < len(written) <= _LONGEST_RECEIVED
    return written if short and _WRITTEN.fullmatch(written) else None


@lru_cache(maxsize=4_096)  # a batch names few numbers often; numbering plans are slow to ask
def _canonical(written: str, region: str) -> str | None:
    digits = _NO_DIGIT.sub("", written)
    if not digits or (len(digits) <= 8 and not written.startswith("+")):
        return digits or None
    if region == "MX" and (mexican := _NATIONAL_MEXICAN.fullmatch(digits)):
        digits = mexican[1]
    prefixed = digits.startswith("0" if written.startswith("+") else "00")
    international = _unified(_without_prefix(digits, region) if prefixed else digits)
    readings = [_reading(f"+{international}", None)]
    if not written.startswith("+"):
        readings.append(_reading(digits, region))
    possible = [reading for reading in readings if reading is not None]
    if not possible:  # numbering plans change; but no country code begins with 0
        return None if prefixed and written.startswith("+") else international or None
    valid = (reading for reading in possible if phonenumbers.is_valid_number(reading))
    return _unified(_digits(next(valid, possible[0])))


def _without_prefix(digits: str, region: str) -> str:
    """Return the digits without the prefix with which `region` calls abroad, or without zeros."""
    metadata = PhoneMetadata.metadata_for_region(region, None)
    abroad = metadata.international_prefix if metadata else None
    return digits.removeprefix(abroad or "").lstrip("0")


def _unified(digits: str) -> str:
    for form, canonical in _EQUIVALENTS:
        if form.fullmatch(digits):
            return form.sub(canonical, digits)
    return digits


def _without_plus(digits: str, international: PhoneNumber | None, region: str) -> str:
    national = _reading(digits, region)
    if digits.startswith("0"):
        hint = f", such as {_written(national)}" if national and digits[1:2] != "0" else ""
        raise NumberError(
            f"must start with + and the country code{hint}, not with 0, 00, 001 or 011",
            "must start with + and the country code, not with 0",
        )
    if international is None:
        if national is None:
            raise NumberError(
                "must be a possible phone number, written with + and its country code"
            )
        raise NumberError(
            f"must have its country code; for a number in {region}, write {_written(national)}",
            f"must have its country code (a number in {region}, …{digits[-2:]})",
        )
    if national is not None and _digits(national) != _digits(international):
        raise NumberError(
            f"must be unambiguous: it reads as {_written(international)} and, without its country"
            f" code, as {_written(national)}; write the one that you mean with its +",
            f"must be unambiguous: it reads as +{international.country_code}…{digits[-2:]}"
            f" and as +{national.country_code}…{digits[-2:]}",
        )
    return _digits(international)


def _reading(text: str, region: str | None) -> PhoneNumber | None:
    """Return the number that this text is, if its length is possible with an area code."""
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
