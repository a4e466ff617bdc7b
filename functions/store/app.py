"""The postback queue's consumer: postbacks become stored events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from skycore.aws.queues import read_record, token_of
from skycore.handler import lambda_handler
from skycore.logs import log_exception
from skycore.receiving.store import store
from skycore.settings import load

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True)
class Settings:
    table_name: str
    event_retention_days: int


@lambda_handler
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    postbacks = []
    used: dict[str, datetime] = {}
    failed = []
    for record in event["Records"]:
        try:
            body, arrived = read_record(record)
        except Exception as error:  # noqa: BLE001 - put there by hand; it must not fail the others
            log_exception("no postback", error)
            failed.append(record["messageId"])
            continue
        postbacks.append((record["messageId"], body, arrived))
        if token := token_of(record):
            used[token] = max(arrived, used.get(token, arrived))
    failed += store(postbacks, days=load(Settings).event_retention_days, used=used)
    return {"batchItemFailures": [{"itemIdentifier": queue_id} for queue_id in failed]}
