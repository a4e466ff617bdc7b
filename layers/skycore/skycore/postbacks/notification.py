"""From elements to the notifications in them, and to their fields under the events' names."""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from skycore.catalogue.fields import PostbackField, fields_by_element, plain_name
from skycore.catalogue.statuses import find_postback_code, origin_names
from skycore.phone_numbers import received_digits
from skycore.postbacks.document import (
    MAX_NAME_CHARACTERS,
    Node,
    UnreadableError,
    replace_unsupported,
)
from skycore.timestamps import utc_timestamp

_WRAPPERS = {"POSTBACK", "POSTBACKS", "NOTIFICATION", "NOTIFICATIONS"}
_CODES = {"CODE", "STATUSCODE"}


def notifications(root: Node) -> Iterator[Node]:
    """Yield each notification in a document: the root itself, or those that it wraps.

    Until 2014 a POSTBACK held one or more NOTIFICATIONs, up to 300.
    """
    wrapped = [
        node
        for node in root.children
        if (node.children or node.attributes) and node.plain in _WRAPPERS
    ]
    if not wrapped or any(node.plain in _CODES for node in root.children):
        yield root
    for node in wrapped:
        yield from notifications(node)


def read_elements(notification: Node) -> list[Node]:
    """Each element that is read as a field or a group of the notification, also in BODYs."""
    elements = list(notification.children)
    for node in elements:  # which grows
        if node.plain == "BODY":
            elements += node.children
    return elements


@lru_cache(maxsize=512)
def _known(element: str) -> tuple[int, PostbackField] | None:
    """Return the rank and field of an element as it is spelled; None for an unknown one."""
    return fields_by_element().get(plain_name(element))


def _snake_name(name: str) -> str:
    """Return an unknown element's name as `extra` has it: `new-thing` is `new_thing`."""
    return replace_unsupported(name).replace("-", "_").lower()[:MAX_NAME_CHARACTERS]


class Fields:
    """A notification's fields.

    `values`: text by the event's names, without empty ones (`files` is a list); phone numbers are
    digits, as Skycore wrote them. `extra`: everything else: unknown elements (nested ones with
    their names joined), attributes, further values of a field that has one already, and times that
    cannot be read.
    """

    def __init__(self, notification: Node) -> None:
        self.values: dict[str, Any] = {}
        self.extra: dict[str, Any] = {}
        self._ranks: dict[str, int] = {}
        if notification.attributes:
            self._attributes(notification)
        self._read(notification)
        if "timestamp" in self.values:
            self._utc()
        self._documented_spelling()

    def _read(self, parent: Node) -> None:
        for node in parent.children:
            known = _known(node.name)
            if known is None:
                self._other(node)
                continue
            rank, field = known
            text = _nested(node, field) if node.children else node.text
            if node.attributes:
                text = self._status(node) if field.name == "status" else text
                self._attributes(node)
            if field.shape != "prose" or text.isspace():
                text = text.strip()
            if field.shape == "number":
                text = received_digits(text) or text
            if text:
                self._keep(field, rank, replace_unsupported(text), node.name)

    def _keep(self, field: PostbackField, rank: int, text: str, element: str) -> None:
        name = field.name
        if field.shape == "list":
            self.values.setdefault(name, []).append(text)
            return
        had = self.values.get(name)
        if had is None:
            self.values[name] = text
            self._ranks[name] = rank
        elif had == text:
            self._ranks[name] = min(rank, self._ranks[name])
        elif field.shape == "numbers":
            self.values[name] = f"{had},{text}"
        elif rank < self._ranks[name]:
            self._add(field.elements[self._ranks[name]].lower(), had)
            self.values[name] = text
            self._ranks[name] = rank
        elif name == "code" and rank == self._ranks[name]:
            raise UnreadableError("two different codes in one notification")
        else:
            self._add(_snake_name(element), text)

    def _other(self, node: Node) -> None:
        """Read an element that is not a field: a documented group, or an unknown one."""
        plain = node.plain
        if plain == "BODY" and node.children:
            self._read(node)
        elif plain == "CONTENT":
            self._content(node)
        elif plain not in _WRAPPERS:
            self._unknown(node, "")

    def _content(self, content: Node) -> None:
        """Read the parts of an inbound MMS: CONTENT/FILE, or a JSON list of {file}."""
        _, files = fields_by_element()["FILE"]
        for node in content.children or (content,):
            if node is not content and node.plain != "FILE":
                self._unknown(node, "content_")
            elif text := node.inner().strip():
                self._keep(files, 0, replace_unsupported(text), node.name)

    def _unknown(self, node: Node, prefix: str) -> None:
        name = (prefix + _snake_name(node.name))[:MAX_NAME_CHARACTERS]
        text = node.text if not node.text.isspace() else ""
        if text:
            self._add(name, replace_unsupported(text.strip()))
        if node.attributes:
            self._attributes(node, name)
        for child in node.children:
            self._unknown(child, f"{name}_")

    def _attributes(self, node: Node, prefix: str | None = None) -> None:
        prefix = _snake_name(node.name) if prefix is None else prefix
        for attribute, text in node.attributes.items():
            if text.strip():
                self._add(f"{prefix}_{_snake_name(attribute)}", replace_unsupported(text.strip()))

    def _status(self, node: Node) -> str:
        """Return STATUS as text, from its attributes where it has none (2011-2014).

        `text` and `description` are words; `status` is one, or a number of the SMS protocol.
        """
        attributes = {plain_name(name): value for name, value in node.attributes.items()}
        words = [node.text, attributes.get("TEXT", ""), attributes.get("DESCRIPTION", "")]
        status = attributes.get("STATUS", "")
        words.append(status if not status.strip().isdigit() else "")
        return next((word for word in words if word.strip()), "")

    def _add(self, name: str, text: str) -> None:
        had = self.extra.get(name)
        if had is None:
            self.extra[name] = text
        elif isinstance(had, list):
            had.append(text)
        else:
            self.extra[name] = [had, text]

    def _utc(self) -> None:
        """Convert the time to UTC; move it to `extra` if it has no offset or cannot be read."""
        text = self.values.pop("timestamp")
        time = utc_timestamp(text)
        if time is None:
            self._add("timestamp", text)
        else:
            self.values["timestamp"] = time

    def _documented_spelling(self) -> None:
        """Spell code and origin as documented where only their letter case differs."""
        code = self.values.get("code")
        if code is None:
            raise UnreadableError("no code" if self.values else "nothing that a postback has")
        if find_postback_code(code.upper()):
            self.values["code"] = code.upper()
        origin = self.values.get("origin")
        if origin:
            self.values["origin"] = origin_names().get(origin.upper(), origin)


def _nested(node: Node, field: PostbackField) -> str:
    """Return the text of a field that holds elements although it should hold text."""
    if field.shape == "numbers":  # copy-to: each has a {number}
        return ",".join(child.inner().strip() for child in node.children)
    return node.inner()
