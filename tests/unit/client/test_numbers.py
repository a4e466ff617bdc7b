"""Numbers and senders as people write them."""

import re

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skycore.client.numbers import NumberError, parse_msisdn, parse_sender, parse_sender_mask

GOOD = [
    ("+1 (774) 319-9144", "US", "17743199144"),
    ("+17743199144", "US", "17743199144"),
    ("17743199144", "US", "17743199144"),
    ("1 774 319 9144", "US", "17743199144"),
    ("1-774-319-9144", "US", "17743199144"),
    ("1.774.319.9144", "US", "17743199144"),
    ("  +1 774-319-9144  ", "US", "17743199144"),
    ("+1\u00a0774\u2011319\u20119144", "US", "17743199144"),
    ("\u202a+1 774 319 9144\u202c", "US", "17743199144"),
    ("17743199144", "GB", "17743199144"),
    ("19990000120", "US", "19990000120"),
    ("447911123456", "US", "447911123456"),
    ("447911123456", "GB", "447911123456"),
    ("+44 (0)7911 123456", "US", "447911123456"),
    ("+20 2 5550 1234", "US", "20255501234"),
    ("+2025550123", "US", "2025550123"),
    ("33612345678", "US", "33612345678"),
    ("+39 06 1234567", "US", "39061234567"),
    ("5511987654321", "US", "5511987654321"),
    ("+6591234567", "US", "6591234567"),
]
BAD = [
    ("7743199144", "US", "lacks its country code.*\\+1 7743199144"),
    ("(774) 319-9144", "US", "lacks its country code.*\\+1 7743199144"),
    ("2025550123", "US", "ambiguous.*\\+20 25550123 \\(EG\\).*\\+1 2025550123 \\(US\\)"),
    ("6591234567", "US", "ambiguous.*\\+65 91234567.*\\+1 6591234567"),
    ("(202) 555-0123", "US", "ambiguous"),
    ("0017743199144", "US", "must start with \\+"),
    ("01117743199144", "US", "must start with \\+"),
    ("011447911123456", "US", "such as \\+44 7911123456"),
    ("00447911123456", "GB", "must start with \\+"),
    ("07911123456", "GB", "such as \\+44 7911123456"),
    ("+0017743199144", "US", "not a possible number"),
    ("+1774319914", "US", "not a possible number"),
    ("+13199144", "US", "not a possible number"),
    ("177431991440", "US", "not a possible number"),
    ("60856", "US", "not a possible number"),
    ("123", "US", "not a possible number"),
    ("12345678", "US", "not a possible number"),
    ("+1 774 ACME", "US", "must be a phone number"),
    ("ACME", "US", "must be a phone number"),
    ("", "US", "must be a phone number"),
    ("+", "US", "must be a phone number"),
    ("++17743199144", "US", "must be a phone number"),
    ("1+7743199144", "US", "must be a phone number"),
    ("+17743199144;ext=5", "US", "must be a phone number"),
    ("+17743199144\n", "US", "must be a phone number"),
    ("+17743199144,+17743199145", "US", "must be a phone number"),
    ("\u0661\u0667\u0667\u0664\u0663\u0661\u0669\u0669\u0661\u0664\u0664", "US", "must be a phone"),
    ("+" + "1" * 100, "US", "must be a phone number"),
]


@pytest.mark.parametrize(("written", "region", "digits"), GOOD)
def test_accepted(written: str, region: str, digits: str) -> None:
    assert parse_msisdn(written, default_region=region) == digits


@pytest.mark.parametrize(("written", "region", "detail"), BAD)
def test_refused(written: str, region: str, detail: str) -> None:
    with pytest.raises(NumberError) as caught:
        parse_msisdn(written, default_region=region)
    assert re.search(detail, caught.value.detail)
    assert not re.search("[0-9]{5}", str(caught.value))


@given(st.from_regex(r"\A[2-9][0-9]{9}\Z"))
def test_no_us_number_without_its_country_code_is_sent(digits: str) -> None:
    with pytest.raises(NumberError):
        parse_msisdn(digits, default_region="US")
    assert parse_msisdn(f"+1{digits}", default_region="US") == f"1{digits}"
    assert parse_msisdn(f"1{digits}", default_region="US") == f"1{digits}"


@given(st.sampled_from(sorted(phonenumbers.SUPPORTED_REGIONS)), st.sampled_from(["US", "GB", "DE"]))
def test_a_plus_is_trusted_for_every_country(country: str, region: str) -> None:
    example = phonenumbers.example_number_for_type(country, phonenumbers.PhoneNumberType.MOBILE)
    if example is None:
        return
    wanted = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
    written = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.INTERNATIONAL)
    assert parse_msisdn(wanted, default_region=region) == wanted[1:]
    assert parse_msisdn(written, default_region=region) == wanted[1:]


@given(st.text(max_size=30), st.sampled_from(["US", "GB", "DE", "IT", "BR"]))
def test_any_text_gives_digits_or_an_error(text: str, region: str) -> None:
    try:
        digits = parse_msisdn(text, default_region=region)
    except NumberError:
        return
    assert re.fullmatch("[1-9][0-9]{6,16}", digits)


@pytest.mark.parametrize(
    ("written", "sender"),
    [
        ("60856", "60856"),
        ("608", "608"),
        ("12345678", "12345678"),
        (" 60856 ", "60856"),
        ("608-56", "60856"),
        ("+17743199144", "17743199144"),
        ("17743199144", "17743199144"),
        ("ACME", "ACME"),
        ("A-b_3 x", "A-b_3 x"),
    ],
)
def test_senders(written: str, sender: str) -> None:
    assert parse_sender(written, default_region="US") == sender


@pytest.mark.parametrize(
    "written", ["", "12", "+60856", "2025550123", "TWELVELETTER", "Ünïcode", "a.b", "123456789"]
)
def test_bad_senders(written: str) -> None:
    with pytest.raises(NumberError):
        parse_sender(written, default_region="US")


@pytest.mark.parametrize("mask", ["60856", "12345678901", "", "TWELVELETTER", "a\nb", " a", "é"])
def test_bad_masks(mask: str) -> None:
    with pytest.raises(NumberError):
        parse_sender_mask(mask)


@pytest.mark.parametrize("mask", ["ACME", "4you", "a-b_c", "ELEVENCHARS"])
def test_good_masks(mask: str) -> None:
    assert parse_sender_mask(mask) == mask
