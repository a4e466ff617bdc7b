"""Takes Skycore's events from a queue, each checked against the schema; what fails comes again."""

import json
from pathlib import Path
from typing import Any

import fastjsonschema
from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    process_partial_response,
)
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

SCHEMA = json.loads(Path(__file__).with_name("postback-event-v1.json").read_text("utf-8"))
check = fastjsonschema.compile(SCHEMA)  # once per cold start
logger = Logger(service="subscriber")
processor = BatchProcessor(event_type=EventType.SQS)


def handle(record: SQSRecord) -> None:
    event = record.json_body
    check(event)
    data = event["data"]
    # Delivery is at least once: keep event["id"] with what you write, and skip those you have.
    if event["type"] in {"skycore.sms_received", "skycore.mms_received"}:
        logger.info("reply", extra={"event": event["id"], "characters": len(data["text"] or "")})
    elif data["terminal"]:
        logger.info("end", extra={"event": event["id"], "outcome": data["outcome"]})


def handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    return process_partial_response(event, handle, processor, context)
