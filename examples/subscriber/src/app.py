"""Handles Skycore's events from a queue, each once; an event that fails is delivered again."""

import os

from skycore_client import DynamoDBStore, Event, InboundMessage, MessageEvent, Subscriber


def handle(event: Event) -> None:
    match event:
        case InboundMessage(text=text):
            print("reply", event.id, len(text or ""), "characters")
        case MessageEvent(status="delivered" | "failed" | "expired" as status):
            print("end", event.id, status)


handler = Subscriber(handle, DynamoDBStore(os.environ["HANDLED_EVENTS"])).lambda_handler
