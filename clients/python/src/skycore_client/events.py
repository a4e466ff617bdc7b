"""Events as typed objects. `data` keeps every field, even those that this version does not know."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

# The order in which a message's status moves; a later report never lowers it.
RANKS = {
    "scheduled": 5,
    "queued": 10,
    "sending": 20,
    "unknown": 25,
    "rejected": 26,  # below accepted: an operator may redrive a message that was rejected
    "accepted": 30,
    "sent": 40,
    "expired": 50,
    "failed": 60,
    "delivered": 70,
    "cancelled": 90,
}
# What an event without `message_status` says of its message. Device discovery says nothing.
_STATUSES: dict[str, str | None] = {
    "message_accepted": "accepted",
    "message_rejected": "rejected",
    "message_unknown": "unknown",
    "message_expired": "expired",
    "message_cancelled": "cancelled",
    "sms_sent": "sent",
    "sms_delivered": "delivered",
    "sms_send_failed": "failed",
    "sms_delivery_failed": "failed",
    "mms_sent": "sent",
    "mms_delivered": "delivered",
    "mms_send_failed": "failed",
    "mms_delivery_failed": "failed",
    "mms_expired": "expired",
    "mms_encoded_sending": None,
    "send_audio_encoding_failed": "failed",
    "send_video_encoding_failed": "failed",
    "send_queue_error": "failed",
    "content_validation_failed": "failed",
    "invalid_request": "failed",
    "ddm_sent": None,
    "ddm_delivered": None,
    "ddm_send_failed": None,
    "ddm_delivery_failed": None,
}
_SUBSCRIPTIONS = {"number_subscribed", "number_unsubscribed"}


@dataclass(frozen=True, kw_only=True)
class Event:
    """Any event; those of types that this version does not know are of this class."""

    id: str
    type: str  # such as skycore.sms_delivered
    time: datetime
    data: dict[str, Any]
    envelope: dict[str, Any]  # the whole event, with CloudEvents extensions


@dataclass(frozen=True, kw_only=True)
class MessageEvent(Event):
    """What became of a message that was sent. `status` is one of RANKS, or None.

    Without a message_id the message was not sent by this stack, or its receipt was quicker than
    Skycore's answer: match `tracking_id`.
    """

    message_id: str | None
    tracking_id: str | None
    client_reference: str | None
    status: str | None


@dataclass(frozen=True, kw_only=True)
class InboundMessage(Event):
    """An SMS or MMS from a person. The text of an MMS is one of `files`, a list of URLs.

    If the stack keeps files, a MediaKept event with the text follows every MMS that has files.
    """

    sender: str | None
    to: str | None
    text: str | None
    files: list[str]
    opt_out: str | None  # stop, start, possible or None


@dataclass(frozen=True, kw_only=True)
class MediaKept(Event):
    """What became of the files of an MMS from a person: an object of `media` has `key` or `error`.

    `text` is what the person wrote in it; a STOP there is in `opt_out`.
    """

    sender: str | None
    to: str | None
    text: str | None
    media: list[dict[str, Any]]
    opt_out: str | None


@dataclass(frozen=True, kw_only=True)
class SubscriptionEvent(Event):
    """A person opted in or out, at Skycore: one STOP makes this and an InboundMessage."""

    number: str | None
    subscribed: bool


def parse_event(body: str | bytes | dict[str, Any]) -> Event:
    """Return the event in a message's body; raise ValueError if it is not one."""
    event = body if isinstance(body, dict) else json.loads(body)
    try:
        data, name = event["data"], event["type"].removeprefix("skycore.")
        common = {
            "id": event["id"],
            "type": event["type"],
            "time": datetime.fromisoformat(event["time"]),
            "data": data,
            "envelope": event,
        }
        get = data.get
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError("not an event of Skycore on AWS") from error
    if name in _STATUSES or name.startswith("message_"):
        names = ("message_id", "tracking_id", "client_reference")
        status = get("message_status") or _STATUSES.get(name)
        return MessageEvent(**common, **{n: get(n) for n in names}, status=status)
    said = {"sender": get("from"), "to": get("to"), "text": get("text"), "opt_out": get("opt_out")}
    if name in {"sms_received", "mms_received"}:
        return InboundMessage(**common, **said, files=get("files") or [])
    if name == "media_kept":
        return MediaKept(**common, **said, media=get("media") or [])
    if name in _SUBSCRIPTIONS:
        subscribed = name == "number_subscribed"
        return SubscriptionEvent(**common, number=get("mobile"), subscribed=subscribed)
    return Event(**common)
