"""Request bodies to events."""

import re
from datetime import datetime
from html import unescape
from urllib.parse import unquote_to_bytes

from skycore.postbacks.document import (
    MAX_BODY_BYTES,
    MAX_FORM_FIELDS,
    MAX_LAYERS,
    MAX_NOTIFICATIONS,
    Node,
    UnreadableError,
    as_utf8,
)
from skycore.postbacks.event import Event, event_of, unparsed_event
from skycore.postbacks.json_document import read_json
from skycore.postbacks.notification import Fields, notifications
from skycore.postbacks.xml_document import read_xml

FAULT = "a fault of ours in reading it: "
_PLACE = re.compile(r"notifications? (\d+(?:, \d+)*) of (\d+): ")


def read_postback(body: bytes, received_at: datetime) -> list[Event]:
    """Every event that a request body tells, at least one, whatever the bytes are.

    What cannot be read is one unparsed event; nothing is raised. Repeats inside the body are
    returned once. `received_at` is the time of arrival.
    """
    try:
        return _events(body, received_at)
    except UnreadableError as error:
        return [unparsed_event(body, received_at, str(error))]
    except Exception as error:  # noqa: BLE001 - kept and read again after a fix, not lost
        return [unparsed_event(body, received_at, FAULT + type(error).__name__)]


def read_again(body: bytes, received_at: datetime, error: str) -> list[Event]:
    """What a postback that was kept as unparsed, for the reason `error`, tells now instead.

    Empty while it still cannot be read. Of a body with several notifications it is those that
    the reason names; those of them that still cannot be read are again one unparsed event.
    """
    try:
        told = _each(body, received_at)
    except Exception:  # noqa: BLE001 - unreadable, or a fault of ours
        return []
    place = _PLACE.match(error)
    if place and int(place[2]) == len(told):
        wanted = {int(number) for number in place[1].split(", ")}
    else:
        wanted = set(range(1, len(told) + 1))
    events = _together(body, received_at, told, wanted)
    return events if any(not event.unparsed for event in events) else []


def _events(body: bytes, received_at: datetime) -> list[Event]:
    told = _each(body, received_at)
    if not any(isinstance(one, Event) for one in told):
        raise UnreadableError(f"none of {len(told)} notifications can be read: {told[0]}")
    events: dict[str, Event] = {}
    for event in _together(body, received_at, told, set(range(1, len(told) + 1))):
        events.setdefault(event.id, event)
    return list(events.values())


def _each(body: bytes, received_at: datetime) -> list[Event | UnreadableError]:
    """For each notification in the body, in order, its event or why there is none."""
    found = [node for root in read_body(body) for node in notifications(root)]
    if len(found) > MAX_NOTIFICATIONS:
        raise UnreadableError(f"more than {MAX_NOTIFICATIONS} notifications")
    if len(found) == 1:
        return [_event(found[0], received_at)]
    told: list[Event | UnreadableError] = []
    for node in found:
        try:
            told.append(_event(node, received_at))
        except UnreadableError as error:
            told.append(error)
    return told


def _together(
    body: bytes, received_at: datetime, told: list[Event | UnreadableError], wanted: set[int]
) -> list[Event]:
    """The wanted notifications' events, and one unparsed event for all that cannot be read.

    One, because each takes the whole body to wherever events go.
    """
    events: list[Event] = []
    faults: list[str] = []
    for number, one in enumerate(told, 1):
        if number not in wanted:
            continue
        if isinstance(one, Event):
            events.append(one)
            continue
        if not faults:
            first, why = len(events), one
        faults.append(str(number))
    if faults:
        several = "s" if len(faults) > 1 else ""
        place = f"notification{several} {', '.join(faults)} of {len(told)}: {why}"
        events.insert(first, unparsed_event(body + place.encode(), received_at, place))
    return events


def _event(node: Node, received_at: datetime) -> Event:
    return event_of(Fields(node), received_at, is_json=node.is_json)


_ESCAPED = re.compile(
    rb"&(?:amp;)*(?:lt|quot|#0*(?:60|34|123|91)|#x0*(?:3c|22|7b|5b));", re.IGNORECASE
)
_PERCENT = re.compile(
    rb"%(?:25)*(?:3c|7b|5b|22|26|ef|ff|fe|0d|0a|20)|[\w.-]{1,64}%(?:25)*3d", re.IGNORECASE
)
_FORM = re.compile(rb"[A-Za-z0-9_.%\[\]-]{1,64}=")
_RAW_FIELD = re.compile(rb"(?:^|&)[\w.-]{1,64}=\s*(?=[<{\[])")
_PART_NAME = re.compile(rb"""\bname\s*=\s*(?:"([^"]*)"|([^\s;"]+))""", re.IGNORECASE)
_BLANK_LINE = re.compile(rb"\r?\n\r?\n")
_CONTENT_STARTS = (b"<", b"{", b"[", b"&", b"%", b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\0")


def read_body(body: bytes) -> list[Node]:
    """The root elements or objects in a body.

    Raises UnreadableError when there are none, or when the body is over a bound.
    """
    if len(body) > MAX_BODY_BYTES:
        raise UnreadableError(f"longer than {MAX_BODY_BYTES} bytes")
    for _ in range(MAX_LAYERS):
        if body.lstrip().startswith(b"--"):  # its parts may differ in encoding
            body = _best(_parts(body.strip()))
        body = as_utf8(body)
        if body.startswith(b"<"):
            return read_xml(body)
        if body.startswith((b"{", b"[")):
            return read_json(body.decode())
        body = _unwrapped(body)
    raise UnreadableError(f"more than {MAX_LAYERS} layers of wrapping")


def _unwrapped(body: bytes) -> bytes:
    """The body with its outermost layer taken off."""
    if not body:
        raise UnreadableError("empty")
    if _ESCAPED.match(body):
        return _html_unescaped(body)
    if _PERCENT.match(body):
        return _percent_decoded(body)
    raw = _RAW_FIELD.search(body)
    if raw:
        return body[raw.end() :]
    if _FORM.match(body):
        return _best(_form_fields(body))
    if body.startswith(b'"'):
        return _json_string(body)
    raise UnreadableError("neither XML nor JSON nor a form")


def _html_unescaped(body: bytes) -> bytes:
    try:
        return unescape(body.decode()).encode()
    except ValueError:  # a reference to a number of thousands of digits
        raise UnreadableError("HTML escapes that cannot be read") from None


def _percent_decoded(value: bytes) -> bytes:
    return unquote_to_bytes(value.replace(b"+", b" "))


def _json_string(body: bytes) -> bytes:
    """XML or JSON that was given as one JSON string."""
    nodes = read_json(f"[{body.decode()}]")
    return nodes[0].text.encode() if nodes else b""


def _form_fields(body: bytes) -> list[tuple[bytes, bytes]]:
    """Names and values of an urlencoded form."""
    pairs = body.split(b"&", MAX_FORM_FIELDS)
    if len(pairs) > MAX_FORM_FIELDS:
        raise UnreadableError(f"a form of more than {MAX_FORM_FIELDS} fields")
    fields = (pair.partition(b"=") for pair in pairs)
    return [(_percent_decoded(name), _percent_decoded(value)) for name, _, value in fields]


def _parts(body: bytes) -> list[tuple[bytes, bytes]]:
    """Names and contents of a multipart body, whose boundary is its first line."""
    boundary = body.partition(b"\n")[0].rstrip()
    parts = body.split(b"\n" + boundary, MAX_FORM_FIELDS)
    if len(parts) > MAX_FORM_FIELDS:
        raise UnreadableError(f"a multipart body of more than {MAX_FORM_FIELDS} parts")
    parts[0] = parts[0].removeprefix(boundary)
    found = []
    for part in parts:
        blank = _BLANK_LINE.search(part)
        if blank:
            name = _PART_NAME.search(part, 0, blank.start())
            content = part[blank.end() :].removesuffix(b"\r")
            found.append(((name[1] or name[2] or b"") if name else b"", content))
    return found


def _best(fields: list[tuple[bytes, bytes]]) -> bytes:
    """The field called xml, else the first that looks like XML or JSON."""
    for name, value in fields:
        if name.strip().lower() == b"xml" and value.strip():
            return value
    for _, value in fields:
        if value.lstrip().startswith(_CONTENT_STARTS):
            return value
    raise UnreadableError("a form without a field that holds XML or JSON")
