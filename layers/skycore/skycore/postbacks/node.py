"""What XML and JSON bodies have in common: named things that hold text or other things."""

import json
from typing import Any

from skycore.catalogue.postback_fields import plain_name


class Node:
    """An XML element or a JSON member."""

    __slots__ = ("attributes", "children", "is_json", "name", "tail", "text")

    def __init__(self, name: str, *, is_json: bool = False) -> None:
        self.name = name
        self.is_json = is_json
        self.text = ""
        self.tail = ""
        self.attributes: dict[str, str] = {}
        self.children: list[Node] = []

    @property
    def plain(self) -> str:
        """Name without what differs between the forms."""
        return plain_name(self.name)

    def inner(self) -> str:
        """The content as one text: as JSON where it was JSON, else with its markup.

        A message text that was not escaped (`a <b>c</b>`) comes out as it was written.
        """
        if not self.children:
            return self.text
        if self.is_json:
            return json.dumps(self._members(), ensure_ascii=False, separators=(",", ":"))
        parts = [self.text]
        for child in self.children:
            parts += f"<{child.name}>", child.inner(), f"</{child.name}>", child.tail
        return "".join(parts)

    def _members(self) -> Any:
        if not self.children:
            return self.text
        members: dict[str, Any] = {}
        for child in self.children:
            value = child._members()  # noqa: SLF001 - of the same class
            if child.name not in members:
                members[child.name] = value
            elif isinstance(members[child.name], list):
                members[child.name].append(value)
            else:
                members[child.name] = [members[child.name], value]
        return members
