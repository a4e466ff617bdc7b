"""Which refusals are counted, and as what: the values of the metric Rejected's dimension."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from skycore import metrics
from skycore.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

# A problem's code -> who has to do something about it.
CLASSES = {
    "invalid_request": "request",  # the caller
    "invalid_json": "request",
    "too_large": "request",
    "unknown_action": "request",
    "country_not_allowed": "request",
    "in_progress": "request",
    "idempotency_key_reused": "request",
    "recipient_opted_out": "opted_out",  # nobody
    "skycore_rejected": "message",  # whoever wrote the message, or its number
    "skycore_account": "account",  # the owner of the Skycore account
    "rate_limited": "limits",  # nobody, as long as it is short
    "skycore_unreachable": "unreachable",  # Skycore, or the network
    "not_queued": "unreachable",  # SQS
}


def count_refusal(problem: Problem) -> None:
    """Counts a message that was not sent; an unknown outcome is no refusal."""
    if problem.code in CLASSES:
        metrics.count("Rejected", by=CLASSES[problem.code])


@contextmanager
def counted_refusals() -> Iterator[None]:
    """Counts the problem that ends the block, or the function that this decorates."""
    try:
        yield
    except Problem as problem:
        count_refusal(problem)
        raise
