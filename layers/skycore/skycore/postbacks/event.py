"""Events: what subscribers get for a notification, or for one of our own steps."""

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from skycore.catalogue.statuses import (
    UNPARSED,
    EventOutcome,
    PostbackCode,
    Step,
    event_meaning,
    find_postback_code,
    has_unknown_status,
    status_step,
)
from skycore.phone_numbers import SHORTEST_ENDING, canonical_number
from skycore.postbacks.cloudevent import envelope
from skycore.postbacks.identity import comparable, digest_of, event_id, identify
from skycore.postbacks.notification import Fields
from skycore.postbacks.opt_out_keywords import OptOut, opt_out_of, opt_out_of_mms
from skycore.timestamps import credible_time, event_time, from_text, to_text

TYPE_PREFIX = "skycore."


@dataclass(frozen=True, slots=True)
class Event:
    """One notification, as stored.

    `data`: the event contract's data without absent fields; it says nothing about the message
    (`client_reference` is there only when Skycore sent it back). `subscriber_number`: the other
    side's mobile number in its canonical form. `has_own_identity`: an id or a time of its own
    distinguishes it from a later one of the same content; without one the event needs
    `with_first_seen`.
    `content_digest`: the same for events of the same content. `replaces`: id of the unparsed event
    whose body was read later. `legacy_id`: its id by the rules of the first release, if that
    differs.
    """

    id: str
    type: str
    subject: str | None
    time: str
    data: dict[str, Any]
    tracking_id: str | None
    subscriber_number: str | None
    received_at: datetime
    has_own_identity: bool
    replaces: str | None = None
    content_digest: str = ""
    legacy_id: str | None = None

    def __repr__(self) -> str:
        """Leave out numbers, and what a person wrote."""
        return f"Event(id={self.id!r}, type={self.type!r}, time={self.time!r})"

    @property
    def event(self) -> str:
        """The type without its prefix."""
        return self.type.removeprefix(TYPE_PREFIX)

    @property
    def unparsed(self) -> bool:
        """Whether the body could not be read."""
        return self.event == UNPARSED

    @property
    def has_media(self) -> bool:
        """Whether it is an inbound MMS with files."""
        return self.event == "mms_received" and bool(self.data.get("files"))

    @property
    def media_event_id(self) -> str:
        """The id of the event that reports the kept files of an inbound MMS."""
        return event_id(self.tracking_id, digest_of("media_kept", self.id))

    @property
    def status_step(self) -> Step | None:
        """The step of its message's status that it reports; None if it reports none."""
        return status_step(self.data.get("code"), self.data.get("status"), self._extra)

    @property
    def has_unknown_status(self) -> bool:
        """Whether it is a receipt whose STATUS is in no table."""
        return has_unknown_status(self.data.get("code"), self.data.get("status"), self._extra)

    @property
    def stated_at(self) -> datetime | None:
        """When it happened by Skycore's clock, if it said so, credibly or not."""
        text = self.data.get("timestamp")
        return from_text(text) if text else None

    @property
    def credible_at(self) -> datetime | None:
        """When it happened by Skycore's clock; None if that time is not credible."""
        return credible_time(self.stated_at, self.received_at)

    @property
    def _extra(self) -> Mapping[str, Any]:
        extra: Mapping[str, Any] = self.data.get("extra") or {}
        return extra

    def with_first_seen(self, first_seen: datetime) -> "Event":
        """Return the event under an id that depends on when its content was first seen.

        Return an event that has an identity of its own unchanged. Repeats of any other share the
        first arrival and so the id; the same content at a later time is a new event.
        """
        if self.has_own_identity:
            return self
        digest = digest_of(self.content_digest, to_text(first_seen))
        return replace(self, id=event_id(self.tracking_id, digest))


def build_event(
    event: Event,
    *,
    source: str,
    message_id: str | None = None,
    message_status: str | None = None,
    client_reference: str | None = None,
    raw: bytes | None = None,
    from_report: bool = False,
) -> dict[str, Any]:
    """Return the event as subscribers get it, a CloudEvents 1.0 envelope with every element.

    `message_id` to `client_reference`: of the message that it belongs to; without one, the
    reference that Skycore sent back. `raw`: of an unparsed event. `from_report`: not a postback.
    """
    data = {**event.data, "message_id": message_id, "message_status": message_status}
    if client_reference is not None:
        data["client_reference"] = client_reference
    if raw is not None and event.unparsed:
        data["raw"] = b64encode(raw).decode()
    if from_report:
        data["from_report"] = True
    return envelope(
        id=event.id,
        type=event.type,
        source=source,
        subject=event.subject,
        time=event.time,
        data=data,
        replaces=event.replaces,
    )


def build_step_event(
    step: Literal["accepted", "rejected", "unknown", "expired", "cancelled"],
    *,
    source: str,
    message_id: str,
    message_status: str | None = None,
    tracking_id: str | None,
    to: str | None,
    sender: str | None,
    client_reference: str | None,
    code: str | None,
    time: datetime,
    outcome: EventOutcome | None,
    terminal: bool,
    status_details: str | None = None,
    resolved_by: str | None = None,
    reason: str | None = None,
) -> dict[str, Any]:
    """Return the event of one of our own steps, in the same form as a postback's.

    `code`: Skycore's error code, if it gave one. `status_details`: further details.
    """
    name = f"message_{step}"
    moment = to_text(time)
    data = {
        "event": name,
        "code": code,
        "outcome": outcome,
        "terminal": terminal,
        "status": step,
        "status_details": status_details,
        "tracking_id": tracking_id,
        "message_id": message_id,
        "message_status": message_status,
        "client_reference": client_reference,
        "to": to,
        "from": sender,
        **dict.fromkeys(("timestamp", "received_at"), moment),
        "resolved_by": resolved_by,
        "reason": reason,
    }
    return envelope(
        id=f"{message_id}.{step}",
        type=TYPE_PREFIX + name,
        source=source,
        subject=tracking_id or message_id,
        time=moment,
        data=data,
    )


_INBOUND = {"sms_mo", "mms_mo"}


def event_from_fields(fields: Fields, received_at: datetime, *, is_json: bool) -> Event:
    """Return the event of a notification's fields."""
    values = fields.values
    code = find_postback_code(values["code"])
    event, outcome, terminal = event_meaning(code, values, fields.extra, is_json=is_json)
    kind = code.kind if code else ""
    step = status_step(values["code"], values.get("status"), fields.extra)
    identity = identify(kind, outcome, step, values, fields.extra)
    tracking_id = values.get("tracking_id")
    # Of an inbound SMS only a v2 copy has a tracking id; its v1 copy must get the same event id.
    id_ = event_id(None if kind == "sms_mo" else tracking_id, identity.digest)
    legacy_id = event_id(tracking_id, identity.legacy)
    inbound = _inbound(code, values)
    arrived = to_text(received_at)
    data = {"event": event, **values, "received_at": arrived}
    if outcome is not None:
        data["outcome"] = outcome
        data["terminal"] = terminal
    if said := _opt_out(code, values):
        data["opt_out"] = said
    if fields.extra:
        data["extra"] = fields.extra
    return Event(
        id=id_,
        type=TYPE_PREFIX + event,
        subject=_subject(values, inbound=inbound),
        time=event_time(values.get("timestamp"), received_at),
        data=data,
        tracking_id=tracking_id,
        subscriber_number=_subscriber_number(kind, values, inbound=inbound),
        received_at=received_at,
        has_own_identity=identity.has_own_identity,
        content_digest=identity.digest,
        legacy_id=legacy_id if identity.has_own_identity and legacy_id != id_ else None,
    )


def unparsed_event(body: bytes, received_at: datetime, error: str) -> Event:
    """Return the event of a body, or of a notification in it, that cannot be read.

    `error` says why, without any of the content. The same bytes are the same event for as long as
    Skycore repeats a postback; in the first release they always were.
    """
    digest = digest_of(UNPARSED, body)
    arrived = to_text(received_at)
    return Event(
        id=digest,
        type=TYPE_PREFIX + UNPARSED,
        subject=None,
        time=arrived,
        data={"event": UNPARSED, "error": error, "received_at": arrived},
        tracking_id=None,
        subscriber_number=None,
        received_at=received_at,
        has_own_identity=False,
        content_digest=digest,
        legacy_id=digest,
    )


REPEAT_WINDOW = timedelta(minutes=30)  # Skycore's five retries end within it
_NOT_FIELDS = {"event", "outcome", "terminal", "received_at", "opt_out", "from_report", "extra"}


def is_same_notification(event: Event, legacy: Event) -> bool:
    """Return whether `legacy`, stored under `event.legacy_id`, is the same by today's rules."""
    if event.unparsed or legacy.unparsed:
        near = abs(event.received_at - legacy.received_at) <= REPEAT_WINDOW
        return event.unparsed and legacy.unparsed and near
    ids = []
    for one in (event, legacy):
        values = {name: value for name, value in one.data.items() if name not in _NOT_FIELDS}
        extra = one.data.get("extra") or {}
        kind = getattr(find_postback_code(values["code"]), "kind", "")
        ids.append(identify(kind, one.data.get("outcome"), one.status_step, values, extra).digest)
    return ids[0] == ids[1]


def differing_fields(first: Event, copy: Event) -> list[str]:
    """Return the names of the fields in which two copies of a notification differ.

    Unknown elements are all named `extra`, because the sender chose their names.
    """
    names = (first.data.keys() | copy.data.keys()) - _NOT_FIELDS
    differing = [
        name
        for name in names
        if comparable(name, first.data.get(name) or "")
        != comparable(name, copy.data.get(name) or "")
    ]
    return sorted(differing) + (["extra"] if _extra(first) != _extra(copy) else [])


def _extra(event: Event) -> dict[str, str]:
    extra = event.data.get("extra") or {}
    return {name: comparable(name, value) for name, value in extra.items()}


def _opt_out(code: PostbackCode | None, values: dict[str, Any]) -> OptOut | None:
    """Return whether a person's message opts out, opts in or may opt out; None for any other."""
    text, keyword = values.get("text"), values.get("keyword")
    match code.kind if code is not None else None:
        case "sms_mo":
            return opt_out_of(text or keyword)
        case "mms_mo":
            return opt_out_of_mms(text, values.get("subject"), keyword)
    return None


def _inbound(code: PostbackCode | None, values: dict[str, Any]) -> bool:
    """Return whether a person wrote to us, by the code or, if that is unknown, by the origin."""
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
    """Return the best name for what the event is about."""
    for name in (_SUBJECTS if inbound else _OUTBOUND_SUBJECTS) + _OTHER_SUBJECTS:
        if name in values:
            return str(values[name])
    return None


def _subscriber_number(kind: str, values: dict[str, Any], *, inbound: bool) -> str | None:
    """Return the mobile number on the other side, in its canonical form.

    A subscription's TO, and its FROM, may be its shortcode, and those of an unknown code.
    """
    if inbound:
        return canonical_number(values.get("from"))
    if kind in {"subscription", ""}:
        written = (values.get(name) for name in ("mobile", "to", "from"))
        numbers = [number for number in map(canonical_number, written) if number]
        return next((number for number in numbers if len(number) >= SHORTEST_ENDING), None) or (
            numbers[0] if numbers else None
        )
    return canonical_number(values.get("to") or values.get("mobile"))
