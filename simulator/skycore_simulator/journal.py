"""What happened: requests, messages and postbacks, with the secrets masked, and who watches."""

import asyncio
import re
import secrets
from collections import deque
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from local.simulator.fields import unknown
from local.simulator.reading import Call

if TYPE_CHECKING:
    from local.simulator.notifications import Notification

KEPT = 50_000  # entries of each kind
_TAGS = re.compile(
    r"(<\s*(api_key|pass|newpass|password)\b[^>]*>)(.*?)(</)", re.IGNORECASE | re.DOTALL
)
_KEYS = re.compile(r"((?:^|[?&])(?:api_key|pass|newpass)=)[^&]*", re.IGNORECASE)
MASK = "********"


def now() -> str:
    """The time in UTC, RFC 3339 with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def masked(text: str) -> str:
    """A request or reply without keys and passwords."""
    hidden = _KEYS.sub(rf"\1{MASK}", _TAGS.sub(rf"\1{MASK}\4", text))
    return hidden.encode("utf-8", "replace").decode()


@dataclass
class Request:
    """One request as it came (key masked), what was understood, and the reply."""

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


@dataclass
class Message:
    """One message that was accepted (direction out) or came from a handset (in)."""

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

    def shown(self) -> dict[str, Any]:
        """The message as JSON has it."""
        shown = asdict(self)
        shown["from"] = shown.pop("sender")
        return shown


@dataclass
class Postback:
    """One notification and each try to deliver it."""

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

    def shown(self) -> dict[str, Any]:
        """The postback as JSON has it."""
        shown = {name: value for name, value in vars(self).items() if name != "notification"}
        shown["body"] = self.body.decode("utf-8", "replace")
        return shown


type Entry = Request | Message | Postback
type Change = tuple[str, Entry | None]


class Journal:
    """The last entries of each kind; watchers get a note of each change."""

    def __init__(self) -> None:
        self.requests: deque[Request] = deque(maxlen=KEPT)
        self.messages: deque[Message] = deque(maxlen=KEPT)
        self.postbacks: deque[Postback] = deque(maxlen=KEPT)
        self.run = secrets.token_hex(4)  # another one after each clear
        self._last = 0
        self._watchers: set[asyncio.Queue[Change]] = set()

    def clear(self) -> None:
        """Forgets all entries, and tells watchers so."""
        for entries in (self.requests, self.messages, self.postbacks):
            entries.clear()
        self.run = secrets.token_hex(4)
        self._tell(("reset", None))

    def next_id(self) -> int:
        """A number for the next entry; they rise through all kinds together."""
        self._last += 1
        return self._last

    def request(self, method: str, path: str, call: Call) -> Request:
        """Notes a request before it is understood."""
        entry = Request(
            self.next_id(), now(), method, path, call.transport, None, "", {}, [], masked(call.text)
        )
        self.requests.append(entry)
        return entry

    def understood(self, entry: Request, call: Call) -> None:
        """Adds to a noted request what was read from it."""
        entry.action, entry.asked = call.action, call.asked
        entry.fields = {k: MASK if k == "NEWPASS" else v for k, v in call.received.items()}
        entry.unknown_fields = unknown(call)

    def replied(self, entry: Request, reply: str) -> None:
        """Adds the reply to a noted request."""
        entry.reply = masked(reply)
        self.changed(entry)

    def changed(self, entry: Entry) -> None:
        """Tells all watchers; a watcher that does not keep up misses notes."""
        self._tell((type(entry).__name__.lower(), entry))

    def _tell(self, change: Change) -> None:
        for queue in self._watchers:
            if not queue.full():
                queue.put_nowait(change)

    def watch(self) -> asyncio.Queue[Change]:
        """A queue that gets (kind, entry) for each change, until unwatch; ("reset", None) too."""
        queue: asyncio.Queue[Change] = asyncio.Queue(maxsize=1000)
        self._watchers.add(queue)
        return queue

    def unwatch(self, queue: asyncio.Queue[Change]) -> None:
        """Ends a watch."""
        self._watchers.discard(queue)

    def message_with(self, tracking_id: str, to: str | None = None) -> Message | None:
        """The newest message with this tracking id; a campaign has one id for many numbers."""
        newest = (m for m in reversed(self.messages) if m.tracking_id == tracking_id)
        return next((m for m in newest if to in (None, m.to)), None)
