"""The environment, read once and typed."""

from __future__ import annotations

import os
from dataclasses import MISSING, fields
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, get_type_hints

if TYPE_CHECKING:
    from collections.abc import Mapping


class _Dataclass(Protocol):
    __dataclass_fields__: ClassVar[dict[str, Any]]


class SettingsError(RuntimeError):
    """Variables are missing or malformed; the text lists all of them."""


def load[Settings: _Dataclass](kind: type[Settings]) -> Settings:
    """Return `kind` with the values of this process's environment, which is read once.

    Raises SettingsError as `read`.
    """
    settings: Settings = _load(kind)
    return settings


@cache
def _load(kind: type[Any]) -> Any:
    return read(kind, os.environ)


def read[Settings: _Dataclass](kind: type[Settings], environment: Mapping[str, str]) -> Settings:
    """Return the dataclass `kind`, each field from the variable of its name in capitals.

    Raises SettingsError naming every missing and every malformed variable at once.
    """
    types = get_type_hints(kind)
    values: dict[str, Any] = {}
    missing: list[str] = []
    malformed: list[str] = []
    for field in fields(kind):
        name = field.name.upper()
        text = environment.get(name)
        if text is None:
            if field.default is MISSING:
                missing.append(name)
        elif types[field.name] is int:
            try:
                values[field.name] = int(text)
            except ValueError:
                malformed.append(f"{name} is not a whole number")
        else:
            values[field.name] = text
    if missing or malformed:
        faults = [f"missing: {', '.join(missing)}"] if missing else []
        raise SettingsError("environment: " + "; ".join(faults + malformed))
    return kind(**values)
