"""Checks of nested fields: slides, custom texts, merge data and pass data."""

import re
from collections.abc import Callable
from typing import Any

from skycore.api.failures import FieldError
from skycore.api.values import BadValueError, Rules, check_value
from skycore.catalogue.actions import Parameter

_NAME = re.compile("[a-z][a-z0-9_]{0,63}")
_PICTURES = ("image", "personalized_image")
_MEDIA = (*_PICTURES, "audio", "video")
_OBJECTS = ("vcard", "ical", "pdf", "passbook")

Tell = Callable[[FieldError], None]


def check_group(value: Any, parameter: Parameter, rules: Rules, tell: Tell) -> Any:
    """The group as it is sent; every fault goes to ``tell`` under the path of its field."""
    if parameter.repeated:
        return _list(value, parameter, rules, tell)
    if not isinstance(value, dict):
        tell(FieldError(parameter.name, "must be an object"))
        return None
    if parameter.kind == "data":
        return _data(value, parameter, rules, tell)
    return _map(value, parameter.children, parameter.name, rules, tell)


def _list(value: Any, parameter: Parameter, rules: Rules, tell: Tell) -> list[Any]:
    low, high = parameter.min_items or 0, parameter.max_items
    if not isinstance(value, list):
        tell(FieldError(parameter.name, "must be a list"))
        return []
    if len(value) < low or (high is not None and len(value) > high):
        tell(FieldError(parameter.name, f"has {len(value)} entries, {low} to {high} are allowed"))
        return []
    checked = []
    for index, entry in enumerate(value):
        path = f"{parameter.name}[{index}]"
        if not isinstance(entry, dict):
            tell(FieldError(path, "must be an object"))
            continue
        checked.append(_map(entry, parameter.children, path, rules, tell))
        if parameter.kind == "slides":
            for name, detail in slide_faults(set(entry)):
                tell(FieldError(f"{path}.{name}" if name else path, detail))
    if parameter.kind == "custom_text":
        _tell_repeated_slides(checked, parameter.name, tell)
    return checked


def _map(
    value: dict[str, Any],
    children: tuple[Parameter, ...],
    path: str,
    rules: Rules,
    tell: Tell,
) -> dict[str, Any]:
    checked = {}
    for child in children:
        if child.name in value:
            try:
                checked[child.name] = check_value(value[child.name], child, rules)
            except BadValueError as error:
                tell(FieldError(f"{path}.{child.name}", str(error)))
        elif child.required == "always":
            tell(FieldError(f"{path}.{child.name}", "is missing"))
    known = {child.name for child in children}
    for name in value:
        if name not in known:
            tell(FieldError(f"{path}.{name}", "is not a known field"))
    _tell_beacons_without_uuid(value, path, tell)
    return checked


def slide_faults(given: set[str]) -> list[tuple[str, str]]:
    """Which fields of a slide cannot stand beside the others, each with the reason.

    An image may have an audio; a video stands with text only; a vcard, ical, pdf or passbook has
    neither media nor another of its kind beside it. A name of "" is the slide itself.
    """
    faults = []
    media = [name for name in _MEDIA if name in given]
    objects = [name for name in _OBJECTS if name in given]
    pictures = [name for name in _PICTURES if name in given]
    if not (media or objects or "text" in given):
        faults.append(("", "is empty: it needs a text or a file"))
    if len(pictures) > 1:
        faults.append((pictures[1], f"cannot stand beside {pictures[0]}"))
    if "video" in media and len(media) > 1:
        others = ", ".join(name for name in media if name != "video")
        faults.append(("video", f"cannot stand beside {others}"))
    for position, name in enumerate(objects):
        others = ", ".join([*media, *objects[:position]])
        if others:
            faults.append((name, f"cannot stand beside {others}"))
    return faults


def _tell_repeated_slides(entries: list[dict[str, Any]], name: str, tell: Tell) -> None:
    seen: set[int] = set()
    for index, entry in enumerate(entries):
        slide = entry.get("slide")
        if slide in seen:
            tell(FieldError(f"{name}[{index}].slide", "is given twice"))
        elif slide is not None:
            seen.add(slide)


def _tell_beacons_without_uuid(value: dict[str, Any], path: str, tell: Tell) -> None:
    for n in range(1, 11):
        uuid = f"ibeacon_uuid{n}"
        if uuid not in value and any(
            f"ibeacon_{part}{n}" in value for part in ("major", "minor", "text")
        ):
            tell(FieldError(f"{path}.{uuid}", "is missing"))


def _data(value: dict[str, Any], parameter: Parameter, rules: Rules, tell: Tell) -> dict[str, str]:
    if parameter.max_items is not None and len(value) > parameter.max_items:
        tell(FieldError(parameter.name, f"has more than {parameter.max_items} entries"))
        return {}
    checked = {}
    entry = Parameter("", "", "value", "", max_length=parameter.max_length)
    for name, text in value.items():
        path = f"{parameter.name}.{name}"
        if not _NAME.fullmatch(name):
            tell(FieldError(path, "must be a snake_case name of at most 64 characters"))
            continue
        try:
            checked[name] = check_value(text, entry, rules)
        except BadValueError as error:
            tell(FieldError(path, str(error)))
    return checked
