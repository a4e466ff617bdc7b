"""The rules for PASSDATA: which fields a template accepts and which values are valid."""

import re
from typing import Any

from skycore_simulator.checks import is_email, is_number
from skycore_simulator.replies import Element, RefusalError

FIELDS = ("HEADER", 1), ("PRIMARY", 2), ("SEC", 4), ("AUX", 4), ("BACK", 4)
PLACES = 10  # relevance locations, and beacons
_UUID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")


def check(template: dict[str, Any], data: dict[str, str], echoed: list[Element]) -> None:
    """Raise RefusalError for the first fault: E803, E804, E805, E829, E833, E840 to E999."""
    for code, wrong in _faults(template, {k: v for k, v in data.items() if v}).items():
        if wrong:
            raise RefusalError(code, echo=echoed)


def names() -> list[str]:
    """Return the label and value elements in the order of their codes from E840."""
    return [
        f"{field}{part}{number}"
        for field, count in FIELDS
        for number in range(1, count + 1)
        for part in ("LABEL", "VALUE")
    ]


def _faults(template: dict[str, Any], data: dict[str, str]) -> dict[str, bool]:
    fixed = not template["dynamic"]
    known_by = [data.get(name) for name in ("EMAIL", "PHONE", "CUSTOMID", "CUSTOMDATAID")]
    custom = data.get("CUSTOMID", data.get("CUSTOMDATAID", ""))
    faults = {
        "E803": template["barcode_required"] and "BARCODEVALUE" not in data,
        "E804": "EMAIL" in data and not is_email(data["EMAIL"]),
        "E805": "PHONE" in data and not is_number(data["PHONE"]),
        "E829": not re.fullmatch(r"[A-Za-z0-9 ]*", custom),
        "E833": template["personalised"] and not any(known_by),
    }
    for code, name in enumerate(names(), 840):
        faults[f"E{code}"] = fixed and name in data
    for place in range(PLACES):
        number = place + 1
        where = [f"REL{part}{number}" for part in ("LATITUDE", "LONGITUDE", "TEXT")]
        beacon = [f"IBEACON{part}{number}" for part in ("UUID", "MAJOR", "MINOR", "TEXT")]
        has_beacon = any(name in data for name in beacon)
        faults[f"E{870 + place}"] = fixed and any(name in data for name in where)
        faults[f"E{880 + place}"] = not _degrees(data.get(where[0]), 90)
        faults[f"E{890 + place}"] = not _degrees(data.get(where[1]), 180)
        faults[f"E{950 + place}"] = fixed and has_beacon
        faults[f"E{990 + place}"] = has_beacon and beacon[0] not in data
        faults[f"E{960 + place}"] = beacon[0] in data and not _UUID.fullmatch(data[beacon[0]])
        faults[f"E{970 + place}"] = not _word(data.get(beacon[1]))
        faults[f"E{980 + place}"] = not _word(data.get(beacon[2]))
    return faults


def _degrees(value: str | None, most: int) -> bool:
    if value is None:
        return True
    return bool(re.fullmatch(r"[+-]?[0-9]{1,3}(\.[0-9]+)?", value)) and abs(float(value)) <= most


def _word(value: str | None) -> bool:
    return value is None or (bool(re.fullmatch(r"[0-9]{1,5}", value)) and int(value) <= 65535)
