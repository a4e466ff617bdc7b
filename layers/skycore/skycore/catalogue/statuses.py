"""Postback codes, a message's statuses, and how statuses follow one another.

A status moves by rank only, in a conditional write, so that any order and any repetition of
reports gives the same end: a delivery beats a failure beats an expiry. `unknown` stands below
`accepted` because a receipt with the message's own tracking id proves that Skycore had it.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

type Outcome = Literal["success", "failure", "info"]
type Step = Literal["sent", "delivered", "failed", "expired"]
type OwnStep = Literal["accepted", "rejected", "unknown", "expired", "cancelled"]

RANKS: dict[str, int] = {
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

# A step of ours that no postback tells: (outcome, whether it ends the message) of its event.
OWN_STEPS: dict[OwnStep, tuple[Outcome, bool]] = {
    "accepted": ("info", False),
    "rejected": ("failure", True),
    "unknown": ("failure", True),
    "expired": ("failure", True),
    "cancelled": ("info", True),
}


def rank(status: str) -> int:
    """How far along `status` is. Raises KeyError for a word that is no status."""
    return RANKS[status]


@dataclass(frozen=True, slots=True)
class PostbackCode:
    """One code.

    `terminal`: nothing more follows for what it is about; device discovery is never terminal,
    because the real MMS follows. `step`: what it means for the message's status, if anything.
    `kind`: codes of one kind are identified by the same fields.
    """

    code: str
    origins: tuple[str, ...]
    event: str
    meaning: str
    terminal: bool
    outcome: Outcome
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
                outcome=cast("Outcome", row["outcome"]),
                kind=row["kind"],
                step=cast("Step", row["step"]) if row["step"] else None,
            )
            for row in csv.DictReader(file)
        }


def all_postback_codes() -> tuple[PostbackCode, ...]:
    """Every documented code."""
    return tuple(_by_code().values())


def find_postback_code(code: str) -> PostbackCode | None:
    """The code as documented (`N202`, upper case), None for one that is not."""
    return _by_code().get(code)


@cache
def origin_names() -> dict[str, str]:
    """Documented origins by their upper-case spelling (`WALLET` is written `wallet`)."""
    return {name.upper(): name for code in all_postback_codes() for name in code.origins}


UNKNOWN = "unknown"
UNPARSED = "unparsed"

_FAILING = re.compile("fail|reject|notsupported|unsupported|undeliver|notdeliver|nondeliver")
_NOT_LETTERS = re.compile("[^a-z]+")


class EventMeaning(NamedTuple):
    """An event's name and what it means; outcome and terminal are None for an unknown code."""

    event: str
    outcome: Outcome | None
    terminal: bool | None


def _said(status: str | None) -> Literal["delivered", "expired", "failed", "other"] | None:
    """What STATUS says of delivery: `Message Sent/Expired` is expired, `Message Sent` nothing."""
    if not status:
        return None
    word = _NOT_LETTERS.sub("", status.rpartition("/")[2].lower())
    if word in {"", "sent", "messagesent"}:
        return None
    if "expired" in word:
        return "expired"
    if _FAILING.search(word):
        return "failed"
    return "delivered" if "delivered" in word else "other"


def _contradiction(code: PostbackCode, status: str | None) -> Step | None:
    """The step that STATUS tells where it contradicts a receipt's code.

    Before September 2014 N102 and N202 also came with Expired, Rejected or Failed, and N201 also
    came as the delivery report.
    """
    if code.step not in {"sent", "delivered"}:
        return None
    said = _said(status)
    if said in {"expired", "failed"}:
        return said
    if said == "delivered" and code.step == "sent":
        return "delivered"
    if said == "other" and code.step == "delivered":
        return "failed"
    return None


def event_meaning(
    code: PostbackCode | None, fields: dict[str, Any], *, is_json: bool
) -> EventMeaning:
    """The event that a code and the other fields tell."""
    if code is None:
        return EventMeaning(UNKNOWN, None, None)
    if code.code == "E011" and "video_name" in fields and not is_json:
        # The number of E001 since 2015, in XML; the JSON API took it for the content check.
        return EventMeaning("mobile_video_encoding_failed", code.outcome, code.terminal)
    step = _contradiction(code, fields.get("status"))
    if step is None:
        return EventMeaning(code.event, code.outcome, code.terminal)
    message = code.event.partition("_")[0]
    if step == "delivered":
        return EventMeaning(f"{message}_delivered", "success", True)
    return EventMeaning(f"{message}_delivery_failed", "failure", True)


def status_step(code: str | None, status: str | None) -> Step | None:
    """What a postback means for its message's status, None when nothing."""
    known = find_postback_code(code) if code else None
    if known is None or known.step is None:
        return None
    if known.step == "failed" and known.kind == "receipt" and _said(status) == "expired":
        return "expired"
    return _contradiction(known, status) or known.step
