"""Count what happens, for CloudWatch.

The code records with `count` and `record`, on any thread. At the end of an invocation `flush` hands
it all to Powertools' Metrics on the handler's thread, whose metric set is not made for threads.
Powertools writes log lines in the embedded metric format (EMF), which cost no call. A line holds
the metrics of one set of dimensions. Nothing here raises: a metric never fails an invocation.

Numbers, texts, tokens and ids are never a dimension's value: CloudWatch charges for each value.
"""

from __future__ import annotations

import os
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit, single_metric

from skycore.logs import invocation_ids, log_exception
from skycore.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

NAMESPACE = "Skycore"


class Metric(NamedTuple):
    """`unit` is one of CloudWatch's; `by` names the dimension beside Stack."""

    unit: str
    meaning: str
    by: str | None = None


METRICS = {
    # Sending
    "Accepted": Metric("Count", "messages that Skycore accepted"),
    "Queued": Metric("Count", "messages that were queued"),
    "Rejected": Metric("Count", "messages or attempts that were not sent", "Class"),
    "Unknown": Metric("Count", "messages whose outcome is unknown"),
    "Expired": Metric("Count", "queued messages that expired"),
    "SetAside": Metric("Count", "queued messages dead-lettered after five calls"),
    "AccountErrors": Metric("Count", "calls that failed because of the account"),
    "CeilingReached": Metric("Count", "messages that MaxPerRecipientPerDay refused or delayed"),
    "Paused": Metric("None", "1 while queued messages are paused, else 0"),
    "SkycoreSeconds": Metric("Seconds", "a call from its slot to its end, or a failed connection"),
    # The account's limits
    "LimiterWaitSeconds": Metric("Seconds", "wait for a slot"),
    "LimiterFull": Metric("Count", "slots that a limit refused", "Window"),
    "SecondAllowance": Metric("Percent", "what is left of MaxCallsPerSecond"),
    "MinuteAllowance": Metric("Percent", "what is left of MaxCallsPerMinute"),
    "DayAllowance": Metric("Percent", "what is left of MaxCallsPerDay"),
    # Postbacks
    "Postbacks": Metric("Count", "new events from postbacks", "Event"),
    "Duplicates": Metric("Count", "events that were stored already"),
    "DuplicatesThatDiffer": Metric("Count", "repeats that differ in a field that is not compared"),
    "Unparsed": Metric("Count", "unreadable postbacks"),
    "UnknownCodes": Metric("Count", "postbacks with an undocumented code"),
    "UnknownStatusWords": Metric("Count", "receipts with an undocumented status word"),
    "DeliverySeconds": Metric("Seconds", "from Skycore's acceptance to the receipt"),
    # 1 for an accepted message, 0 for a receipt: the minimum of an hour is 1 if messages were
    # accepted and no receipt came, 0 if one came, and missing if there was neither.
    "Silence": Metric("None", "1 for an accepted message, 0 for a receipt; see its minimum"),
    "MediaKept": Metric("Count", "files of inbound MMS that were copied"),
    "MediaFailed": Metric("Count", "files of inbound MMS that could not be copied"),
    "WrongTokens": Metric("Count", "posts with a wrong token"),
    "TooLargePostbacks": Metric("Count", "postbacks over 256 KiB"),
}

type _Observation = tuple[str, float, str | None]  # metric, value, value of its own dimension

_recorded: list[_Observation] = []  # appending is atomic: threads share it


def count(name: str, number: int = 1, *, by: str | None = None) -> None:
    """Add `number` to a metric; `by` is the value of the metric's own dimension."""
    if number:
        _recorded.append((name, number, by))


def record(name: str, value: float) -> None:
    """Record one value of a metric that is not added up: seconds, or percent."""
    _recorded.append((name, value, None))


def flush() -> None:
    """Write everything recorded since the last time. Never raises."""
    recorded = _recorded[:]
    del _recorded[: len(recorded)]
    if not recorded:
        return
    try:
        _write(recorded)
    except Exception as error:  # noqa: BLE001 - a metric never fails an invocation
        log_exception("metrics not written", error)


def _write(recorded: Sequence[_Observation]) -> None:
    """Write counts as sums and other metrics value by value, as EMF log lines.

    Raises KeyError for an unknown metric or a missing STACK_NAME, and what Powertools raises.
    """
    stack = {"Stack": os.environ["STACK_NAME"]}
    ids = dict(invocation_ids())  # beside the metrics, where they cost nothing
    # Ephemeral: keeps nothing for the next invocation.
    common = EphemeralMetrics(namespace=NAMESPACE, default_dimensions=stack, metadata_set=ids)
    sums: Counter[tuple[str, str | None]] = Counter()
    for name, value, by in recorded:
        if METRICS[name].unit == "Count":
            sums[name, by] += int(value)
        else:
            common.add_metric(name, METRICS[name].unit, round(value, 3))
    for (name, by), number in sums.items():
        dimension = METRICS[name].by
        if dimension is None or by is None:
            common.add_metric(name, "Count", number)
            continue
        with single_metric(
            name, MetricUnit.Count, number, namespace=NAMESPACE, default_dimensions=stack
        ) as metric:
            metric.add_dimension(dimension, by)
            metric.metadata_set |= ids
    if common.metric_set:  # Powertools has written already what fills a line
        common.flush_metrics()


# A problem's code -> the class of those who must act on it.
REJECTION_CLASSES = {
    "invalid_request": "request",  # the caller
    "too_large": "request",
    "unknown_action": "request",
    "quiet_hours": "request",
    "country_not_allowed": "request",
    "in_progress": "request",
    "idempotency_key_reused": "request",
    "recipient_opted_out": "opted_out",  # nobody
    "skycore_rejected": "message",  # the author of the message, or its number
    "skycore_account": "account",  # the owner of the Skycore account
    "ceiling_reached": "limits",  # one number has had its messages of the day
    "rate_limited": "limits",  # nobody, as long as it is short
    "skycore_unreachable": "unreachable",  # Skycore, or the network
    "not_ready": "unreachable",  # a service of this stack: its table, limiter or secret
    "not_queued": "unreachable",  # SQS
}


def count_rejection(problem: Problem) -> None:
    """Count a message that was not sent. An unknown outcome is not counted."""
    if problem.code in REJECTION_CLASSES:
        count("Rejected", by=REJECTION_CLASSES[problem.code])


@contextmanager
def count_rejections() -> Iterator[None]:
    """Count the problem that ends the block, or the function that this decorates.

    A body that is not JSON is not counted: handlers parse it before they call `send` or `enqueue`.
    """
    try:
        yield
    except Problem as problem:
        count_rejection(problem)
        raise
