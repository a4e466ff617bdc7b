"""What a request means, in the words of Skycore's side: as the simulator's journal tells it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from skycore.client.validation import prepare

if TYPE_CHECKING:
    from collections.abc import Mapping

    from skycore.catalogue.actions import Action, Parameter

MASK = "********"  # in the place of a password


def meant(action: Action, body: Mapping[str, Any], *, by_get: bool = False) -> dict[str, Any]:
    """The elements that Skycore should read, groups as maps and lists of maps."""
    fields = prepare(action, body)
    read: dict[str, Any] = {}
    for parameter in action.parameters:
        value = fields.get(parameter.name)
        if value is None or (parameter.kind == "true_only" and not value):
            continue
        told = MASK if parameter.secret else _told(parameter, value)
        if not (by_get and told == {}):  # an empty group leaves no trace in a query
            read[parameter.xml] = told
    return read


def _told(parameter: Parameter, value: Any) -> Any:
    match parameter.kind:
        case "slides" | "custom_text":
            return [_children(parameter, entry) for entry in value]
        case "pass_data":
            return _children(parameter, value)
        case "data":
            return {name.upper(): text for name, text in value.items()}
        case "yes_no":
            return "yes" if value else "no"
        case "true_only":
            return "true"
    return str(value)


def _children(parameter: Parameter, entry: Mapping[str, Any]) -> dict[str, Any]:
    """A file of a slide is read under its kind (IMAGE, not IMAGE/URL), without outer spaces."""
    read = {}
    for child in parameter.children:
        if child.name in entry:
            kind, _, inner = child.xml.partition("/")
            value = _told(child, entry[child.name])
            read[kind] = value.strip() if inner else value
    return read
