"""The tables of codes and fields agree with what reads them."""

import csv
from pathlib import Path

from skycore import catalogue
from skycore.catalogue.fields import all_postback_fields, fields_by_element, plain_name
from skycore.catalogue.statuses import (
    all_postback_codes,
    find_postback_code,
    origin_names,
)
from skycore.postbacks.identity import IDENTITY_FIELDS

TABLES = Path(catalogue.__file__).parent


def rows(name: str) -> list[dict[str, str]]:
    with (TABLES / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_row_of_the_codes() -> None:
    table = rows("postback_codes.csv")
    assert len(table) == len(all_postback_codes()) == 37
    for row in table:
        code = find_postback_code(row["code"])
        assert code is not None
        assert code.terminal is (row["terminal"] == "yes")
        assert row["terminal"] in {"yes", "no", "partial"}
        assert code.outcome in {"success", "failure", "info"}
        assert code.step in {None, "sent", "delivered", "failed", "expired"}
        assert code.kind in IDENTITY_FIELDS
        assert code.origins
        assert code.meaning
    assert find_postback_code("n202") is None
    assert origin_names()["WALLET"] == "wallet"


def test_every_row_of_the_fields() -> None:
    names = [field.name for field in all_postback_fields()]
    elements = [element for field in all_postback_fields() for element in field.elements]
    assert len(set(names)) == len(names) == len(rows("postback_fields.csv"))
    assert len(set(elements)) == len(elements) == len(fields_by_element())
    assert all(plain_name(element) == element for element in elements)
    told = {name for kinds in IDENTITY_FIELDS.values() for fields in kinds for name in fields}
    assert told - set(names) == {"id"}  # transaction id or tracking id, of inbound messages
