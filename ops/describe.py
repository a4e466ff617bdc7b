"""Describe messages of dead-letter queues, without message texts or full numbers."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from ops import redact
from skycore import serializers, timestamps
from skycore.aws.queues import read_record
from skycore.postbacks.parser import read_postback
from skycore.table import messages

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

type Description = dict[str, Any]


def describe(queue: str, message: Mapping[str, Any], *, show: bool) -> Description:
    """Describe a message of the dead-letter queue of `queue`; with `show`, include its body."""
    attributes = message["Attributes"]
    described: Description = {
        "id": message["MessageId"],
        "sent_at": timestamps.to_text(timestamps.from_epoch_ms(int(attributes["SentTimestamp"]))),
        "received": int(attributes["ApproximateReceiveCount"]),
        "bytes": len(message["Body"].encode()),
    }
    try:
        described |= _READERS[queue](message)
    except Exception as error:  # noqa: BLE001 - it is in this queue because something cannot read it
        described["unreadable"] = type(error).__name__
    if show:
        described["body"] = message["Body"]
    return described


def _postback(message: Mapping[str, Any]) -> Description:
    attributes = {
        name: {"stringValue": value["StringValue"]}
        for name, value in message.get("MessageAttributes", {}).items()
        if "StringValue" in value
    }
    record = {
        "body": message["Body"],
        "messageAttributes": attributes,
        "attributes": message["Attributes"],
    }
    raw, received_at = read_record(record)
    types = Counter(event.type for event in read_postback(raw, received_at))
    return {"received_at": timestamps.to_text(received_at), "events": dict(types)}


def _send(message: Mapping[str, Any]) -> Description:
    body = json.loads(message["Body"])
    if "mend" in body:
        return {"message_id": body["mend"].get("message_id"), "is": "an outcome to write down"}
    row = messages.get(body["message_id"])
    if row is None:
        return {"message_id": body["message_id"], "status": None}
    return {
        "message_id": row.message_id,
        "status": serializers.status_of(row, timestamps.now()),
        "action": row.action,
        "skycore_code": row.code,
        "why": redact.words(row.detail),
    }


def _event(message: Mapping[str, Any]) -> Description:
    envelope = json.loads(message["Body"])
    attributes = message.get("MessageAttributes", {})
    refused = attributes.get("ErrorMessage", {}).get("StringValue")  # where SNS could not deliver
    shown = redact.event(envelope, show=False)
    described = {"event_id": shown["id"], "type": shown["type"], "to": shown["to"]}
    return described | ({"why": redact.words(refused)} if refused else {})


def _name(message: Mapping[str, Any]) -> Description:
    name = json.loads(message["Body"])
    return {part: name[part] for part in ("event_id", "message_id", "step") if part in name}


def _place(message: Mapping[str, Any]) -> Description:
    """Describe Lambda's record of a batch of the stream that failed for good."""
    place = json.loads(message["Body"])
    batch = place["DDBStreamBatchInfo"]
    return {
        "why": place.get("requestContext", {}).get("condition"),
        "records": batch["batchSize"],
        "first": batch["approximateArrivalOfFirstRecord"],
        "last": batch["approximateArrivalOfLastRecord"],
    }


_READERS: dict[str, Callable[[Mapping[str, Any]], Description]] = {
    "postback": _postback,
    "send": _send,
    "event": _event,
    "publish-retry": _name,
    "media": _name,
    "publish": _place,
}
