"""Check a caller's fields and bring them into the form that is sent."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from skycore.catalogue.actions import Action, Parameter
from skycore.client.errors import MAX_FIELD_ERRORS, FieldError, InvalidRequest
from skycore.client.values import BadValueError, RequestRules, check_value

_NAME = re.compile("[a-z][a-z0-9_]{0,63}")
_PICTURES = ("image", "personalized_image")
_MEDIA = (*_PICTURES, "audio", "video")
_OBJECTS = ("vcard", "ical", "pdf", "passbook")

AddError = Callable[[FieldError], None]


def check_group(value: Any, parameter: Parameter, rules: RequestRules, add_error: AddError) -> Any:
    """Return the group as it is sent; add every fault under the path of its field."""
    if parameter.repeated:
        return _list(value, parameter, rules, add_error)
    if not isinstance(value, dict):
        add_error(FieldError(parameter.name, "must be an object"))
        return None
    if parameter.kind == "data":
        return _data(value, parameter, rules, add_error)
    return _map(value, parameter.children, parameter.name, rules, add_error)


def _list(value: Any, parameter: Parameter, rules: RequestRules, add_error: AddError) -> list[Any]:
    low, high = parameter.min_items or 0, parameter.max_items
    if not isinstance(value, list):
        add_error(FieldError(parameter.name, "must be an array"))
        return []
    if len(value) < low or (high is not None and len(value) > high):
        detail = f"must have {low} to {high} entries; it has {len(value)}"
        add_error(FieldError(parameter.name, detail))
        return []
    checked = []
    for index, entry in enumerate(value):
        path = f"{parameter.name}[{index}]"
        if not isinstance(entry, dict):
            add_error(FieldError(path, "must be an object"))
            continue
        checked.append(_map(entry, parameter.children, path, rules, add_error))
        if parameter.kind == "slides":
            for name, detail in slide_faults(set(entry)):
                add_error(FieldError(f"{path}.{name}" if name else path, detail))
    if parameter.kind == "custom_text":
        _check_repeated_slides(checked, parameter.name, add_error)
    return checked


def _map(
    value: dict[str, Any],
    children: tuple[Parameter, ...],
    path: str,
    rules: RequestRules,
    add_error: AddError,
) -> dict[str, Any]:
    checked = {}
    for child in children:
        if child.name in value:
            try:
                checked[child.name] = check_value(value[child.name], child, rules)
            except BadValueError as error:
                add_error(FieldError(f"{path}.{child.name}", str(error)))
        elif child.required == "always":
            add_error(FieldError(f"{path}.{child.name}", "must be given"))
    names = {child.name for child in children}
    for name in value:
        if name not in names:
            add_error(FieldError(f"{path}.{name}", "is not a field of this object"))
    _check_beacons_without_uuid(value, path, add_error)
    return checked


def slide_faults(given: set[str]) -> list[tuple[str, str]]:
    """Return the fields of a slide that conflict with its others, each with the reason.

    An image may have an audio; a video goes with text only; a vcard, ical, pdf or passbook with
    neither media nor another of these. A name of "" is the slide itself.
    """
    faults = []
    media = [name for name in _MEDIA if name in given]
    objects = [name for name in _OBJECTS if name in given]
    pictures = [name for name in _PICTURES if name in given]
    if not (media or objects or "text" in given):
        faults.append(("", "must have a text or a file"))
    if len(pictures) > 1:
        faults.append((pictures[1], f"must not be given with {pictures[0]}"))
    if "video" in media and len(media) > 1:
        others = ", ".join(name for name in media if name != "video")
        faults.append(("video", f"must not be given with {others}"))
    for position, name in enumerate(objects):
        others = ", ".join([*media, *objects[:position]])
        if others:
            faults.append((name, f"must not be given with {others}"))
    return faults


def _check_repeated_slides(entries: list[dict[str, Any]], name: str, add_error: AddError) -> None:
    seen: set[int] = set()
    for index, entry in enumerate(entries):
        slide = entry.get("slide")
        if slide in seen:
            add_error(FieldError(f"{name}[{index}].slide", "must not be given twice"))
        elif slide is not None:
            seen.add(slide)


def _check_beacons_without_uuid(value: dict[str, Any], path: str, add_error: AddError) -> None:
    for n in range(1, 11):
        uuid = f"ibeacon_uuid{n}"
        if uuid not in value and any(
            f"ibeacon_{part}{n}" in value for part in ("major", "minor", "text")
        ):
            add_error(FieldError(f"{path}.{uuid}", "must be given"))


def _data(
    value: dict[str, Any], parameter: Parameter, rules: RequestRules, add_error: AddError
) -> dict[str, str]:
    if parameter.max_items is not None and len(value) > parameter.max_items:
        add_error(FieldError(parameter.name, f"must have at most {parameter.max_items} entries"))
        return {}
    checked = {}
    entry = Parameter("", "", "value", "", max_length=parameter.max_length)
    for name, text in value.items():
        path = f"{parameter.name}.{name}"
        if not _NAME.fullmatch(name):
            add_error(FieldError(path, "must be a snake_case name of at most 64 characters"))
            continue
        try:
            checked[name] = check_value(text, entry, rules)
        except BadValueError as error:
            add_error(FieldError(path, str(error)))
    return checked


_GROUPS = ("slides", "custom_text", "pass_data", "data")
_MULTIPART = "allow_multipart"


def field_names(action: Action) -> set[str]:
    """Return the names of all fields that a request of this action may have."""
    names = {
        name for parameter in action.parameters for name in (parameter.name, *parameter.aliases)
    }
    return names | ({_MULTIPART} if _takes_multipart(action) else set())


class _Errors(list[FieldError]):
    """Errors of a request; as many as a caller is shown end its check."""

    def append(self, error: FieldError) -> None:
        super().append(error)
        if len(self) >= MAX_FIELD_ERRORS:
            raise InvalidRequest(self)

    def extend(self, errors: Iterable[FieldError]) -> None:
        for error in errors:
            self.append(error)


def _takes_multipart(action: Action) -> bool:
    return any(parameter.kind == "sms_text" for parameter in action.parameters)


def prepare(
    action: Action,
    fields: Mapping[str, Any],
    *,
    default_region: str = "US",
) -> dict[str, Any]:
    """Check the fields of a request and bring them into the form that is sent.

    Numbers become digits, times the form that Skycore wants, aliases the names that they stand for.
    ``allow_multipart`` (true or false, for actions with an SMS text) allows a text of more than one
    SMS and is left out of the result. ``default_region`` is the ISO country in which a number
    without ``+`` might have been meant. Prepared fields are sent as they are; they are not to be
    prepared again, because a bare number reads differently from one that had its ``+``.
    Raises ``InvalidRequest`` with one error for each bad field, 20 at most: it reads no further.
    """
    errors = _Errors()
    multipart = fields.get(_MULTIPART, False)
    if _takes_multipart(action) and not isinstance(multipart, bool):
        errors.append(FieldError(_MULTIPART, "must be true or false"))
    rules = RequestRules(default_region, allow_multipart=multipart is True)
    allowed = field_names(action)
    prepared = {}
    for parameter in action.parameters:
        names = [name for name in (parameter.name, *parameter.aliases) if name in fields]
        if len(names) > 1:
            errors.append(
                FieldError(
                    names[1], f"must not be given with {names[0]}: it is another name of {names[0]}"
                )
            )
        elif names:
            prepared[parameter.name] = _checked(
                fields[names[0]], parameter, names[0], rules, errors.append
            )
        elif fault := _absence(parameter, fields):
            errors.append(FieldError(parameter.name, fault))
    errors.extend(_choice(action, fields))
    errors.extend(
        FieldError(str(name), f"is not a field of {action.name}")
        for name in fields
        if name not in allowed
    )
    if errors:
        raise InvalidRequest(errors)
    return prepared


def _checked(
    value: Any, parameter: Parameter, name: str, rules: RequestRules, add_error: AddError
) -> Any:
    if parameter.kind in _GROUPS:
        return check_group(value, parameter, rules, add_error)
    try:
        return check_value(value, parameter, rules)
    except BadValueError as error:
        add_error(FieldError(name, str(error)))
        return None


def _absence(parameter: Parameter, fields: Mapping[str, Any]) -> str | None:
    if parameter.required == "always":
        return "must be given"
    unless = parameter.required_unless
    if unless and not any(fields.get(name) for name in unless):
        return f"must be given unless {' or '.join(unless)} is given"
    return None


def _choice(action: Action, fields: Mapping[str, Any]) -> list[FieldError]:
    if not action.one_of:
        return []
    given = [name for name in action.one_of if name in fields]
    first, *others = action.one_of
    if not given:
        return [FieldError(first, f"must be given unless {' or '.join(others)} is given")]
    return [FieldError(name, f"must not be given with {given[0]}") for name in given[1:]]
