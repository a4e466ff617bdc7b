"""From a notification's fields to the event that they tell."""

from datetime import datetime
from typing import Any

from skycore.catalogue.postback_codes import PostbackCode, find_postback_code
from skycore.postbacks.event import TYPE_PREFIX, Event
from skycore.postbacks.identity import digest_of, digits, event_id, identify
from skycore.postbacks.meaning import UNPARSED, meaning
from skycore.postbacks.notification import Fields
from skycore.postbacks.opt_out import OptOut, opt_out_of, opt_out_of_mms
from skycore.postbacks.times import utc_text

_INBOUND = {"sms_mo", "mms_mo"}


def event_of(fields: Fields, received_at: datetime, *, is_json: bool) -> Event:
    """The event that a notification's fields tell."""
    values = fields.values
    code = find_postback_code(values["code"])
    event, outcome, terminal = meaning(code, values, is_json=is_json)
    identity = identify(code.kind if code else "", outcome, values, fields.extra)
    tracking_id = values.get("tracking_id")
    inbound = _inbound(code, values)
    arrived = utc_text(received_at)
    data = {"event": event, **values, "received_at": arrived}
    if outcome is not None:
        data["outcome"] = outcome
        data["terminal"] = terminal
    if said := _opt_out(code, values):
        data["opt_out"] = said
    if fields.extra:
        data["extra"] = fields.extra
    return Event(
        id=event_id(tracking_id, identity.digest),
        type=TYPE_PREFIX + event,
        subject=_subject(values, inbound=inbound),
        time=values.get("timestamp") or arrived,
        data=data,
        tracking_id=tracking_id,
        counterpart=_counterpart(values, inbound=inbound),
        received_at=received_at,
        dated=identity.dated,
        content_digest=identity.digest,
    )


def unparsed_event(body: bytes, received_at: datetime, error: str) -> Event:
    """The event of a body, or of a notification in it, that cannot be read.

    `error` says why, without any of the content. The same body is the same event for ever.
    """
    digest = digest_of(UNPARSED, body)
    arrived = utc_text(received_at)
    return Event(
        id=digest,
        type=TYPE_PREFIX + UNPARSED,
        subject=None,
        time=arrived,
        data={"event": UNPARSED, "error": error, "received_at": arrived},
        tracking_id=None,
        counterpart=None,
        received_at=received_at,
        dated=True,
        content_digest=digest,
    )


def _opt_out(code: PostbackCode | None, values: dict[str, Any]) -> OptOut | None:
    """Whether the person who wrote to us wants more messages, none, or perhaps none."""
    text = values.get("text") or values.get("keyword")
    match code.kind if code is not None else None:
        case "sms_mo":
            return opt_out_of(text)
        case "mms_mo":
            return opt_out_of_mms(text, values.get("subject"))
    return None


def _inbound(code: PostbackCode | None, values: dict[str, Any]) -> bool:
    """Whether a person wrote to us. The code says so; of one that is not known, the origin."""
    if code is not None:
        return code.kind in _INBOUND
    return str(values.get("origin", "")).upper().endswith("_MO")


_SUBJECTS = ("tracking_id", "mms_id", "mobile", "email", "from", "to", "transaction_id")
_OUTBOUND_SUBJECTS = ("tracking_id", "mms_id", "mobile", "email", "to", "from", "transaction_id")
_OTHER_SUBJECTS = (
    *("pass_data_id", "serial_number", "pass_id", "custom_pass_id", "reference_value"),
    *("pass_template_id", "campaign", "scheduled_id", "sms_id", "history_id", "aggregator_id"),
)


def _subject(values: dict[str, Any], *, inbound: bool) -> str | None:
    """The best name for what the event is about."""
    for name in (_SUBJECTS if inbound else _OUTBOUND_SUBJECTS) + _OTHER_SUBJECTS:
        if name in values:
            return str(values[name])
    return None


def _counterpart(values: dict[str, Any], *, inbound: bool) -> str | None:
    """Digits of the mobile number on the other side."""
    if inbound:
        return digits(values.get("from"))
    return digits(values.get("to") or values.get("mobile"))
