"""What makes two deliveries one notification, and ids of events that say so.

Skycore sends a notification again when it was not answered, maybe written another way; a v1 and a
v2 copy of a delivery report are one as well. The tables name, by kind, the fields that tell
notifications of that kind apart; the outcome always belongs to them, because an old N102 may say
delivered or expired.
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import blake2b, sha256
from typing import Any, NamedTuple

_MAX_KEY_BYTES = 256

# Per kind the sets of fields to tell by, the first that a notification has in full. Where it has
# none in full, all fields tell.
IDENTITY_FIELDS: dict[str, tuple[tuple[str, ...], ...]] = {
    "receipt": (("origin", "code", "tracking_id", "to"),),
    "encode": (
        ("origin", "code", "mms_id", "audio_name"),
        ("origin", "code", "mms_id", "video_name"),
    ),
    "sms_mo": (("transaction_id",), ("tracking_id",), ("from", "to", "timestamp", "text")),
    "mms_mo": (("tracking_id",),),
    "subscription": (("code", "mobile", "campaign", "timestamp"),),
    "email_subscription": (
        ("code", "email", "campaign", "timestamp"),
        ("code", "email", "campaign"),
    ),
    "pass": (("code", "pass_data_id", "serial_number", "timestamp"),),
}
_UNTIMED = {("code", "email", "campaign")}  # the same may happen again
_NUMBERS = {"to", "from", "mobile"}
DATE_FIELDS = {
    "": ("timestamp", "tracking_id", "transaction_id", "history_id"),
    "encode": ("mms_id", "tracking_id", "history_id"),
}
DATE_EXTRA_FIELDS = {"timestamp", "received", "notification_created"}
_NUMBER = re.compile(r"\+?[0-9(][0-9 ().-]*")
_EVENT_ID = re.compile(r"([A-Za-z0-9_-]{1,342})\.[0-9a-f]{32}")


class Identity(NamedTuple):
    """`digest`: 32 hexadecimal digits, the same for each delivery of a notification.

    `dated`: an id or a time tells it from a later one of the same content.
    """

    digest: str
    has_own_identity: bool


def digits(number: str | None) -> str | None:
    """A phone number's digits, None for a sender's name or what is too long for a number.

    A leading + is only a way of writing: the digits begin with the country code either way.
    """
    if not number or len(number) > 40 or not _NUMBER.fullmatch(number):
        return None
    return re.sub("[^0-9]", "", number) or None


def identify(
    kind: str, outcome: str | None, values: dict[str, Any], extra: dict[str, Any]
) -> Identity:
    """The identity of a notification of that kind with those fields."""
    for names in IDENTITY_FIELDS.get(kind, ()):
        if all(name in values for name in names):
            told = [f"{name}={_compared(name, values[name])}" for name in names]
            return Identity(digest_of(kind, outcome or "", *told), names not in _UNTIMED)
    told = [f"{name}={_compared(name, values[name])}" for name in sorted(values)]
    told += [
        f"extra {name}={_compared(name, extra[name])}"
        for name in sorted(extra)
        if name != "notification_id"  # may be its place in that one body
    ]
    dated = any(name in values for name in DATE_FIELDS.get(kind, DATE_FIELDS[""]))
    return Identity(
        digest_of(kind, outcome or "", *told), dated or not DATE_EXTRA_FIELDS.isdisjoint(extra)
    )


def _compared(name: str, value: Any) -> str:
    """A value as it is compared: numbers by their digits, text without its line breaks."""
    if isinstance(value, list):
        return "\x1e".join(_compared(name, entry) for entry in value)
    return (name in _NUMBERS and digits(value)) or " ".join(value.split())


def digest_of(*parts: str | bytes) -> str:
    """32 hexadecimal digits of the parts."""
    data = b"\x1f".join(part if isinstance(part, bytes) else part.encode() for part in parts)
    return blake2b(data, digest_size=16).hexdigest()


def tracking_key(tracking_id: str) -> str:
    """The tracking id as it stands in keys: itself, or a hash where it is over 256 bytes."""
    data = tracking_id.encode("utf-8", "surrogatepass")
    return tracking_id if len(data) <= _MAX_KEY_BYTES else f"sha256:{sha256(data).hexdigest()}"


def event_id(tracking_id: str | None, digest: str) -> str:
    """The digest, behind the tracking key where there is one, so that a key finds the event."""
    if not tracking_id:
        return digest
    key = urlsafe_b64encode(tracking_key(tracking_id).encode("utf-8", "surrogatepass"))
    return f"{key.rstrip(b'=').decode()}.{digest}"


def tracking_key_of_event_id(event_id: str) -> str | None:
    """The tracking key in an event's id; None for an id without one or that is none of ours."""
    match = _EVENT_ID.fullmatch(event_id)
    if not match:
        return None
    try:
        return urlsafe_b64decode(match[1] + "=" * (-len(match[1]) % 4)).decode()
    except ValueError:
        return None
