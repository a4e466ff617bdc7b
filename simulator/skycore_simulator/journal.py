"""Requests, messages and postbacks with their secrets masked, and a feed of their changes."""

import asyncio
import re
import secrets
from collections import deque
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from skycore_simulator.request_parser import Call
from skycore_simulator.unknown_fields import unknown_fields

if TYPE_CHECKING:
    from skycore_simulator.notifications import Notification

MAX_ENTRIES = 50_000  # entries of each kind
_TAGS = re.compile(
    r"(<\s*(api_key|pass|newpass|password)\b[^>]*>)(.*?)(</)", re.IGNORECASE | re.DOTALL
)
_KEYS = re.compile(r"((?:^|[?&])(?:api_key|pass|newpass)=)[^&]*", re.IGNORECASE)
MASK = "********"


def now() -> str:
    """Return the time in UTC, RFC 3339 with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def mask_secrets(text: str) -> str:
    """Return a request or reply with its keys and passwords masked."""
    hidden = _KEYS.sub(rf"\1{MASK}", _TAGS.sub(rf"\1{MASK}\4", text))
    return hidden.encode("utf-8", "replace").decode()


@dataclass
class Request:
    """One request as received (key masked), how it was read, and the reply."""

    id: int
    time: str
    method: str
    path: str
    transport: str
    action: str | None
    asked: str
    fields: dict[str, Any]
    unknown_fields: list[str]
    text: str
    reply: str = ""
    code: str | None = None
    mode: str = "normal"
    tracking_id: str = ""  # of the message that was accepted, also if the reply never arrived


@dataclass
class Message:
    """One message that was accepted (direction out) or sent by a handset (in)."""

    id: int
    time: str
    direction: str
    kind: str
    action: str
    tracking_id: str
    to: str
    sender: str
    text: str = ""
    subject: str = ""
    mms_id: str = ""
    slides: list[dict[str, Any]] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    fields: dict[str, Any] = field(default_factory=dict)
    outcome: str = "delivered"
    status: str = "accepted"
    codes: list[str] = field(default_factory=list)
    fallback: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the message for JSON."""
        shown = asdict(self)
        shown["from"] = shown.pop("sender")
        return shown


@dataclass
class Postback:
    """One notification and each attempt to deliver it."""

    id: int
    time: str
    code: str
    tracking_id: str
    body: bytes
    content_type: str
    tries: list[dict[str, Any]] = field(default_factory=list)
    delivered: bool = False
    gave_up: bool = False
    notification: "Notification | None" = field(default=None, repr=False)

    def as_json(self) -> dict[str, Any]:
        """Return the postback for JSON."""
        shown = {name: value for name, value in vars(self).items() if name != "notification"}
        shown["body"] = self.body.decode("utf-8", "replace")
        return shown


type Entry = Request | Message | Postback
type Change = tuple[str, Entry | None]


class Journal:
    """The last entries of each kind, and the queues that hear of each change."""

    def __init__(self) -> None:
        self.requests: deque[Request] = deque(maxlen=MAX_ENTRIES)
        self.messages: deque[Message] = deque(maxlen=MAX_ENTRIES)
        self.postbacks: deque[Postback] = deque(maxlen=MAX_ENTRIES)
        self.run = secrets.token_hex(4)  # changes with each clear
        self._last = 0
        self._watchers: set[asyncio.Queue[Change]] = set()

    def clear(self) -> None:
        """Forget all entries and tell watchers."""
        for entries in (self.requests, self.messages, self.postbacks):
            entries.clear()
        self.run = secrets.token_hex(4)
        self._publish(("reset", None))

    def next_id(self) -> int:
        """Return the id of the next entry; ids rise across all kinds."""
        self._last += 1
        return self._last

    def request(self, method: str, path: str, call: Call) -> Request:
        """Record a request before it is parsed."""
        entry = Request(
            self.next_id(),
            now(),
            method,
            path,
            call.transport,
            None,
            "",
            {},
            [],
            mask_secrets(call.text),
        )
        self.requests.append(entry)
        return entry

    def understood(self, entry: Request, call: Call) -> None:
        """Add the parsed action and fields to a recorded request."""
        entry.action, entry.asked = call.action, call.asked
        entry.fields = {k: MASK if k == "NEWPASS" else v for k, v in call.received.items()}
        entry.unknown_fields = unknown_fields(call)

    def replied(self, entry: Request, reply: str) -> None:
        """Add the reply to a recorded request."""
        entry.reply = mask_secrets(reply)
        self.changed(entry)

    def changed(self, entry: Entry) -> None:
        """Tell all watchers; one that does not keep up misses changes."""
        self._publish((type(entry).__name__.lower(), entry))

    def _publish(self, change: Change) -> None:
        for queue in self._watchers:
            if not queue.full():
                queue.put_nowait(change)

    def watch(self) -> asyncio.Queue[Change]:
        """Return a queue of changes: (kind, entry), and ("reset", None) for a reset."""
        queue: asyncio.Queue[Change] = asyncio.Queue(maxsize=1000)
        self._watchers.add(queue)
        return queue

    def unwatch(self, queue: asyncio.Queue[Change]) -> None:
        """Stop sending changes to a queue."""
        self._watchers.discard(queue)

    def message_with(self, tracking_id: str, to: str | None = None) -> Message | None:
        """Return the newest message with this tracking id; a campaign's messages share one."""
        newest = (m for m in reversed(self.messages) if m.tracking_id == tracking_id)
        return next((m for m in newest if to in (None, m.to)), None)
