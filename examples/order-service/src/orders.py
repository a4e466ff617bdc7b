"""An order service: it texts customers, follows what becomes of it, and keeps their replies.

The table has a row for each order ("order#4711"), person ("person#17743199144") and reply. Every
write may happen twice and in any order, because Lambda and SQS repeat, and events overtake.
"""

import contextlib
import os
from typing import Any

import boto3

from skycore_client import (
    RANKS,
    Client,
    DynamoDBStore,
    Event,
    InboundMessage,
    InvalidRequest,
    MediaKept,
    MessageEvent,
    OutcomeUnknown,
    RecipientOptedOut,
    SkycoreRejected,
    Subscriber,
)

table = boto3.resource("dynamodb").Table(os.environ["TABLE"])
skycore = Client(os.environ["SKYCORE_API_URL"])


def notify(order: dict[str, str], _context: object) -> None:
    """Text a customer: {"id": "4711", "to": "+17743199144", "text": "It is on its way."}."""
    message = {"to": order["to"], "from": os.environ["SENDER"], "text": order["text"]}
    message["client_reference"] = order["id"]
    why = None
    try:
        status = skycore.send(message, idempotency_key=f"order-{order['id']}").status
    except OutcomeUnknown:  # Skycore may have it: an operator decides, and an event tells
        status = "unknown"
    except (InvalidRequest, RecipientOptedOut, SkycoreRejected) as problem:
        status, why = "refused", problem.code  # RANKS has no such status: any other replaces it
    # Any other exception fails the invocation: repeat it. Lambda repeats asynchronous ones twice.
    write(f"order#{order['id']}", RANKS.get(status or "", 0), status=status, why=why)


def handle(event: Event) -> None:
    """Apply an event."""
    match event:
        case MessageEvent() if event.client_reference and event.message_id:
            status = event.status
            if event.type == "skycore.message_accepted":  # receipts may have been quicker
                status = skycore.message(event.message_id).status
            if status:
                write(f"order#{event.client_reference}", RANKS.get(status, 0), status=status)
        case InboundMessage(files=files):
            keep_reply(event, files=files)
        case MediaKept(media=media):  # of an MMS: its text, and its pictures in the stack's bucket
            keep_reply(event, media=media)


def keep_reply(event: InboundMessage | MediaKept, **files: Any) -> None:
    """Keep what a person wrote; a STOP may be in the text of an MMS."""
    time = event.time.isoformat(timespec="microseconds")
    write(f"reply#{event.id}", time, person=event.sender, text=event.text, **files)
    if event.opt_out in {"stop", "start"}:
        write(f"person#{event.sender}", time, opted_out=event.opt_out == "stop")


def write(row_id: str, version: int | str, **values: Any) -> None:
    """Put a row, unless it is there in the same or a later version."""
    with contextlib.suppress(table.meta.client.exceptions.ConditionalCheckFailedException):
        table.put_item(
            Item={"id": row_id, "version": version, **values},
            ConditionExpression="attribute_not_exists(id) OR version < :version",
            ExpressionAttributeValues={":version": version},
        )


on_events = Subscriber(handle, DynamoDBStore(os.environ["TABLE"])).lambda_handler
