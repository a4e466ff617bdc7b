"""The tables in data/: actions, errors, delivery outcomes, connection modes, seed data."""

import json
from functools import cache
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent / "data"


@cache
def table(name: str) -> dict[str, Any]:
    """Return a JSON table of the data folder by its file name without the extension."""
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
    """Return the documented name of an action, given in any letter case or by an older name."""
    return _spellings().get(spelling.strip().lower())


def error_info(code: str, place: int | str | None = None) -> str:
    """Return the ERRORINFO text of a code; `place` replaces the lone X in it."""
    text: str = table("errors").get(code, "Unspecified error")
    if place is None:
        return text
    return " ".join(str(place) if word == "X" else word for word in text.split(" "))
