"""The table stream's consumer, and its retry queue's: statuses move, events reach the topic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from skycore.handler import lambda_handler
from skycore.receiving.publish import publish, publish_retries
from skycore.settings import load


@dataclass(frozen=True)
class Settings:
    table_name: str
    event_topic_arn: str
    publish_retry_queue_url: str
    stack_name: str
    media_queue_url: str = ""  # empty: no media are kept
    default_region: str = "US"  # read by skycore.phone_numbers


@lambda_handler
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    settings = load(Settings)
    records = event["Records"]
    source = f"urn:skycore:{settings.stack_name}"
    if all(record["eventSource"] == "aws:sqs" for record in records):
        failed = publish_retries(
            [(record["messageId"], record["body"]) for record in records],
            source=source,
            topic_arn=settings.event_topic_arn,
            media_queue_url=settings.media_queue_url,
        )
    else:
        failed = publish(
            records,
            source=source,
            topic_arn=settings.event_topic_arn,
            retry_queue_url=settings.publish_retry_queue_url,
            media_queue_url=settings.media_queue_url,
        )
    return {"batchItemFailures": [{"itemIdentifier": item} for item in failed]}
