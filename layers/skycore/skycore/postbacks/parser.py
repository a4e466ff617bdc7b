"""Parse request bodies into events."""

import re
import zlib
from collections.abc import Iterable
from datetime import datetime

from skycore.catalogue.fields import fields_by_element, plain_name
from skycore.catalogue.statuses import find_postback_code
from skycore.postbacks.document import (
    MAX_BODY_BYTES,
    MAX_FORM_FIELDS,
    MAX_LAYERS,
    MAX_NOTIFICATIONS,
    WRITTEN_BY_PEOPLE,
    Node,
    UnreadableError,
    as_utf8,
    decode_layer,
    form_fields,
)
from skycore.postbacks.event import Event, event_from_fields, unparsed_event
from skycore.postbacks.identity import INBOUND_KINDS
from skycore.postbacks.json_document import read_json
from skycore.postbacks.notification import Fields, notifications, read_elements
from skycore.postbacks.xml_document import read_xml

PARSER_BUG = "a fault of ours in reading it: "
_PLACE = re.compile(r"notifications? (\d+(?:, \d+)*) of (\d+): ")


def read_postback(body: bytes, received_at: datetime) -> list[Event]:
    """Return the events of a request body, at least one, whatever the bytes are.

    A body, or the notifications in it, that cannot be read are one unparsed event; nothing is
    raised. Repeats inside the body are returned too. `received_at` is the time of arrival.
    """
    try:
        return _events(body, received_at)
    except UnreadableError as error:
        return [unparsed_event(body, received_at, str(error))]
    except Exception as error:  # noqa: BLE001 - kept and read again after a fix, not lost
        return [unparsed_event(body, received_at, PARSER_BUG + type(error).__name__)]


def reparse(body: bytes, received_at: datetime, error: str) -> list[Event]:
    """Return the events of a postback that was kept as unparsed for the reason `error`.

    Empty while it still cannot be read. Of a body with several notifications, return those that
    the reason names; those of them that still cannot be read are again one unparsed event.
    """
    try:
        results = _parse_notifications(body, received_at)
    except Exception:  # noqa: BLE001 - unreadable, or a fault of ours
        return []
    place = _PLACE.match(error)
    if place and int(place[2]) == len(results):
        wanted = {int(number) for number in place[1].split(", ")}
    else:
        wanted = set(range(1, len(results) + 1))
    events = _merge_unreadable(body, received_at, results, wanted)
    return events if any(not event.unparsed for event in events) else []


type Result = Event | UnreadableError  # of one notification: its event, or why there is none


def _events(body: bytes, received_at: datetime) -> list[Event]:
    results = _parse_notifications(body, received_at)
    if not any(isinstance(result, Event) for result in results):
        raise UnreadableError(f"none of {len(results)} notifications can be read: {results[0]}")
    return _merge_unreadable(body, received_at, results, set(range(1, len(results) + 1)))


def _parse_notifications(body: bytes, received_at: datetime) -> list[Result]:
    """Return the result for each notification in the body, in order."""
    roots = read_body(body)
    found = [node for root in roots for node in notifications(root)]
    if len(found) > MAX_NOTIFICATIONS:
        raise UnreadableError(f"more than {MAX_NOTIFICATIONS} notifications")
    _refuse_texts_outside(roots, found)
    if len(found) == 1:
        return [_event(found[0], received_at)]
    results: list[Result] = []
    for node in found:
        try:
            results.append(_event(node, received_at))
        except UnreadableError as error:
            results.append(error)
    _refuse_mixed_people(roots, found, results)
    return results


def _merge_unreadable(
    body: bytes, received_at: datetime, results: list[Result], wanted: set[int]
) -> list[Event]:
    """Return the wanted notifications' events, and one unparsed event for all without one."""
    events: list[Event] = []
    unreadable: list[str] = []
    for number, result in enumerate(results, 1):
        if number not in wanted:
            continue
        if isinstance(result, Event):
            events.append(result)
            continue
        if not unreadable:
            first, why = len(events), result
        unreadable.append(str(number))
    if unreadable:  # one event, because each takes the whole body to wherever events go
        several = "s" if len(unreadable) > 1 else ""
        place = f"notification{several} {', '.join(unreadable)} of {len(results)}: {why}"
        events.insert(first, unparsed_event(body + place.encode(), received_at, place))
    return events


def _event(node: Node, received_at: datetime) -> Event:
    _refuse_repeats(node)
    return event_from_fields(Fields(node), received_at, is_json=node.is_json)


# --- What a stranger's text, or a fault of Skycore's, must not do ------------------------------


def _refuse_repeats(notification: Node) -> None:
    """Raise UnreadableError if an element that occurs once has several values.

    Beside a person's text it must not even repeat its value.
    """
    elements = read_elements(notification)
    by_person = any(node.plain in WRITTEN_BY_PEOPLE for node in elements)
    values: dict[str, str] = {}
    for node in elements:
        _, field = fields_by_element().get(node.plain, (0, None))
        if field is None or field.shape in {"list", "numbers"}:
            continue
        # A pass has STATUSCODE and perhaps another CODE; no message of a person has both.
        element = "CODE" if field.name == "code" and by_person else node.plain
        value = node.inner().strip()
        different = value != values.get(element, value)
        if different and field.name == "code":
            raise UnreadableError("two different codes in one notification")
        if different or (by_person and element in values):
            raise UnreadableError(f"{field.name} occurs twice in one notification")
        values[element] = value


def _refuse_texts_outside(roots: list[Node], found: list[Node]) -> None:
    """Raise UnreadableError if a person's text stands outside of the notifications."""
    reported = {id(node) for node in found}
    waiting = list(roots)
    while waiting:
        node = waiting.pop()
        if node.plain in WRITTEN_BY_PEOPLE:
            raise UnreadableError("a text outside of the notifications")
        if id(node) not in reported:
            waiting += node.children


def _refuse_mixed_people(roots: list[Node], found: list[Node], results: list[Result]) -> None:
    """Raise UnreadableError if a body reports on several people where Skycore reports on one.

    Skycore documents one notification, and POSTBACKs of several NOTIFICATIONs. In any other form
    all must be readable and about one person. Beside a person's text, which may have made the
    others, all must be inbound messages of that person; of several only in the form of 2011.
    """
    events = [result for result in results if isinstance(result, Event)]
    if not events:
        return
    unreadable = len(events) < len(results)
    with_text = any(node.plain in WRITTEN_BY_PEOPLE for root in roots for node in root.walk())
    reported = {id(node) for node in found}
    nested = any(id(inner) in reported for node in found for inner in node.walk() if inner != node)
    if len(roots) > 1 or roots[0].is_json or nested:
        if with_text or unreadable or len({_person(event) for event in events}) > 1:
            raise UnreadableError("several notifications in a form that Skycore does not document")
    elif with_text:
        codes = [find_postback_code(event.data["code"]) for event in events]
        inbound = all(code is not None and code.kind in INBOUND_KINDS for code in codes)
        senders = {event.subscriber_number or event.data.get("from") for event in events}
        if unreadable or not inbound or (len(senders) > 1 and not _has_form_of_2011(found)):
            raise UnreadableError("texts and reports on several people in one body")


def _person(event: Event) -> str | None:
    """Return the number or address of the person that the event is about, if it names one."""
    names = ("email", "mobile", "to")
    return event.subscriber_number or next(filter(None, map(event.data.get, names)), None)


def _has_form_of_2011(found: list[Node]) -> bool:
    """Return whether each NOTIFICATION has an id of its own, and only ORIGIN, CODE and BODY."""
    ids: set[str] = set()
    for node in found:
        ids |= {text for name, text in node.attributes.items() if plain_name(name) == "ID"}
        if sorted(child.plain for child in node.children) != ["BODY", "CODE", "ORIGIN"]:
            return False
    return len(ids) == len(found)


# --- What is around the document --------------------------------------------------------------

_FORM = re.compile(rb"[A-Za-z0-9_.%\[\]-]{1,64}=")
_RAW_FIELD = re.compile(rb"(?:^|&)[\w.-]{1,64}=\s*(?=[<{\[])")
_PART_NAME = re.compile(rb"""\bname\s*=\s*(?:"([^"]*)"|([^\s;"]+))""", re.IGNORECASE)
_BLANK_LINE = re.compile(rb"\r?\n\r?\n")
_CONTENT_STARTS = (b"<", b"{", b"[", b"&", b"%", b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\0")


def read_body(body: bytes) -> list[Node]:
    """Return the root elements or objects in a body.

    Raises UnreadableError when there are none, or when the body is over a bound.
    """
    if len(body) > MAX_BODY_BYTES:
        raise UnreadableError(f"longer than {MAX_BODY_BYTES} bytes")
    for _ in range(MAX_LAYERS):
        if body.lstrip(b"\r\n").startswith(b"\x1f\x8b"):
            body = _decompressed(body.lstrip(b"\r\n"))
            continue
        if body.lstrip().startswith(b"--"):  # its parts may differ in encoding
            body = _document_field(_parts(body.strip()))
            continue
        body = as_utf8(body)
        if body.startswith(b"<"):
            return read_xml(body.decode())
        if body.startswith((b"{", b"[")):
            return read_json(body.decode())
        body = _unwrapped(body)
    raise UnreadableError(f"more than {MAX_LAYERS} layers of wrapping")


def _unwrapped(body: bytes) -> bytes:
    """Return the body without its outermost layer."""
    if not body:
        raise UnreadableError("empty")
    decoded = decode_layer(body)
    if decoded is not None:
        return decoded
    raw = _RAW_FIELD.search(body)
    if raw:
        _refuse_fields(pair.partition(b"=")[0] for pair in body[: raw.end()].split(b"&"))
        return body[raw.end() :]
    if _FORM.match(body):
        return _document_field(form_fields(body))
    if body.startswith(b'"'):
        return _json_string(body)
    raise UnreadableError("neither XML nor JSON nor a form")


def _json_string(body: bytes) -> bytes:
    """Return XML or JSON that was given as one JSON string."""
    nodes = read_json(f"[{body.decode()}]")
    return nodes[0].text.encode() if nodes else b""


def _parts(body: bytes) -> list[tuple[bytes, bytes]]:
    """Return names and contents of a multipart body, whose boundary is its first line."""
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


def _decompressed(body: bytes) -> bytes:
    """Return the content of a gzip body, no more than a body may have."""
    content = b""
    for _ in range(MAX_FORM_FIELDS):  # parts, of which one may follow another
        stream = zlib.decompressobj(zlib.MAX_WBITS | 16)  # gzip only
        try:
            content += stream.decompress(body, MAX_BODY_BYTES + 1)
        except zlib.error:
            raise UnreadableError("gzip that cannot be read") from None
        if len(content) > MAX_BODY_BYTES:
            raise UnreadableError(f"longer than {MAX_BODY_BYTES} bytes")
        body = stream.unused_data.lstrip(b"\0\r\n")
        if stream.eof and not body:
            return content
    raise UnreadableError("gzip that breaks off or has too many parts")


def _refuse_fields(names: Iterable[bytes]) -> None:
    """Raise UnreadableError if a form has a postback's fields: a text in it is not a document."""
    if any(plain_name(name.strip().decode("latin-1")) in fields_by_element() for name in names):
        raise UnreadableError("a form of single fields")


def _document_field(fields: list[tuple[bytes, bytes]]) -> bytes:
    """Return the field called xml, else the first that looks like XML or JSON."""
    xml = [value for name, value in fields if name.strip().lower() == b"xml" and value.strip()]
    if len(xml) > 1:
        raise UnreadableError("a form with several xml fields")
    if xml:
        return xml[0]
    _refuse_fields(name for name, _ in fields)
    for _, value in fields:
        if value.lstrip().startswith(_CONTENT_STARTS):
            return value
    raise UnreadableError("a form without a field that holds XML or JSON")
