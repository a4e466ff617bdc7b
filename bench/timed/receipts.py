"""Delivery receipts of 500 bytes, each of a message of its own. Standard library only."""

import base64
import time
from typing import Any

BYTES = 500


def receipt(number: int) -> bytes:
    """The postback that says that message `number` was delivered."""
    tracking_id = base64.b64encode(f"SMS_{9_041_733 + number}".encode()).decode()
    text = (
        "<?xml version='1.0'?>\n<POSTBACK>\n"
        "  <ORIGIN>SMS_MT</ORIGIN>\n  <CODE>N202</CODE>\n"
        "  <STATUS>Message Sent/Delivered</STATUS>\n  <FROM>60856</FROM>\n"
        f"  <TO>1774{3_190_000 + number % 10_000}</TO>\n"
        f"  <TRACKINGID>{tracking_id}</TRACKINGID>\n"
        "  <SPID>0001890</SPID>\n"
        "  <AGGREGATORID>11529-64807-97508-73852-97658</AGGREGATORID>\n"
        "  <TIMESTAMP>2026-11-22T05:41:18-05:00</TIMESTAMP>\n"
    )
    end = "</POSTBACK>\n"
    return f"{text}{' ' * (BYTES - len(text) - len(end))}{end}".encode()


def queue_event(receipts: list[bytes]) -> dict[str, Any]:
    """Receipts as `store` gets them from the postback queue, arrived now."""
    arrived = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime())
    return {
        "Records": [
            {
                "messageId": f"059f36b4-87a3-44ab-83d2-{number:012}",
                "receiptHandle": "AQEB",
                "body": body.decode(),
                "attributes": {"SentTimestamp": "1795430475123"},
                "messageAttributes": {
                    "received_at": {"stringValue": arrived, "dataType": "String"},
                    "encoding": {"stringValue": "text", "dataType": "String"},
                },
                "eventSource": "aws:sqs",
            }
            for number, body in enumerate(receipts)
        ]
    }
