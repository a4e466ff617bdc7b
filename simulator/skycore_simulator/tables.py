"""The simulator's own tables: actions, errors, delivery outcomes, connection modes, first data."""

import json
from functools import cache
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent / "data"


@cache
def table(name: str) -> dict[str, Any]:
    """One of the JSON tables in the data folder, by its file name without ending."""
    loaded: dict[str, Any] = json.loads((DATA / f"{name}.json").read_text(encoding="utf-8"))
    return loaded


@cache
def _spellings() -> dict[str, str]:
    names = {}
    for action, facts in table("actions").items():
        for spelling in (action, *facts.get("aliases", [])):
            names[spelling.lower()] = action
    return names


def action_named(spelling: str) -> str | None:
    """The documented name of an action, from any letter case or an older name; else None."""
    return _spellings().get(spelling.strip().lower())


def error_info(code: str, place: int | str | None = None) -> str:
    """The ERRORINFO text of a code; place takes the place of the lone X in it."""
    text: str = table("errors").get(code, "Unspecified error")
    if place is None:
        return text
    return " ".join(str(place) if word == "X" else word for word in text.split(" "))
