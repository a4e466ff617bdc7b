"""Handles Skycore's events from a queue, each once; an event that fails is delivered again."""

import logging
import os

from skycore_client import DynamoDBStore, Event, InboundMessage, MessageEvent, Subscriber

logger = logging.getLogger("subscriber")
logger.setLevel(logging.INFO)


def handle(event: Event) -> None:
    match event:
        case InboundMessage(text=text):
            logger.info("reply %s, %d characters", event.id, len(text or ""))
        case MessageEvent(status="delivered" | "failed" | "expired" as status):
            logger.info("end %s, %s", event.id, status)


handler = Subscriber(handle, DynamoDBStore(os.environ["HANDLED_EVENTS"])).lambda_handler
