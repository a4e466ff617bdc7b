"""Events: what a notification, or a step of ours, tells subscribers."""

from base64 import b64encode
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from skycore.catalogue.postback_codes import Outcome, Step
from skycore.postbacks.envelope import envelope
from skycore.postbacks.identity import digest_of, event_id
from skycore.postbacks.meaning import UNPARSED, status_step
from skycore.postbacks.times import utc_text

TYPE_PREFIX = "skycore."


@dataclass(frozen=True, slots=True)
class Event:
    """One notification, as stored.

    `data`: the event contract's data without absent fields; of the message it belongs to it
    knows nothing (`client_reference` is there only when Skycore sent it back). `counterpart`:
    digits of the other side's mobile number. `dated`: an id or a time of its own tells it from a
    later one of the same content; an event that is not needs `anchored`. `content_digest`: the
    same for events of the same content. `replaces`: id of the unparsed event whose body was
    understood later.
    """

    id: str
    type: str
    subject: str | None
    time: str
    data: dict[str, Any]
    tracking_id: str | None
    counterpart: str | None
    received_at: datetime
    dated: bool
    replaces: str | None = None
    content_digest: str = ""

    def __repr__(self) -> str:
        """Without what a person wrote, and without numbers."""
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
    def status_step(self) -> Step | None:
        """What it means for its message's status, None when nothing."""
        return status_step(self.data.get("code"), self.data.get("status"))

    def anchored(self, first_seen: datetime) -> "Event":
        """The event under an id that holds when its content was first seen.

        For events that are not dated: a repeat shares the first arrival and so the id, and the
        same content at a later time is news. A dated event is returned as it is.
        """
        if self.dated:
            return self
        digest = digest_of(self.content_digest, utc_text(first_seen))
        return replace(self, id=event_id(self.tracking_id, digest))


def cloudevent(
    event: Event,
    *,
    source: str,
    message_id: str | None = None,
    client_reference: str | None = None,
    raw: bytes | None = None,
    from_report: bool = False,
) -> dict[str, Any]:
    """The event as subscribers get it, a CloudEvents 1.0 envelope with every element present.

    `source`: URN of the stack. `message_id` and `client_reference`: of the message that it
    belongs to; without one, the reference that Skycore sent back. `raw`: the request body, told
    of unparsed events only. `from_report`: learnt from Skycore's report and not from a postback.
    """
    data: dict[str, Any] = {**event.data, "message_id": message_id}
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


def step_event(
    step: Literal["accepted", "rejected", "unknown", "expired", "cancelled"],
    *,
    source: str,
    message_id: str,
    tracking_id: str | None,
    to: str | None,
    sender: str | None,
    client_reference: str | None,
    code: str | None,
    time: datetime,
    outcome: Outcome | None,
    terminal: bool,
    status_details: str | None = None,
) -> dict[str, Any]:
    """The event of a step of ours in a message's life, in the same form as a postback's.

    `code`: Skycore's error code, if it gave one. `status_details`: what more there is to say.
    """
    name = f"message_{step}"
    moment = utc_text(time)
    data = {
        "event": name,
        "code": code,
        "outcome": outcome,
        "terminal": terminal,
        "status": step,
        "status_details": status_details,
        "tracking_id": tracking_id,
        "message_id": message_id,
        "client_reference": client_reference,
        "to": to,
        "from": sender,
        "timestamp": moment,
        "received_at": moment,
    }
    return envelope(
        id=f"{message_id}.{step}",
        type=TYPE_PREFIX + name,
        source=source,
        subject=tracking_id or message_id,
        time=moment,
        data=data,
    )
