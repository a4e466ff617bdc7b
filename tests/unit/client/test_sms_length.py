"""How much of an SMS a text takes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skycore.client.values import sms_length


@pytest.mark.parametrize(
    ("text", "alphabet", "units"),
    [
        ("", "GSM-7 septets", 0),
        ("a" * 160, "GSM-7 septets", 160),
        ("@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ", "GSM-7 septets", 31),
        ("€", "GSM-7 septets", 2),
        ("[{}]\\~^|\f", "GSM-7 septets", 18),
        ("a€b", "GSM-7 septets", 4),
        ("ç", "UCS-2 units", 1),
        ("`", "UCS-2 units", 1),
        ("\t", "UCS-2 units", 1),
        ("€ç", "UCS-2 units", 2),
        ("\U0001f600", "UCS-2 units", 2),
        ("\U0001f468\u200d\U0001f469", "UCS-2 units", 5),
        ("Zażółć", "UCS-2 units", 6),
        ("’", "UCS-2 units", 1),  # noqa: RUF001 - the character that phones put for '
    ],
)
def test_length(text: str, alphabet: str, units: int) -> None:
    length = sms_length(text)
    assert (length.alphabet, length.units) == (alphabet, units)


def test_room() -> None:
    assert sms_length("a").single == 160
    assert sms_length("ç").single == 70


@given(st.text(max_size=50), st.text(max_size=50))
def test_lengths_add_up_within_an_alphabet(one: str, other: str) -> None:
    both = sms_length(one + other)
    first, second = sms_length(one), sms_length(other)
    if first.alphabet == second.alphabet:
        assert both.units == first.units + second.units
    else:
        assert both.alphabet == "UCS-2 units"
