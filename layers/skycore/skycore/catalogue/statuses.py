"""A message's statuses and how they follow one another.

A status moves by rank only, in a conditional write, so that any order and any repetition of
reports gives the same end: a delivery beats a failure beats an expiry. `unknown` stands below
`accepted` because a receipt with the message's own tracking id proves that Skycore had it.
"""

from __future__ import annotations

import re
from typing import Any, Literal, NamedTuple

from skycore.catalogue.postback_codes import Outcome, PostbackCode, Step, find_postback_code

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


UNKNOWN = "unknown"
UNPARSED = "unparsed"

_FAILING = re.compile("fail|reject|notsupported|unsupported|undeliver|notdeliver|nondeliver")
_NOT_LETTERS = re.compile("[^a-z]+")


class Meaning(NamedTuple):
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


def meaning(code: PostbackCode | None, fields: dict[str, Any], *, is_json: bool) -> Meaning:
    """The event that a code and the other fields tell."""
    if code is None:
        return Meaning(UNKNOWN, None, None)
    if code.code == "E011" and "video_name" in fields and not is_json:
        # The number of E001 since 2015, in XML; the JSON API took it for the content check.
        return Meaning("mobile_video_encoding_failed", code.outcome, code.terminal)
    step = _contradiction(code, fields.get("status"))
    if step is None:
        return Meaning(code.event, code.outcome, code.terminal)
    message = code.event.partition("_")[0]
    if step == "delivered":
        return Meaning(f"{message}_delivered", "success", True)
    return Meaning(f"{message}_delivery_failed", "failure", True)


def status_step(code: str | None, status: str | None) -> Step | None:
    """What a postback means for its message's status, None when nothing."""
    known = find_postback_code(code) if code else None
    if known is None or known.step is None:
        return None
    if known.step == "failed" and known.kind == "receipt" and _said(status) == "expired":
        return "expired"
    return _contradiction(known, status) or known.step
