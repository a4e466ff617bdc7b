"""The stack's queues with their dead-letter queues, and how deep and old they are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ops.stack import Stack


@dataclass(frozen=True)
class Queue:
    """A queue by its name here, the logical ids of it and of its dead-letter queue."""

    name: str
    queue: str | None  # None: a stream's on-failure destination, which nothing reads
    dead: str
    holds: str  # what a message in the dead-letter queue is


QUEUES = {
    queue.name: queue
    for queue in (
        Queue(
            "postback",
            "PostbackQueue",
            "PostbackDeadLetterQueue",
            "raw postbacks that store could not write in ten tries",
        ),
        Queue(
            "send",
            "SendQueue",
            "SendDeadLetterQueue",
            "ids of queued messages whose sends failed five times, or on which dispatch crashed",
        ),
        Queue(
            "event",
            "EventQueue",
            "EventDeadLetterQueue",
            "events that the subscriber of the event queue could not handle",
        ),
        Queue(
            "publish-retry",
            "PublishRetryQueue",
            "PublishRetryDeadLetterQueue",
            "names of events that could not be published for four hours",
        ),
        Queue(
            "media",
            "MediaQueue",
            "MediaDeadLetterQueue",
            "names of inbound MMS on which fetch failed ten times",
        ),
        Queue(
            "publish",
            None,
            "PublishDeadLetterQueue",
            "positions in the table's stream where publishing failed as a whole",
        ),
    )
}
_DEPTHS = {
    "waiting": "ApproximateNumberOfMessages",
    "in_flight": "ApproximateNumberOfMessagesNotVisible",
    "delayed": "ApproximateNumberOfMessagesDelayed",
}
_METRIC_WINDOW = timedelta(minutes=10)  # SQS publishes the age every minute, a little late
_METRIC_PERIOD = 60  # seconds


def depths(stack: Stack, logical_id: str) -> dict[str, int]:
    """How many messages wait, are being worked on, and are delayed (approximately, as SQS says)."""
    told = stack.client("sqs").get_queue_attributes(
        QueueUrl=stack.id_of(logical_id), AttributeNames=list(_DEPTHS.values())
    )["Attributes"]
    return {name: int(told[attribute]) for name, attribute in _DEPTHS.items()}


def oldest_ages(stack: Stack, logical_ids: Sequence[str]) -> dict[str, int]:
    """Seconds that the oldest message of each queue has waited, as CloudWatch last heard.

    What CloudWatch knows nothing of is left out: an idle queue, every queue of the local stack.
    """
    now = datetime.now(UTC)
    queries: list[dict[str, Any]] = [
        {
            "Id": f"q{n}",
            "MetricStat": {
                "Metric": {
                    "Namespace": "AWS/SQS",
                    "MetricName": "ApproximateAgeOfOldestMessage",
                    "Dimensions": [{"Name": "QueueName", "Value": _name(stack.id_of(logical_id))}],
                },
                "Period": _METRIC_PERIOD,
                "Stat": "Maximum",
            },
        }
        for n, logical_id in enumerate(logical_ids)
    ]
    told = stack.client("cloudwatch").get_metric_data(
        MetricDataQueries=queries, StartTime=now - _METRIC_WINDOW, EndTime=now
    )
    newest = {row["Id"]: row["Values"][0] for row in told["MetricDataResults"] if row["Values"]}
    return {
        logical_id: int(newest[f"q{n}"])
        for n, logical_id in enumerate(logical_ids)
        if f"q{n}" in newest
    }


def _name(url: str) -> str:
    return url.rsplit("/", 1)[-1]
