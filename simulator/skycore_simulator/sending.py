"""Record an accepted message and plan its postbacks."""

import base64
from dataclasses import dataclass
from typing import Any

from skycore_simulator import checks, magic
from skycore_simulator.journal import Message, now
from skycore_simulator.notifications import Notification
from skycore_simulator.request_parser import Call
from skycore_simulator.simulator import Simulator
from skycore_simulator.slides import needs_encoding
from skycore_simulator.state import Template, random_text
from skycore_simulator.tables import table

SPID = "0001890"
HANDSET = "motol7c"
DEFAULT_DDM_TITLE = "Device Discovery"


@dataclass
class Draft:
    """A message to one number."""

    kind: str  # sms or mms
    to: str
    sender: str
    tracking_id: str
    text: str = ""
    template: Template | None = None
    scheduled_id: str | None = None
    encode: bool = False  # sendMMS sends N013 when its audio or video is encoded


def send(simulator: Simulator, call: Call, draft: Draft) -> Message:
    """Record the message as accepted and start its postbacks."""
    template = draft.template
    message = Message(
        id=simulator.journal.next_id(),
        time=now(),
        direction="out",
        kind=draft.kind,
        action=call.action or "",
        tracking_id=draft.tracking_id,
        to=draft.to,
        sender=draft.sender,
        text=draft.text,
        subject=(call.get("CUSTOMSUBJECT") or template.subject) if template else "",
        mms_id=template.id if template else "",
        slides=_slides_with_overrides(call, template) if template else [],
        fields=call.fields,
        outcome=_outcome(simulator, call, draft.to),
    )
    simulator.journal.messages.append(message)
    simulator.journal.changed(message)
    simulator.notify(*_plan(simulator, call, draft, message))
    return message


def _outcome(simulator: Simulator, call: Call, number: str) -> str:
    settings = simulator.settings
    by_hand = settings.outcome_for_number.get(number)
    return by_hand or magic.outcome_in(call.values(), number) or settings.outcome


def _plan(simulator: Simulator, call: Call, draft: Draft, message: Message) -> list[Notification]:
    outcome = table("outcomes")[message.outcome]
    facts: dict[str, Any] = {
        "FROM": draft.sender,
        "TO": draft.to,
        "TRACKINGID": draft.tracking_id,
        "SPID": SPID,
        "AGGREGATORID": "-".join(random_text(5, "0123456789") for _ in range(5)),
        "HANDSET": HANDSET,
        "MMSID": message.mms_id or None,
        "SCHEDULEDID": draft.scheduled_id,
        "FROM_MASK": call.get("FROM_MASK")[: checks.MAX_MASK_LENGTH] or None,
    }
    plan = _discovery(simulator, call, message, facts)
    steps = _fallback_steps(call, draft, outcome[draft.kind], message)
    fails_before_sending = bool(steps) and steps[0][0] in ("E011", "E012", "E013")
    if draft.encode and needs_encoding(message.slides) and not fails_before_sending:
        plan.append(Notification("mms_encode", "N013", {"MMSID": message.mms_id}, message))
    for code, status, *more in steps:
        shape = _shape(draft.kind, code)
        extra: dict[str, Any] = {"SENTAS": "MMS", **(more[0] if more else {})}
        media = {"AUDIONAME": _first(message, "AUDIO"), "VIDEONAME": _first(message, "VIDEO")}
        own = {**facts, "STATUS": status, **extra, **media}
        plan.append(Notification(shape, code, own, message))
    return plan


def _shape(kind: str, code: str) -> str:
    if kind == "sms":
        return "sms_mt"
    if code in table("postback_shapes")["mms_encode"]["codes"]:
        return "mms_encode"
    return "mms_fallback" if code in ("N202", "E202") else "mms_mt"


def _fallback_steps(call: Call, draft: Draft, steps: list[Any], message: Message) -> list[Any]:
    """Return the steps of an MMS; a fallback SMS becomes a failure with DISABLEFALLBACKSMS."""
    falls_back = any(len(step) > 2 and step[2].get("SENTAS") == "SMS" for step in steps)
    if draft.template is None or not falls_back:
        return steps
    rules = {**draft.template.fallback, **call.fields}
    if checks.is_yes(rules.get("DISABLEFALLBACKSMS")):
        return [["N101", "Message Sent"], ["E102", "Message Sent/NotSupported"]]
    words = rules.get("FALLBACKSMSTEXT") or message.subject
    linked = not checks.is_yes(rules.get("DISABLEFALLBACKSMSLINK"))
    message.fallback = f"{words} https://mms.example/{random_text(8)}" if linked else words
    return steps


def _discovery(
    simulator: Simulator, call: Call, message: Message, facts: dict[str, Any]
) -> list[Notification]:
    """Return the device discovery postbacks: with DDMTEXT, for an unknown handset or if forced."""
    known = simulator.state.known_handsets
    if not call.get("DDMTEXT") or (message.to in known and not checks.is_yes(call.get("DDMFORCE"))):
        return []
    known.add(message.to)
    ordinary = [["N501", "Message Sent"], ["N502", "Message Sent/Delivered"]]
    steps = table("outcomes")[message.outcome].get("ddm", ordinary)
    return [
        Notification("ddm", code, {**facts, "SENTAS": "MMS", "STATUS": status}, message)
        for code, status in steps
    ]


def _slides_with_overrides(call: Call, template: Template) -> list[dict[str, Any]]:
    slides = [dict(slide) for slide in template.slides]
    for group in call.fields.get("CUSTOMTEXT", []):
        number = int(group.get("SLIDE", "0") or 0)
        if 1 <= number <= len(slides):
            slides[number - 1]["TEXT"] = group.get("VALUE", "")
    return slides


def _first(message: Message, kind: str) -> str | None:
    return next((slide[kind] for slide in message.slides if slide.get(kind)), None)


def campaign_tracking_id(scheduled_id: str) -> str:
    """Return the tracking id of all messages of a campaign send; it contains the SCHEDULEDID."""
    return base64.b64encode(f"MMS_{scheduled_id}".encode()).decode()


def subscriber_tracking_id() -> str:
    """Return a hyphenated tracking id, as sendMessageBySubscriberRef returns."""
    return f"{random_text(6)}-{random_text(4)}-{random_text(3)}"
