"""What makes two deliveries one notification, and the ids of events.

Skycore sends a notification again when it was not answered, maybe written another way; a v1 and a
v2 copy of a delivery report are one as well. The tables name, by kind, the fields that identify a
notification of that kind. What lacks one of them is compared in all fields: a notification stored
twice is better than one lost.
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from hashlib import blake2b, sha256
from typing import Any, NamedTuple

from skycore.phone_numbers import canonical_number, received_digits
from skycore.timestamps import from_text, to_text, utc_timestamp

_MAX_KEY_BYTES = 256

# Per kind the fields that identify a notification, with alternatives that other notifications of
# the kind have instead.
IDENTITY_FIELDS: dict[str, tuple[tuple[str, ...], ...]] = {
    "receipt": (("origin", "code", "tracking_id", "to"),),
    "encode": (
        ("origin", "code", "mms_id", "audio_name"),
        ("origin", "code", "mms_id", "video_name"),
    ),
    # A provider's id is not unique: counters restart, and the parts of a long message share one.
    "sms_mo": (("id", "from", "to", "timestamp", "text"),),
    "mms_mo": (("id", "from", "to", "timestamp", "files"),),
    "subscription": (("code", "mobile", "campaign", "timestamp"),),
    "email_subscription": (
        ("code", "email", "campaign", "timestamp"),
        ("code", "email", "campaign"),
    ),
    "pass": (("code", "pass_data_id", "serial_number", "timestamp"),),
}
# Codes whose notifications differ in one more field.
CODE_FIELDS = {"N101": "sent_as", "N502": "handset"}
# Also compared, but no reason to compare all fields where they are absent.
OPTIONAL_FIELDS = {"mms_mo": ("subject", "text", "keyword"), "sms_mo": ("keyword",)}
INBOUND_KINDS = frozenset({"sms_mo", "mms_mo"})
_ATTRIBUTES = ("status_celly", "status_protocol", "status_protocole", "status_status")
_UNTIMED = {("code", "email", "campaign")}  # the same may happen again
_NUMBERS = {"to", "from", "mobile"}
_PROSE = {"text", "subject", "keyword"}
DATE_FIELDS = {
    "": ("timestamp", "tracking_id", "transaction_id", "history_id"),
    "encode": ("mms_id", "tracking_id", "history_id"),
}
DATE_EXTRA_FIELDS = {"timestamp", "received", "notification_created"}
# In a digest, instead of the step: the word that the first release had there, so that its ids hold.
# It had one word for "failed" and "expired", which are two steps now.
_STEP_WORDS = {"sent": "info", "delivered": "success"}
_EVENT_ID = re.compile(r"([A-Za-z0-9_-]{1,342})\.[0-9a-f]{32}")


class Identity(NamedTuple):
    """`digest`: 32 hexadecimal digits, the same for each delivery of a notification.

    `has_own_identity`: an id or a time distinguishes it from a later one of the same content.
    `legacy`: the digest by the rules of the first release.
    """

    digest: str
    has_own_identity: bool
    legacy: str


def identify(
    kind: str,
    outcome: str | None,
    step: str | None,
    values: Mapping[str, Any],
    extra: Mapping[str, Any],
) -> Identity:
    """Return the identity of a notification of that kind with those fields.

    `step`: what it means for its message's status, if anything.
    """
    fields: dict[str, Any] = dict(values)
    if "timestamp" not in fields and "timestamp" in extra:
        fields["timestamp"] = extra["timestamp"]  # no readable time, but one to compare
    if kind in INBOUND_KINDS:
        fields |= _inbound_fields(values)
    result_part = outcome or ""
    if kind == "receipt" and step is not None:
        result_part = _STEP_WORDS.get(step, step)
    if step == "expired" and values.get("code") == "N103":
        result_part = "failure"  # as in the first release: the code alone says that it expired
    added = CODE_FIELDS.get(str(values.get("code")))
    for names in IDENTITY_FIELDS.get(kind, ()):
        wanted = (*names, added) if added else names
        if all(name in fields for name in wanted):
            optional = [name for name in OPTIONAL_FIELDS.get(kind, ()) if name in fields]
            parts = [_part(name, fields[name]) for name in (*wanted, *optional)]
            parts += [_part(f"extra {name}", extra[name]) for name in _ATTRIBUTES if name in extra]
            digest = digest_of(kind, result_part, *parts)
            has_own = names not in _UNTIMED
            break
    else:
        digest = digest_of(kind, result_part, *_all_parts(fields, extra))
        dated = any(name in values for name in DATE_FIELDS.get(kind, DATE_FIELDS[""]))
        has_own = dated or not DATE_EXTRA_FIELDS.isdisjoint(extra)
    return Identity(digest, has_own, _legacy_digest(kind, outcome, values, extra))


def _inbound_fields(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return an inbound message's ids as one field: v1 and v2 have different names for them."""
    ids = dict.fromkeys(
        str(values[name]) for name in ("transaction_id", "tracking_id") if name in values
    )
    return {"id": list(ids)} if ids else {}


def _all_parts(fields: Mapping[str, Any], extra: Mapping[str, Any]) -> list[str]:
    parts = [_part(name, fields[name]) for name in sorted(fields)]
    parts += [
        _part(f"extra {name}", extra[name])
        for name in sorted(extra)
        if name != "notification_id"  # may be its place in that one body
    ]
    return parts


def _part(name: str, value: Any) -> str:
    return f"{name}={comparable(name.removeprefix('extra '), value)}"


def comparable(name: str, value: Any) -> str:
    """Return a value in the form in which it is compared.

    Numbers in their canonical form, times as instants in whole seconds, a person's words as
    they are but for the kind of line end, other text without its line breaks. Lists, which may be
    long, are compared as text.
    """
    if isinstance(value, list):
        return "\x1e".join(" ".join(entry.split()) for entry in value)
    if name in _NUMBERS and (number := canonical_number(value)):
        return number
    if name in DATE_EXTRA_FIELDS and (time := utc_timestamp(value)):
        return to_text(from_text(time).replace(microsecond=0))
    if name in _PROSE:
        return str(value).replace("\r\n", "\n").replace("\r", "\n")
    return " ".join(value.split())


# Per kind the fields that the first release compared; its events keep the ids that this gave them.
_LEGACY_FIELDS: dict[str, tuple[tuple[str, ...], ...]] = {
    **IDENTITY_FIELDS,
    "sms_mo": (("transaction_id",), ("tracking_id",), ("from", "to", "timestamp", "text")),
    "mms_mo": (("tracking_id",),),
}


def _legacy_digest(
    kind: str, outcome: str | None, values: Mapping[str, Any], extra: Mapping[str, Any]
) -> str:
    for names in _LEGACY_FIELDS.get(kind, ()):
        if all(name in values for name in names):
            parts = [f"{name}={_legacy_comparable(name, values[name])}" for name in names]
            return digest_of(kind, outcome or "", *parts)
    parts = [f"{name}={_legacy_comparable(name, values[name])}" for name in sorted(values)]
    parts += [
        f"extra {name}={_legacy_comparable(name, extra[name])}"
        for name in sorted(extra)
        if name != "notification_id"
    ]
    return digest_of(kind, outcome or "", *parts)


def _legacy_comparable(name: str, value: Any) -> str:
    if isinstance(value, list):
        return "\x1e".join(_legacy_comparable(name, entry) for entry in value)
    return (name in _NUMBERS and received_digits(value)) or " ".join(value.split())


def digest_of(*parts: str | bytes) -> str:
    """Return a digest of the parts, 32 hexadecimal digits."""
    data = b"\x1f".join(part if isinstance(part, bytes) else part.encode() for part in parts)
    return blake2b(data, digest_size=16).hexdigest()


def tracking_key(tracking_id: str) -> str:
    """Return the tracking id as used in keys: itself, or a hash if it is over 256 bytes."""
    data = tracking_id.encode("utf-8", "surrogatepass")
    return tracking_id if len(data) <= _MAX_KEY_BYTES else f"sha256:{sha256(data).hexdigest()}"


def event_id(tracking_id: str | None, digest: str) -> str:
    """Return the digest, after the tracking key if there is one, from which a row's key follows."""
    if not tracking_id:
        return digest
    key = urlsafe_b64encode(tracking_key(tracking_id).encode("utf-8", "surrogatepass"))
    return f"{key.rstrip(b'=').decode()}.{digest}"


def tracking_key_of_event_id(event_id: str) -> str | None:
    """Return the tracking key in an event's id; None if it has none or is not an event's id."""
    match = _EVENT_ID.fullmatch(event_id)
    if not match:
        return None
    try:
        return urlsafe_b64decode(match[1] + "=" * (-len(match[1]) % 4)).decode()
    except ValueError:
        return None
