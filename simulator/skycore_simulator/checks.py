"""What Skycore checks in the fields of a request, and the code that it refuses each with."""

import re
from datetime import UTC, datetime
from typing import Any

from local.simulator.answers import Element, RefusalError
from local.simulator.catalogue import table
from local.simulator.reading import Call
from local.simulator.settings import Settings
from local.simulator.state import Campaign, State, Template

_NUMBER = re.compile(r"[1-9][0-9]{6,14}")
_NORTH_AMERICA = re.compile(r"1[2-9][0-9]{9}")
_SENDER = re.compile(r"[0-9]{3,8}|[1-9][0-9]{9,14}")
_EMAIL = re.compile(r"[^@\s,;<>]+@[^@\s,;<>]+\.[^@\s,;<>.]+")
_MAGIC_NUMBER = re.compile(r"1500555[0-9]{4}|199[89]0000[0-9]{3}")
LONGEST_MASK = 11
LONGEST_SUBJECT = 80


def mandatory(call: Call) -> None:
    """Refuses with the code of the first mandatory field that is absent or empty."""
    for name, code in table("actions")[call.action or ""]["missing"].items():
        if not call.fields.get(name):
            raise RefusalError(code, echo=echo(call))


def echo(call: Call) -> list[Element]:
    """The fields that a Failure repeats, where the request had them."""
    names = ("TO", "MMSID", "EMAIL", "CAMPAIGNID")
    return [(name, call.get(name)) for name in names if call.get(name)]


def is_number(number: str) -> bool:
    """Country code and number: 7 to 15 digits; 11 of them in North America."""
    if not _NUMBER.fullmatch(number):
        return False
    return not number.startswith("1") or bool(_NORTH_AMERICA.fullmatch(number)) or magic(number)


def magic(number: str) -> bool:
    """Whether this is one of the simulator's own numbers."""
    return bool(_MAGIC_NUMBER.fullmatch(number))


def is_email(address: str) -> bool:
    """Roughly an address."""
    return bool(_EMAIL.fullmatch(address))


def recipient(call: Call, state: State, settings: Settings) -> str:
    """TO, checked: E623, E110, E114, and with campaign check on E714 and E715."""
    number = call.get("TO")
    said = echo(call)
    if number.count(",") >= 100:
        raise RefusalError("E623", echo=said)
    if not is_number(number):
        raise RefusalError("E110", echo=said)
    if number in state.opted_out:
        raise RefusalError("E114", echo=said)
    if settings.enforce_campaign_check:
        campaign = state.campaign(call.get("CAMPAIGNREF"))
        if campaign is None:
            raise RefusalError("E714", echo=said)
        if number not in campaign.subscribers:
            raise RefusalError("E715", echo=said)
    return number


def sender(call: Call, settings: Settings) -> str:
    """FROM, checked: E111; FROM_MASK: E115; OPERATORID: E651."""
    number = call.get("FROM")
    if not _SENDER.fullmatch(number) or (settings.senders and number not in settings.senders):
        raise RefusalError("E111", echo=echo(call))
    if call.get("TO").startswith("61") and len(call.get("FROM_MASK")) > 50:
        raise RefusalError("E115", echo=echo(call))
    if call.get("OPERATORID") and not re.fullmatch(r"[0-9]{1,7}", call.get("OPERATORID")):
        raise RefusalError("E651", echo=echo(call))
    return number


def template(call: Call, state: State) -> Template:
    """The template that MMSID names: E625 if it is no number, E241 unknown or ruined, E626."""
    number = call.get("MMSID")
    said = echo(call)
    if not re.fullmatch(r"[0-9]{1,19}", number):
        raise RefusalError("E625", echo=said)
    found = state.templates.get(number)
    if found is None or found.ruined:
        raise RefusalError("E241", echo=said)
    if not found.ready:
        raise RefusalError("E626", echo=said)
    return found


def overrides(call: Call) -> None:
    """CUSTOMSUBJECT and CUSTOMTEXT: E229 too long a subject, E100 no such slide, E228 the text."""
    if len(call.get("CUSTOMSUBJECT")) > LONGEST_SUBJECT:
        raise RefusalError("E229", echo=echo(call))
    for group in call.fields.get("CUSTOMTEXT", []):
        if not re.fullmatch(r"[1-8]", group.get("SLIDE", "").strip()):
            raise RefusalError("E100", echo=echo(call))
        if len(group.get("VALUE", "")) > 5000:
            raise RefusalError("E228", 5000, echo=echo(call))
    timeout = call.get("DDMTIMEOUT")
    if timeout and not re.fullmatch(r"[0-9]{1,5}", timeout):
        raise RefusalError("E100", echo=echo(call))


def campaign(reference: str, state: State, code: str, said: list[Element]) -> Campaign:
    """The campaign with this id or reference, else refused with the code."""
    found = state.campaign(reference)
    if found is None:
        raise RefusalError(code, echo=said)
    return found


def says_yes(value: str | None) -> bool:
    """Whether a yes/no field says yes."""
    return (value or "").strip().lower() in ("yes", "true", "1")


def moment(value: Any, pattern_code: str, date_code: str) -> datetime:
    """A UTC instant written YYYY-MM-DD hh:mm:ss."""
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}", str(value)):
        raise RefusalError(pattern_code)
    try:
        return datetime.strptime(str(value), "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    except ValueError as error:
        raise RefusalError(date_code) from error
