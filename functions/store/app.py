"""The postback queue's consumer: postbacks become stored events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from skycore.aws.queues import read_record, send_again, token_fingerprint_of
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
    postback_queue_url: str = ""  # the previous release's environment does not have it
    default_region: str = "US"  # read by skycore.phone_numbers
    stop_words: str = ""  # read by skycore.postbacks.opt_out_keywords


REQUEUE_SECONDS = 30  # delay of bodies for which this run had no time left


@lambda_handler
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    records = {record["messageId"]: record for record in event["Records"]}
    postbacks = []
    token_last_used: dict[str, datetime] = {}
    failed = []
    for record in records.values():
        try:
            body, arrived = read_record(record)
        except Exception as error:  # noqa: BLE001 - put there by hand; it must not fail the others
            log_exception("queued postback not read", error)
            failed.append(record["messageId"])
            continue
        postbacks.append((record["messageId"], body, arrived))
        if token := token_fingerprint_of(record):
            token_last_used[token] = max(arrived, token_last_used.get(token, arrived))
    settings = load(Settings)

    def requeue(queue_ids: list[str]) -> list[str]:
        url = settings.postback_queue_url
        again = [records[queue_id] for queue_id in queue_ids]
        return send_again(url, again, delay=REQUEUE_SECONDS) if url else queue_ids

    failed += store(
        postbacks,
        days=settings.event_retention_days,
        token_last_used=token_last_used,
        requeue=requeue,
    )
    return {"batchItemFailures": [{"itemIdentifier": queue_id} for queue_id in failed]}
