"""Numbers and senders as people write them."""

from __future__ import annotations

import re
from typing import Any

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skycore.phone_numbers import (
    NumberError,
    canonical_form,
    canonical_number,
    equivalent_forms,
    is_same_number,
    names_recipient,
    parse_msisdn,
    parse_sender,
    parse_sender_mask,
    received_digits,
    region_of,
    stored_forms,
)

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
    ("\u202d+1 (774) 319-9144\u202c", "US", "17743199144"),
    ("\u2068+17743199144\u2069", "US", "17743199144"),
    ("\u00ad+1774\u2060319\ufe0f9144\U000e0100", "US", "17743199144"),
    ("\t+1\u3000774\u2003319\u00a09144\r\n", "US", "17743199144"),
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
    ("7743199144", "US", "must have its country code.*\\+1 7743199144"),
    ("(774) 319-9144", "US", "must have its country code.*\\+1 7743199144"),
    ("2025550123", "US", "ambiguous.*\\+20 25550123 \\(EG\\).*\\+1 2025550123 \\(US\\)"),
    ("6591234567", "US", "ambiguous.*\\+65 91234567.*\\+1 6591234567"),
    ("(202) 555-0123", "US", "ambiguous"),
    ("0017743199144", "US", "must start with \\+"),
    ("01117743199144", "US", "must start with \\+"),
    ("011447911123456", "US", "such as \\+44 7911123456"),
    ("00447911123456", "GB", "must start with \\+"),
    ("07911123456", "GB", "such as \\+44 7911123456"),
    ("+0017743199144", "US", "a possible phone number"),
    ("+1774319914", "US", "a possible phone number"),
    ("+13199144", "US", "a possible phone number"),
    ("177431991440", "US", "a possible phone number"),
    ("60856", "US", "a possible phone number"),
    ("123", "US", "a possible phone number"),
    ("12345678", "US", "a possible phone number"),
    ("+1 774 ACME", "US", "must be a phone number"),
    ("ACME", "US", "must be a phone number"),
    ("", "US", "must be a phone number"),
    ("+", "US", "must be a phone number"),
    ("++17743199144", "US", "must be a phone number"),
    ("1+7743199144", "US", "must be a phone number"),
    ("+17743199144;ext=5", "US", "must be a phone number"),
    ("+5215562000000", "US", "write \\+52 5562000000"),
    ("52 1 55 6200 0000", "US", "write \\+52 5562000000"),
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
        ("\u202d60856\u202c\n", "60856"),
        ("AC\u200bME\u00a0x", "ACME x"),
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


@pytest.fixture
def region(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    monkeypatch.setenv("DEFAULT_REGION", request.param)


@pytest.mark.parametrize(
    ("region", "written", "canonical"),
    [
        ("US", "17743190001", "17743190001"),
        ("US", "+1 774-319-0001", "17743190001"),
        ("US", "7743190001", "17743190001"),
        ("US", "(774) 319-0001", "17743190001"),
        ("US", "0017743190001", "17743190001"),
        ("US", "01117743190001", "17743190001"),
        ("US", "+17743190001/TYPE=PLMN", "17743190001"),
        ("US", "17743190001/type=plmn", "17743190001"),
        ("US", "tel:+1774-319-0001;phone-context=x", "17743190001"),
        ("US", "\u202d+1 774 319 0001\u202c", "17743190001"),
        ("US", "+1\u3000774\u00a0319\u20030001\ufe0f", "17743190001"),
        ("US", "6175550123", "16175550123"),
        ("US", "6591234567", "6591234567"),
        ("US", "5215562000000", "525562000000"),
        ("US", "005215562000000", "525562000000"),
        ("US", "525562000000", "525562000000"),
        ("US", "5491112345678", "541112345678"),
        ("US", "541112345678", "541112345678"),
        ("US", "551187654321", "5511987654321"),
        ("US", "5511987654321", "5511987654321"),
        ("US", "551133334444", "551133334444"),
        ("US", "60856", "60856"),
        ("US", "12345678", "12345678"),
        ("US", "1774319XXXX", None),
        ("US", "ACME", None),
        ("US", "", None),
        ("US", None, None),
        ("US", "9" * 41, None),
        ("GB", "07911123456", "447911123456"),
        ("GB", "00447911123456", "447911123456"),
        ("GB", "447911123456", "447911123456"),
        ("GB", "17743190001", "17743190001"),
        ("MX", "5562000000", "525562000000"),
        ("AR", "011 15 1234-5678", "541112345678"),
    ],
    indirect=["region"],
)
def test_numbers_from_skycore_have_one_form(
    region: str, written: str | None, canonical: str | None
) -> None:
    assert canonical_number(written) == canonical


@pytest.mark.parametrize(
    ("number", "written", "same"),
    [
        ("17743199144", "7743199144", True),
        ("17743199144", "0017743199144", True),
        ("17743199144", "01117743199144", True),
        ("17743199144", "tel:+17743199144", True),
        ("17743199144", "+17743199144/TYPE=PLMN", True),
        ("17743199144", "1774319XXXX", True),
        ("17743199144", None, True),
        ("12025550123", "2025550123", True),
        ("447911123456", "07911123456", True),
        ("5491112345678", "541112345678", True),
        ("525562000000", "5215562000000", True),
        ("17743199144", "17743199145", False),
        ("17743199144", "447743199144", False),
        ("17743199144", "9144", True),
        ("17743199144", "9145", False),
    ],
)
def test_a_recipient_is_recognised_however_it_is_written(
    number: str, written: str | None, same: bool
) -> None:
    assert is_same_number(number, written) is same


@pytest.mark.parametrize(
    ("region", "number", "forms"),
    [
        ("US", "17743190001", {"17743190001", "7743190001", "0017743190001", "01117743190001"}),
        ("GB", "447911123456", {"447911123456", "7911123456", "07911123456", "00447911123456"}),
        ("US", "525562000000", {"5215562000000", "005215562000000", "00525562000000"}),
        ("US", "5491112345678", {"5491112345678", "541112345678", "011541112345678"}),
        ("US", "5511987654321", {"5511987654321", "551187654321"}),
        ("US", "60856", {"60856"}),
    ],
    indirect=["region"],
)
def test_every_form_of_the_first_release_is_found(region: str, number: str, forms: Any) -> None:
    found = stored_forms(number)
    assert found[0] == canonical_form(number)
    assert forms <= set(found)
    assert len(found) <= 7  # each is a read before every send


NATIONAL = st.from_regex(r"\A[2-9][0-9]{9}\Z")


@given(NATIONAL, st.integers(0, 3), st.sampled_from(["", "+", "tel:+", "00", "011"]), st.booleans())
def test_equivalent_spellings_are_one_number(
    digits: Any, cut: Any, prefix: Any, typed: Any
) -> None:
    number = f"1{digits}"
    written = prefix + f"{number[:cut]} {number[cut:]}" + ("/TYPE=PLMN" if typed else "")
    assert canonical_number(f"\u202a{written}\u202c") == canonical_number(number) == number


@given(st.sampled_from(["521{}", "52{}"]), st.sampled_from(["52{}", "521{}"]), NATIONAL)
def test_a_mexican_mobile_is_one_number(first: Any, second: Any, digits: Any) -> None:
    assert canonical_form(first.format(digits)) == canonical_form(second.format(digits))
    assert first.format(digits) in equivalent_forms(second.format(digits))


WORLD = st.one_of(
    NATIONAL.map("1{}".format),
    st.from_regex(r"\A4479[0-9]{8}\Z"),
    st.from_regex(r"\A52[1-9][0-9]{9}\Z"),
    st.from_regex(r"\A54[1-8][0-9]{9}\Z"),
    st.from_regex(r"\A5511[2-9][0-9]{7}\Z"),
    st.from_regex(r"\A55119[6-9][0-9]{7}\Z"),
    st.from_regex(r"\A65[89][0-9]{7}\Z"),
)


@given(WORLD, WORLD)
def test_different_numbers_stay_different(first: Any, second: Any) -> None:
    same_mobile = {first, second} <= set(equivalent_forms(first))
    assert (canonical_form(first) == canonical_form(second)) is (first == second or same_mobile)
    assert canonical_form(canonical_form(first)) == canonical_form(first)


@pytest.mark.parametrize(
    ("number", "written", "may_be"),
    [
        ("17743199144", "17743199144", True),
        ("17743199144", "+1 (774) 319-9144", True),
        ("17743199144", "7743199144", True),
        ("17743199144", "01117743199144", True),
        ("17743199144", "1774319XXXX", True),
        ("17743199144", "+0", True),
        ("18765550123", "8765550123", True),
        ("447911123456", "07911123456", True),
        ("447911123456", "7911123456", True),
        ("79161234567", "89161234567", True),
        ("6581234567", "81234567", True),
        ("390612345678", "0612345678", True),
        ("5491112345678", "541112345678", True),
        ("5491112345678", "1112345678", True),
        ("525562000000", "5562000000", True),
        ("4917743199144", "17743199144", False),
        ("4917743199144", "+17743199144", False),
        ("4917743199144", "tel:+17743199144", False),
        ("17743199144", "+7743199144", False),
        ("14534412345", "4534412345", False),  # also a number of Denmark
        ("17743199144", "9144", False),
        ("17743199144", "144", False),
        ("17743199144", "4", False),
        ("17743199144", "3199144", False),
        ("17743199144", "743199144", False),
        ("17743199144", "60856", False),
        ("17743199144", "7743199145", False),
    ],
)
def test_the_ending_of_a_number_does_not_pass_for_it_in_a_reply(
    number: str, written: str, may_be: bool
) -> None:
    assert names_recipient(number, written) is may_be


@pytest.mark.parametrize("text", ["+0", "+00", "000000000", "+0000000000", "tel:+0"])
def test_zeros_are_a_number_in_both_forms_or_in_neither(text: str) -> None:
    canonical, plain = canonical_number(text), received_digits(text)
    assert (canonical is None) is (plain is None)
    assert canonical is None or re.fullmatch("[0-9]{1,40}", canonical)


@given(st.text(max_size=60))
def test_any_text_is_a_number_or_none(text: Any) -> None:
    canonical, plain = canonical_number(text), received_digits(text)
    assert (canonical is None) is (plain is None)
    assert canonical is None or re.fullmatch("[0-9]{1,40}", canonical)


@pytest.mark.parametrize(
    ("digits", "country"),
    [
        ("17743199144", "US"),
        ("18765550123", "JM"),
        ("18095551234", "DO"),
        ("12425551234", "BS"),
        ("16135550123", "CA"),
        ("447797712345", "JE"),
        ("447624123456", "IM"),
        ("447924123456", "IM"),
        ("447400123456", "GB"),
        ("77001234567", "KZ"),
        ("79123456789", "RU"),
        ("19990000120", None),
        ("60856", None),
    ],
)
def test_countries_that_share_a_calling_code_are_told_apart(
    digits: str, country: str | None
) -> None:
    assert region_of(digits) == country


# Where all mobile numbers are of one plan, phonenumbers names the country that it belongs to.
ONE_PLAN = {
    "AX": "FI",
    "BL": "GP",
    "CC": "AU",
    "CX": "AU",
    "EH": "MA",
    "MF": "GP",
    "SJ": "NO",
    "VA": "IT",
}


@pytest.mark.parametrize("region", sorted(phonenumbers.SUPPORTED_REGIONS))
def test_a_mobile_number_is_of_its_country_and_not_of_a_larger_neighbour(region: str) -> None:
    mobile = phonenumbers.PhoneNumberType.MOBILE
    if example := phonenumbers.example_number_for_type(region, mobile):
        digits = f"{example.country_code}{phonenumbers.national_significant_number(example)}"
        assert region_of(digits) == ONE_PLAN.get(region, region)


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("17743199144.0", "17743199144"),
        ("7743199144.0", "17743199144"),
        ("60856.00", "60856"),
        ("1.7743199144E10", None),
        ("1.77E10", None),
        ("4477009001.23", None),
        ("774.319.9144", "17743199144"),
        ("774319.9144", "17743199144"),
        ("+1-774-319.0000", "17743190000"),
    ],
)
def test_a_number_that_was_a_float_is_never_another_persons(
    written: str, canonical: str | None
) -> None:
    assert canonical_number(written) == canonical


@pytest.mark.parametrize(
    ("region", "written", "canonical"),
    [
        ("US", "sip:+17743199144@carrier", "17743199144"),
        ("US", "<sip:+17743199144@carrier;user=phone>", "17743199144"),
        ("US", "17743199144@mms.example.com", "17743199144"),
        ("US", "+17743199144/TYPE=PLMN@mms.example.com", "17743199144"),
        ("US", "7743199144@mms.example.com", None),
        ("US", "12345@example.com", None),
        ("US", "name@example.com", None),
        (
            "US",
            "\uff0b\uff11\uff17\uff17\uff14\uff13\uff11\uff19\uff19\uff11\uff14\uff14",
            "17743199144",
        ),
        ("US", "+0017743199144", "17743199144"),
        ("US", "+01117743199144", "17743199144"),
        ("US", "+0", None),
        ("US", "52 044 55 6200 0000", "525562000000"),
        ("MX", "+52 045 55 6200 0000", "525562000000"),
        ("MX", "044 55 6200 0000", "525562000000"),
        ("MX", "01 55 6200 0000", "525562000000"),
    ],
)
def test_no_dress_of_a_number_makes_it_another_one(
    monkeypatch: pytest.MonkeyPatch, region: str, written: str, canonical: str | None
) -> None:
    monkeypatch.setenv("DEFAULT_REGION", region)
    assert canonical_number(written) == canonical
