"""How much of an SMS a text takes, by the alphabet of GSM 03.38."""

from dataclasses import dataclass

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà",
)
_EXTENSION = frozenset("\f^{}\\[~]|€")  # each is an escape and a character
_MOST_PARTS = 255  # the part number is one byte


@dataclass(frozen=True, slots=True)
class SmsLength:
    """``units`` of one SMS's ``single``; ``many`` is what the most parts can carry together.

    Units are septets of GSM-7, or 16-bit units of UCS-2 as soon as one character needs it.
    """

    alphabet: str
    units: int
    single: int
    many: int


def sms_length(text: str) -> SmsLength:
    """Measure a text: 160 septets or 70 UCS-2 units fit into one SMS."""
    septets = 0
    for character in text:
        if character in _BASIC:
            septets += 1
        elif character in _EXTENSION:
            septets += 2
        else:
            units = len(text.encode("utf-16-le", "surrogatepass")) // 2
            return SmsLength("UCS-2 units", units, 70, 67 * _MOST_PARTS)
    return SmsLength("GSM-7 septets", septets, 160, 153 * _MOST_PARTS)
