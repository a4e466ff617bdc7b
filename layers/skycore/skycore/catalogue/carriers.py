"""Names of mobile carriers by the id (SPID, operator id) that Skycore uses."""

import csv
from functools import cache
from pathlib import Path


def carrier_name(spid: str) -> str | None:
    """The carrier's name, or None when the id is not in Skycore's lists.

    Ids are seven digits with their leading zeros. Until November 2013 the last digit was missing
    (000189 for 0001890), and software that takes the id for a number loses the zeros in front.
    Where two lists give one id to two carriers, both are named.
    """
    names = _names()
    digits = spid.strip()
    for form in (digits, f"{digits}0" if len(digits) == 6 else digits, digits.zfill(7)):
        if form in names:
            return names[form]
    return None


@cache
def _names() -> dict[str, str]:
    path = Path(__file__).with_name("carriers.csv")
    names: dict[str, str] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            name = f"{row['name']}, {row['country']}" if row["name"] == _ANY else row["name"]
            known = names.get(row["spid"])
            names[row["spid"]] = f"{known} or {name}" if known and known != name else name
    return names


_ANY = "All Carriers"
