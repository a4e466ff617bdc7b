"""From a caller's JSON to fields that can be sent, or a list of all that is wrong with it."""

from collections.abc import Mapping
from typing import Any

from skycore.api.failures import FieldError, InvalidRequest
from skycore.api.groups import Tell, check_group
from skycore.api.values import BadValueError, Rules, check_value
from skycore.catalogue.actions import Action, Parameter

_GROUPS = ("slides", "custom_text", "pass_data", "data")
_MULTIPART = "allow_multipart"


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
    Raises ``InvalidRequest`` with one error for each bad field.
    """
    errors: list[FieldError] = []
    multipart = fields.get(_MULTIPART, False)
    takes_multipart = any(parameter.kind == "sms_text" for parameter in action.parameters)
    if takes_multipart and not isinstance(multipart, bool):
        errors.append(FieldError(_MULTIPART, "must be true or false"))
    rules = Rules(default_region, allow_multipart=multipart is True)
    known = {_MULTIPART} if takes_multipart else set()
    prepared = {}
    for parameter in action.parameters:
        names = [name for name in (parameter.name, *parameter.aliases) if name in fields]
        known.update(names)
        if len(names) > 1:
            errors.append(FieldError(names[1], f"is another name of {names[0]}; give one"))
        elif names:
            prepared[parameter.name] = _checked(
                fields[names[0]], parameter, names[0], rules, errors.append
            )
        elif fault := _absence(action, parameter, fields):
            errors.append(FieldError(parameter.name, fault))
    errors.extend(_choice(action, fields))
    errors.extend(
        FieldError(str(name), f"is not a field of {action.name}")
        for name in fields
        if name not in known
    )
    if errors:
        raise InvalidRequest(errors)
    return prepared


def _checked(value: Any, parameter: Parameter, name: str, rules: Rules, tell: Tell) -> Any:
    if parameter.kind in _GROUPS:
        return check_group(value, parameter, rules, tell)
    try:
        return check_value(value, parameter, rules)
    except BadValueError as error:
        tell(FieldError(name, str(error)))
        return None


def _absence(action: Action, parameter: Parameter, fields: Mapping[str, Any]) -> str | None:
    if parameter.required == "always":
        return "is missing"
    unless = parameter.required_unless
    if unless and not any(fields.get(name) for name in unless):
        return f"is missing; {action.name} needs it unless it has {' or '.join(unless)}"
    return None


def _choice(action: Action, fields: Mapping[str, Any]) -> list[FieldError]:
    if not action.one_of:
        return []
    given = [name for name in action.one_of if name in fields]
    wanted = f"exactly one of {', '.join(action.one_of)} is needed"
    if not given:
        return [FieldError(action.one_of[0], f"is missing: {wanted}")]
    return [FieldError(name, f"is one too many: {wanted}") for name in given[1:]]
