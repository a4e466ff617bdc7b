"""The checks that Skycore makes on the fields of a request, with the code of each failure."""

import re
from datetime import UTC, datetime
from typing import Any

from skycore_simulator.replies import Element, RefusalError
from skycore_simulator.request_parser import Call
from skycore_simulator.settings import Settings
from skycore_simulator.state import Campaign, State, Template
from skycore_simulator.tables import table

_NUMBER = re.compile(r"[1-9][0-9]{6,14}")
_NORTH_AMERICA = re.compile(r"1[2-9][0-9]{9}")
_SENDER = re.compile(r"[0-9]{3,8}|[1-9][0-9]{9,14}")
_EMAIL = re.compile(r"[^@\s,;<>]+@[^@\s,;<>]+\.[^@\s,;<>.]+")
_MAGIC_NUMBER = re.compile(r"1500555[0-9]{4}|199[89]0000[0-9]{3}")
# The public Ruby client saved MMS without SUBJECT for years, with a fallback text.
_INSTEAD_OF_SUBJECT = ("FALLBACKSMSTEXT", "DISABLEFALLBACKSMS")
MAX_MASK_LENGTH = 11
MAX_SUBJECT_LENGTH = 80


def mandatory(call: Call) -> None:
    """Refuse the call with the code of the first mandatory field that is missing or empty."""
    for name, code in table("actions")[call.action or ""]["missing"].items():
        if name == "SUBJECT" and any(call.fields.get(other) for other in _INSTEAD_OF_SUBJECT):
            continue
        if not call.fields.get(name):
            raise RefusalError(code, echo=echo(call))


def echo(call: Call) -> list[Element]:
    """Return the fields of the request that a Failure echoes."""
    names = ("TO", "MMSID", "EMAIL", "CAMPAIGNID")
    return [(name, call.get(name)) for name in names if call.get(name)]


def is_number(number: str) -> bool:
    """Return whether this is a number with country code: 7 to 15 digits, 11 in North America."""
    if not _NUMBER.fullmatch(number):
        return False
    return not number.startswith("1") or bool(_NORTH_AMERICA.fullmatch(number)) or magic(number)


def magic(number: str) -> bool:
    """Return whether this is one of the simulator's own numbers."""
    return bool(_MAGIC_NUMBER.fullmatch(number))


def is_email(address: str) -> bool:
    """Return whether this looks like an email address."""
    return bool(_EMAIL.fullmatch(address))


def recipient(call: Call, state: State, settings: Settings) -> str:
    """Return TO. Refuses with E623, E110, E114, and with the campaign check E714 or E715."""
    number = call.get("TO")
    echoed = echo(call)
    if number.count(",") >= 100:
        raise RefusalError("E623", echo=echoed)
    if not is_number(number):
        raise RefusalError("E110", echo=echoed)
    if number in state.opted_out:
        raise RefusalError("E114", echo=echoed)
    if settings.enforce_campaign_check:
        campaign = state.campaign(call.get("CAMPAIGNREF"))
        if campaign is None:
            raise RefusalError("E714", echo=echoed)
        if number not in campaign.subscribers:
            raise RefusalError("E715", echo=echoed)
    return number


def sender(call: Call, settings: Settings) -> str:
    """Return FROM. Refuses with E111, for FROM_MASK with E115, for OPERATORID with E651."""
    number = call.get("FROM")
    if not _SENDER.fullmatch(number) or (settings.senders and number not in settings.senders):
        raise RefusalError("E111", echo=echo(call))
    if call.get("TO").startswith("61") and len(call.get("FROM_MASK")) > 50:
        raise RefusalError("E115", echo=echo(call))
    if call.get("OPERATORID") and not re.fullmatch(r"[0-9]{1,7}", call.get("OPERATORID")):
        raise RefusalError("E651", echo=echo(call))
    return number


def template(call: Call, state: State) -> Template:
    """Return the template MMSID. Refuses with E625 (not a number), E241 (unknown, ruined), E626."""
    number = call.get("MMSID")
    echoed = echo(call)
    if not re.fullmatch(r"[0-9]{1,19}", number):
        raise RefusalError("E625", echo=echoed)
    found = state.templates.get(number)
    if found is None or found.ruined:
        raise RefusalError("E241", echo=echoed)
    if not found.ready:
        raise RefusalError("E626", echo=echoed)
    return found


def overrides(call: Call) -> None:
    """Check CUSTOMSUBJECT (E229), CUSTOMTEXT (E100 slide, E228 text) and DDMTIMEOUT (E100)."""
    if len(call.get("CUSTOMSUBJECT")) > MAX_SUBJECT_LENGTH:
        raise RefusalError("E229", echo=echo(call))
    for group in call.fields.get("CUSTOMTEXT", []):
        if not re.fullmatch(r"[1-8]", group.get("SLIDE", "").strip()):
            raise RefusalError("E100", echo=echo(call))
        if len(group.get("VALUE", "")) > 5000:
            raise RefusalError("E228", 5000, echo=echo(call))
    timeout = call.get("DDMTIMEOUT")
    if timeout and not re.fullmatch(r"[0-9]{1,5}", timeout):
        raise RefusalError("E100", echo=echo(call))


def campaign(reference: str, state: State, code: str, echoed: list[Element]) -> Campaign:
    """Return the campaign with this id or reference, or refuse with `code`."""
    found = state.campaign(reference)
    if found is None:
        raise RefusalError(code, echo=echoed)
    return found


def is_yes(value: str | None) -> bool:
    """Return whether a yes/no field says yes."""
    return (value or "").strip().lower() in ("yes", "true", "1")


def parse_time(value: Any, pattern_code: str, date_code: str) -> datetime:
    """Return the UTC time written as YYYY-MM-DD hh:mm:ss."""
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}", str(value)):
        raise RefusalError(pattern_code)
    try:
        return datetime.strptime(str(value), "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    except ValueError as error:
        raise RefusalError(date_code) from error
