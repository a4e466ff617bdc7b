"""Render a notification as a postback body: v1 XML, v2 JSON, or Sinch's XML."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from functools import cache
from typing import Any

from skycore_simulator.journal import Message
from skycore_simulator.replies import Element, render
from skycore_simulator.tables import table

EASTERN = timezone(timedelta(hours=-5))  # Skycore's samples carry this offset
_JSON_NAMES = {
    "SENTAS": "sent-as",
    "TRACKINGID": "tracking-id",
    "TRANSACTIONID": "tracking-id",
    "STATUSDETAILS": "status-details",
    "MMSID": "mms-id",
    "SPID": "operator-id",
    "TEXT": "message-text",
    "SUBJECT": "message-subject",
    "RECEIVED": "timestamp",
    "FROM_MASK": "from-mask",
    "AUDIONAME": "audio-name",
    "VIDEONAME": "video-name",
    "CAMPAIGNREF": "campaign-ref",
    "STATUSCODE": "status-code",
    "PASSDATAID": "pass-id",
    "CUSTOMPASSID": "reference-data",
}
_NOT_IN_JSON = ("AGGREGATORID", "HANDSET", "SCHEDULEDID", "REFERENCEDBY", "SERIALNUMBER")
_PASS_TEXTS = {"N801": "Generated", "N802": "Failed", "N803": "Failed", "N811": "Failed"}


@dataclass
class Notification:
    """One event for the postback URL: its shape, code and facts."""

    shape: str
    code: str
    facts: dict[str, Any] = field(default_factory=dict)
    message: Message | None = None
    created_at: datetime | None = None  # when it was first rendered; other forms have the same time

    @property
    def origin(self) -> str:
        """The value of ORIGIN."""
        return _origin(self.shape)


@cache
def _origin(shape: str) -> str:
    named = {
        "sms_mt": "SMS_MT",
        "sms_mo": "SMS_MO",
        "mms_mo": "MMS_MO",
        "subscription": "SUB",
        "email_subscription": "EMAIL_SUB",
        "pass": "GENERATE_PASS",
    }
    return named.get(shape, "MMS_MT")


def body_of(notification: Notification, style: str) -> tuple[bytes, str]:
    """Return the body and content type of a postback in a format of the settings."""
    facts = _elements_of(notification)
    if style == "v2":
        body = json.dumps(_json(notification, facts), ensure_ascii=False)
        return body.encode(), "application/json"
    elements: list[Element] = []
    for name, value in facts.items():
        if isinstance(value, list):
            elements.append((name, [("FILE", url) for url in value]))
        else:
            elements.append((name, str(value)))
    declaration = bool(table("postback_shapes")[notification.shape]["declaration"])
    if style == "sinch" and notification.shape != "mms_encode":
        elements = [_hyphenated(element) for element in elements]
    root = "postback" if style == "sinch" else "POSTBACK"
    return render(root, elements, declaration).encode(), "text/xml; charset=utf-8"


def _elements_of(notification: Notification) -> dict[str, Any]:
    shape = table("postback_shapes")[notification.shape]
    code = notification.code
    notification.created_at = notification.created_at or datetime.now(UTC)
    here = notification.created_at.astimezone(EASTERN).isoformat(timespec="seconds")
    own = {
        "ORIGIN": notification.origin,
        "CODE": code,
        "STATUSCODE": code,
        "TIMESTAMP": here.removesuffix(":00") if notification.shape == "subscription" else here,
        "RECEIVED": here,
    }
    facts = {**own, **notification.facts}
    filled = {}
    for name in shape["elements"]:
        fits = code in shape["only"].get(name, [code])
        if fits and facts.get(name) is not None:
            filled[name] = facts[name]
    return filled


def _json(notification: Notification, facts: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in facts.items():
        if name in _NOT_IN_JSON:
            continue
        key = _JSON_NAMES.get(name, name.lower())
        if name == "CONTENT":
            found[key] = [{"file": url} for url in value]
        elif name == "STATUS":
            found[key] = str(value).removeprefix("Message ").removeprefix("Sent/")
        elif name in ("TIMESTAMP", "RECEIVED"):
            found[key] = _timestamp(notification)
        else:
            found[key] = value
    if notification.shape == "sms_mt":
        found.setdefault("sent-as", "SMS")
    if notification.shape == "mms_mt":
        found.setdefault("sent-as", "MMS")
        found.setdefault("timestamp", _timestamp(notification))
    if notification.shape == "pass":
        found["origin"] = "wallet"
        found["status-text"] = _PASS_TEXTS[notification.code]
        found["status-details"] = f"Pass {found['status-text'].lower()}"
        found["pass-template-id"] = notification.facts.get("PASSTEMPLATEID", "")
    return found


def _timestamp(notification: Notification) -> str:
    """Return the time of the notification in whole seconds, as in XML."""
    moment = notification.created_at or datetime.now(UTC)
    return moment.isoformat(timespec="seconds")


def _hyphenated(element: Element) -> Element:
    name, value = element
    key = _JSON_NAMES.get(name, name.lower())
    if isinstance(value, list):
        return key, [_hyphenated(inner) for inner in value]
    return key, value
