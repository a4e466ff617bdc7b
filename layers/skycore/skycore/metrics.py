"""The stack's own metrics: what is counted, and the log lines that CloudWatch makes them from.

Code records (`count`, `record`); the wrapper of every handler writes what was recorded, once, as
lines in the embedded metric format (EMF, "CloudWatch embedded metric format specification", AWS
documentation), which cost no call. One line carries all metrics, and one more each further value
of a dimension. Nothing here raises: a metric is never worth a message.

No number, text, token or id is a dimension's value: each new value is a metric that costs money.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import contextmanager
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, NamedTuple

from skycore.logs import invocation_ids, log_exception
from skycore.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

NAMESPACE = "Skycore"
MAX_VALUES = 100  # of one metric in one line, the most that EMF takes


type _Row = tuple[str | None, str | None, dict[str, Any]]  # dimension, its value, metrics


class Metric(NamedTuple):
    """`unit`: one of CloudWatch's. `by`: the dimension beside Stack. Counts are added up."""

    unit: str
    meaning: str
    by: str | None = None


METRICS = {
    # Sending
    "Accepted": Metric("Count", "messages that Skycore accepted"),
    "Queued": Metric("Count", "messages taken into the send queue"),
    "Rejected": Metric("Count", "messages, or tries to send one, that were not sent", "Class"),
    "Unknown": Metric("Count", "messages of which nobody knows whether Skycore took them"),
    "Expired": Metric("Count", "queued messages whose expires_at passed before their turn"),
    "SetAside": Metric("Count", "queued messages whose last try failed"),
    "AccountErrors": Metric("Count", "calls that Skycore refused because of the account"),
    "Paused": Metric("None", "1 while queued messages are paused, 0 while they are not"),
    "SkycoreSeconds": Metric("Seconds", "how long a call of Skycore took; as many as calls"),
    # The account's limits
    "LimiterWaitSeconds": Metric("Seconds", "how long a call waited for its turn"),
    "LimiterFull": Metric("Count", "times that a limit had no call left soon", "Window"),
    "SecondAllowance": Metric("Percent", "what is left of MaxCallsPerSecond"),
    "MinuteAllowance": Metric("Percent", "what is left of MaxCallsPerMinute"),
    "DayAllowance": Metric("Percent", "what is left of MaxCallsPerDay"),
    # Postbacks
    "Postbacks": Metric("Count", "new events that postbacks told", "Event"),
    "Duplicates": Metric("Count", "events that were stored already"),
    "Unparsed": Metric("Count", "postbacks that could not be read"),
    "UnknownCodes": Metric("Count", "postbacks with a code that is not documented"),
    "DeliverySeconds": Metric("Seconds", "from Skycore's acceptance to the receipt's arrival"),
    # 1 for an accepted message, 0 for news of one: the minimum of an hour is 1 if messages were
    # accepted and nothing was heard of any, 0 if something was, and missing if all was quiet.
    "Silence": Metric("None", "1 for an accepted message, 0 for news of one; see its minimum"),
    "WrongTokens": Metric("Count", "posts to the postback URL with a wrong token"),
}

_recorded: list[tuple[str, float, str | None]] = []  # appending is atomic: threads share it


def count(name: str, number: int = 1, *, by: str | None = None) -> None:
    """Adds to a metric of this invocation; `by` is the value of the metric's own dimension."""
    if number:
        _recorded.append((name, number, by))


def record(name: str, value: float) -> None:
    """One value of a metric that is not added up: seconds, or percent."""
    _recorded.append((name, value, None))


def flush() -> None:
    """Writes what was recorded since the last time; nothing if there is nothing. Never raises."""
    taken = _recorded[:]
    del _recorded[: len(taken)]
    if not taken:
        return
    try:
        for line in _lines(taken):
            print(json.dumps(line, separators=(",", ":")))  # noqa: T201 - where EMF is read from
    except Exception as error:  # noqa: BLE001 - see above
        log_exception("metrics not written", error)


def _lines(taken: Iterable[tuple[str, float, str | None]]) -> Iterator[dict[str, Any]]:
    """The fewest EMF documents that hold all values: one value of each dimension in each."""
    sums: dict[tuple[str | None, str | None], dict[str, Any]] = {}
    for name, value, by in taken:
        group = sums.setdefault((METRICS[name].by, by), {})
        if METRICS[name].unit == "Count":
            group[name] = group.get(name, 0) + value
        else:
            group.setdefault(name, []).append(round(value, 3))
    by_dimension: dict[str | None, list[_Row]] = {}
    for (dimension, by), group in sums.items():
        rows = [(dimension, by, part) for part in _parts(group)]
        by_dimension.setdefault(dimension, []).extend(rows)
    for together in zip_longest(*by_dimension.values()):
        yield _document([row for row in together if row])


def _parts(group: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The group in parts of at most MOST_VALUES values of a metric."""
    while group:
        yield {
            name: value[:MAX_VALUES] if isinstance(value, list) else value
            for name, value in group.items()
        }
        lists = {name: value for name, value in group.items() if isinstance(value, list)}
        group = {name: value[MAX_VALUES:] for name, value in lists.items() if value[MAX_VALUES:]}


def _document(rows: Iterable[_Row]) -> dict[str, Any]:
    directives = []
    members: dict[str, Any] = {"Stack": os.environ["STACK_NAME"], **invocation_ids()}
    for dimension, by, values in rows:
        if dimension:
            members[dimension] = by
        directives.append(
            {
                "Namespace": NAMESPACE,
                "Dimensions": [["Stack", dimension] if dimension else ["Stack"]],
                "Metrics": [{"Name": name, "Unit": METRICS[name].unit} for name in values],
            }
        )
        members |= values
    about = {"Timestamp": time.time_ns() // 1_000_000, "CloudWatchMetrics": directives}
    return {"_aws": about, **members}


# A problem's code -> who has to do something about it.
REJECTION_CLASSES = {
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


def count_rejection(problem: Problem) -> None:
    """Counts a message that was not sent; an unknown outcome is no refusal."""
    if problem.code in REJECTION_CLASSES:
        count("Rejected", by=REJECTION_CLASSES[problem.code])


@contextmanager
def count_rejections() -> Iterator[None]:
    """Counts the problem that ends the block, or the function that this decorates."""
    try:
        yield
    except Problem as problem:
        count_rejection(problem)
        raise
