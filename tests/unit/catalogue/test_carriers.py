"""Carrier ids in the forms in which they are met."""

import pytest

from skycore.catalogue.fields import _carrier_names, carrier_name


@pytest.mark.parametrize(
    ("spid", "name"),
    [
        ("0001890", "Verizon Wireless"),
        ("000189", "Verizon Wireless"),
        ("1890", "Verizon Wireless"),
        (" 0001890 ", "Verizon Wireless"),
        ("31002", "AT&T Wireless US"),
        ("0000010", "All Carriers, United States"),
        ("0001100", "All Carriers, Canada or AT&T (Blue GSM) unused"),
        ("0007820", "GSM Kazakhstan, KCell"),
    ],
)
def test_known(spid: str, name: str) -> None:
    assert carrier_name(spid) == name


@pytest.mark.parametrize("spid", ["", "0", "9999999", "verizon", "00018900"])
def test_unknown(spid: str) -> None:
    assert carrier_name(spid) is None


def test_every_row() -> None:
    assert len(_carrier_names()) == 629
    for spid, name in _carrier_names().items():
        assert carrier_name(spid) == name
        assert carrier_name(spid.lstrip("0")) is not None
