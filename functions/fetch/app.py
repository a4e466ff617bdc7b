"""The media queue's consumer: files of inbound MMS go into the bucket."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from skycore.handler import lambda_handler
from skycore.logs import log_exception
from skycore.receiving.fetch import MediaSettings, fetch
from skycore.settings import load


@dataclass(frozen=True)
class Settings:
    table_name: str
    media_bucket: str
    media_queue_url: str
    media_hosts: str
    skycore_url: str
    event_retention_days: int
    default_region: str = "US"  # read by skycore.phone_numbers
    stop_words: str = ""  # read by skycore.postbacks.opt_out_keywords


@lambda_handler
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    settings = load(Settings)
    media = MediaSettings(
        skycore_url=settings.skycore_url,
        media_hosts=tuple(host for host in settings.media_hosts.split(",") if host),
        bucket=settings.media_bucket,
        queue_url=settings.media_queue_url,
        days=settings.event_retention_days,
    )
    failed = []
    for record in event["Records"]:
        try:
            fetch(record["body"], media)
        except Exception as error:  # noqa: BLE001 - SQS delivers the job again
            log_exception("media not fetched", error)
            failed.append(record["messageId"])
    return {"batchItemFailures": [{"itemIdentifier": queue_id} for queue_id in failed]}
