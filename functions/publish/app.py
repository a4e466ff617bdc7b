"""The table stream's consumer: statuses move, events reach the topic."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from skycore.flows.publish import publish
from skycore.settings import load


@dataclass(frozen=True)
class Settings:
    table_name: str
    event_topic_arn: str
    stack_name: str


@cache
def settings() -> Settings:
    return load(Settings)


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    failed = publish(
        event["Records"],
        source=f"urn:skycore:{settings().stack_name}",
        topic_arn=settings().event_topic_arn,
    )
    return {"batchItemFailures": [{"itemIdentifier": sequence} for sequence in failed]}
