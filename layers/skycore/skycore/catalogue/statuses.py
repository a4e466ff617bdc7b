"""Postback codes, a message's statuses, and how statuses follow one another.

A status moves by rank only, in a conditional write, so that any order and any repetition of
reports gives the same result: a delivery beats a failure beats an expiry. `unknown` stands below
`accepted` because a receipt with the message's own tracking id proves that Skycore had it.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast

if TYPE_CHECKING:
    from collections.abc import Mapping

type EventOutcome = Literal["success", "failure", "info"]
type Step = Literal["sent", "delivered", "failed", "expired"]
type OwnStep = Literal["accepted", "rejected", "unknown", "expired", "cancelled"]

RANKS: dict[str, int] = {
    "scheduled": 5,  # of a row that says queued, until its send_at
    "queued": 10,
    "sending": 20,
    "unknown": 25,
    "accepted": 30,
    "sent": 40,
    "expired": 50,
    "failed": 60,
    "delivered": 70,
    "rejected": 90,
    "cancelled": 90,
}

# Events of our own steps, which no postback reports: (outcome, whether it ends the message).
OWN_STEPS: dict[OwnStep, tuple[EventOutcome, bool]] = {
    "accepted": ("info", False),
    "rejected": ("failure", True),
    "unknown": ("failure", True),
    "expired": ("failure", True),
    "cancelled": ("info", True),
}


@dataclass(frozen=True, slots=True)
class PostbackCode:
    """A postback code.

    `terminal`: nothing more follows for what it is about; device discovery is never terminal,
    because the real MMS follows. `step`: what it means for the message's status, if anything.
    `kind`: codes of one kind are identified by the same fields.
    """

    code: str
    origins: tuple[str, ...]
    event: str
    meaning: str
    terminal: bool
    outcome: EventOutcome
    kind: str
    step: Step | None


@cache
def _by_code() -> dict[str, PostbackCode]:
    path = Path(__file__).with_name("postback_codes.csv")
    with path.open(encoding="utf-8", newline="") as file:
        return {
            row["code"]: PostbackCode(
                code=row["code"],
                origins=tuple(row["origins"].split("|")),
                event=row["event"],
                meaning=row["meaning"],
                terminal=row["terminal"] == "yes",
                outcome=cast("EventOutcome", row["outcome"]),
                kind=row["kind"],
                step=cast("Step", row["step"]) if row["step"] else None,
            )
            for row in csv.DictReader(file)
        }


def all_postback_codes() -> tuple[PostbackCode, ...]:
    """Return every documented code."""
    return tuple(_by_code().values())


def find_postback_code(code: str) -> PostbackCode | None:
    """Return the documented code (`N202`, upper case); None for any other."""
    return _by_code().get(code)


@cache
def origin_names() -> dict[str, str]:
    """Return the documented origins by their upper-case spelling (`WALLET` is written `wallet`)."""
    return {name.upper(): name for code in all_postback_codes() for name in code.origins}


UNKNOWN = "unknown"
UNPARSED = "unparsed"

_STATUS_ATTRIBUTES = ("celly", "protocol", "protocole", "status")
_NOT_OF_A_WORD = re.compile("[^a-z0-9]+")


class EventMeaning(NamedTuple):
    """An event's name and what it means; outcome and terminal are None for an unknown code."""

    event: str
    outcome: EventOutcome | None
    terminal: bool | None


class ReportedStatus(NamedTuple):
    """What a STATUS says: its step, None if nothing; `is_documented`: whether a table has it."""

    step: Step | None
    is_documented: bool


@cache
def _status_words() -> dict[tuple[str, str], Step | None]:
    """Read the table of what a STATUS says: words, `celly` numbers, and protocol|status pairs."""
    path = Path(__file__).with_name("status_words.csv")
    with path.open(encoding="utf-8", newline="") as file:
        return {
            (row["form"], _folded(row["value"]) if row["form"] == "word" else row["value"]): (
                cast("Step", row["step"]) if row["step"] else None
            )
            for row in csv.DictReader(file)
        }


def reported_status(status: str | None, extra: Mapping[str, Any]) -> ReportedStatus:
    """Return what a STATUS says of delivery: `Message Sent/Expired` is expired.

    The last part after `/` counts. `extra` may hold the attributes that STATUS had until 2014:
    they decide, `celly` before a pair of `protocol` and `status`.
    """
    protocol = extra.get("status_protocol", extra.get("status_protocole"))
    forms = [("celly", _trimmed(extra.get("status_celly")))]
    if protocol is not None:
        forms.append(("protocol", f"{_trimmed(protocol)}|{_trimmed(extra.get('status_status'))}"))
    forms.append(("word", _folded((status or "").rpartition("/")[2])))
    words = _status_words()
    for form in forms:
        if form in words:
            return ReportedStatus(words[form], is_documented=True)
    given = [status, *(extra.get(f"status_{name}") for name in _STATUS_ATTRIBUTES)]
    has_word = any(str(value).strip(" /") for value in given if value)
    return ReportedStatus(None, is_documented=not has_word)


def _folded(word: str) -> str:
    return _NOT_OF_A_WORD.sub("", word.lower())


def _trimmed(number: Any) -> str:
    """Return a number without the space around it and leading zeros."""
    return re.sub("^0+(?=[0-9])", "", number.strip()) if isinstance(number, str) else ""


def event_meaning(
    code: PostbackCode | None,
    fields: Mapping[str, Any],
    extra: Mapping[str, Any] | None = None,
    *,
    is_json: bool,
) -> EventMeaning:
    """Return the event that a code, the other fields and `extra` report."""
    if code is None:
        return EventMeaning(UNKNOWN, None, None)
    if code.code == "E011" and "video_name" in fields and not is_json:
        # The number of E001 since 2015, in XML; the JSON API took it for the content check.
        return EventMeaning("mobile_video_encoding_failed", code.outcome, code.terminal)
    step = _step(code, fields.get("status"), extra or {})
    message = "sms" if code.event.startswith("sms_") else "mms"
    if step == code.step or (step in {"expired", "failed"} and code.outcome == "failure"):
        return EventMeaning(code.event, code.outcome, code.terminal)
    if step == "delivered":
        return EventMeaning(f"{message}_delivered", "success", terminal=True)
    if step == "sent":
        return EventMeaning(f"{message}_sent", "info", terminal=False)
    return EventMeaning(f"{message}_delivery_failed", "failure", terminal=True)


def status_step(
    code: str | None, status: str | None, extra: Mapping[str, Any] | None = None
) -> Step | None:
    """Return what a postback means for its message's status, None when nothing."""
    found = find_postback_code(code) if code else None
    return None if found is None else _step(found, status, extra or {})


def has_unknown_status(code: str | None, status: str | None, extra: Mapping[str, Any]) -> bool:
    """Return whether a receipt's STATUS is in none of the tables."""
    found = find_postback_code(code) if code else None
    is_receipt = found is not None and found.kind == "receipt" and found.step is not None
    return is_receipt and not reported_status(status, extra).is_documented


def _step(code: PostbackCode, status: str | None, extra: Mapping[str, Any]) -> Step | None:
    """Return the code's own step, or the one that a receipt's STATUS reports instead.

    A failure or a message still on its way beats any code. A delivery beats only "sent": until
    2014 N201 also came as the delivery report.
    """
    if code.kind != "receipt" or code.step is None:
        return code.step
    match reported_status(status, extra).step:
        case "expired":
            return "expired"
        case "failed":
            return "expired" if code.step == "expired" else "failed"
        case "sent":
            return "sent"
        case "delivered" if code.step == "sent":
            return "delivered"
    return code.step
