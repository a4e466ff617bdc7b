"""A message's statuses and how they follow one another.

A status moves by rank only, in a conditional write, so that any order and any repetition of
reports gives the same end: a delivery beats a failure beats an expiry. `unknown` stands below
`accepted` because a receipt with the message's own tracking id proves that Skycore had it.
"""

from __future__ import annotations

from typing import Literal

type OwnStep = Literal["accepted", "rejected", "unknown", "expired", "cancelled"]
type Outcome = Literal["success", "failure", "info"]

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
