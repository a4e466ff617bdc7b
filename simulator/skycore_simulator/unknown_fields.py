"""Find the fields of a request that Skycore ignores because it does not know them."""

import re

from skycore_simulator import pass_data
from skycore_simulator.request_parser import MEDIA, Call
from skycore_simulator.tables import table

_IN_SLIDE = {*MEDIA, "TEXT", "DURATION", "REPEATED"}
_IN_PASS = {
    *pass_data.names(),
    *("CUSTOMPASSID", "CUSTOMID", "CUSTOMDATAID", "EMAIL", "PHONE"),
    *("THUMBNAILURL", "BARCODEVALUE", "BARCODETEXT"),
}
_PLACE = re.compile(
    r"(REL(LATITUDE|LONGITUDE|TEXT|ADDRESS)|IBEACON(UUID|MAJOR|MINOR|TEXT))([1-9]|10)"
)


def unknown_fields(call: Call) -> list[str]:
    """Return their names; one inside a group has a slash, such as SLIDE/MUSIC."""
    if call.action is None:
        return sorted(call.received)
    facts = table("actions")[call.action]
    known = {*facts["fields"], *facts.get("synonyms", {})}
    found = set(call.received) - known
    for slide in call.fields.get("SLIDE", []):
        found |= {f"SLIDE/{name}" for name in slide if name not in _IN_SLIDE}
    for group in call.fields.get("CUSTOMTEXT", []):
        found |= {f"CUSTOMTEXT/{name}" for name in group if name not in ("SLIDE", "VALUE")}
    for name in call.fields.get("PASSDATA", {}):
        if name not in _IN_PASS and not _PLACE.fullmatch(name):
            found.add(f"PASSDATA/{name}")
    return sorted(found)
