"""What a caller asks for, checked and made ready before anything is written or called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from skycore.api import FieldError, InvalidRequest, prepare
from skycore.catalogue.actions import Action, find_action
from skycore.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MAX_REFERENCE = 255  # characters of client_reference


@dataclass(frozen=True, slots=True)
class Draft:
    """A message that may be sent as it is. `fields` are in the form that Skycore takes."""

    action: Action
    fields: dict[str, Any]
    client_reference: str | None

    @property
    def to(self) -> str | None:
        """The one recipient's number, in digits; None where there is none or are several."""
        return self.fields.get("to")

    @property
    def sender(self) -> str | None:
        """The sender: a shortcode or a number in digits."""
        return self.fields.get("from")


def compose(body: Mapping[str, Any], *, default_region: str) -> Draft:
    """The draft of a POST /messages body.

    Raises Problem: unknown_action, or invalid_request that names every bad field.
    """
    fields = dict(body)
    action = _action(fields.pop("action", "sendSMS"))
    errors: list[FieldError] = []
    if action.effect != "send":
        detail = f"{action.name} sends nothing; POST it to /actions/{action.name}"
        raise invalid([FieldError("action", detail)])
    reference = fields.pop("client_reference", None)
    if reference is not None and not _is_reference(reference):
        errors.append(FieldError("client_reference", f"text of 1 to {MAX_REFERENCE} characters"))
    try:
        prepared = prepare(action, fields, default_region=default_region)
    except InvalidRequest as error:
        raise invalid([*errors, *error.errors]) from None
    if errors:
        raise invalid(errors)
    return Draft(action, prepared, reference)


def find(name: str) -> Action:
    """The action of this name. Raises Problem unknown_action."""
    action = find_action(name)
    if action is None:
        raise Problem("unknown_action", "Skycore has no action of this name")
    return action


def invalid(errors: Sequence[FieldError]) -> Problem:
    """The problem of bad fields, each named."""
    rows = [{"field": error.field, "detail": error.detail} for error in errors]
    count = "a field is" if len(rows) == 1 else f"{len(rows)} fields are"
    return Problem("invalid_request", f"{count} not as Skycore takes it", errors=rows)


def _action(name: object) -> Action:
    if not isinstance(name, str):
        raise invalid([FieldError("action", "the name of a Skycore action, as text")])
    return find(name)


def _is_reference(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_REFERENCE and value.isprintable()
