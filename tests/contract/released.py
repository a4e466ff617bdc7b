"""Freeze the two halves of every function as they are, because this is what a release ships.

python -m tests.contract.released, on the release's checkout, writes the folder `release`: every
app.py, and in interface.json what the layer offers it and what the template gives it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local import package
from tests.contract.halves import Taken, offer, taken
from tests.template.conftest import Template

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
RELEASE = Path(__file__).with_name("release")
INTERFACE = RELEASE / "interface.json"


def apps() -> dict[str, str]:
    """Return the text of today's app.py of each function."""
    return {path.parent.name: path.read_text() for path in (ROOT / "functions").glob("*/app.py")}


def released_apps() -> dict[str, str]:
    """Return the text of the released app.py of each function."""
    return {path.name.split(".")[0]: path.read_text() for path in RELEASE.glob("*.app.txt")}


def environment() -> dict[str, list[str]]:
    """Return the names of the environment variables that today's template sets, by function."""
    template = Template()
    common = template.body["Globals"]["Function"]["Environment"]["Variables"]
    return {
        verb: sorted({*common, *properties.get("Environment", {}).get("Variables", {})})
        for verb, properties in _functions(template)
    }


def permissions() -> dict[str, list[str]]:
    """Return the actions that today's roles allow, by function."""
    template = Template()
    found = {}
    for verb, properties in _functions(template):
        role = template.resources[properties["Role"]["Fn::GetAtt"][0]]["Properties"]
        found[verb] = sorted(set(_actions(role["Policies"])))
    return found


def _functions(template: Template) -> list[tuple[str, dict[str, Any]]]:
    every = template.functions.values()
    return sorted((path["CodeUri"].rstrip("/").split("/")[-1], path) for path in every)


def _actions(value: Any) -> Iterator[str]:
    """Yield the actions of all statements, conditional ones too."""
    if isinstance(value, list):
        for held in value:
            yield from _actions(held)
    elif isinstance(value, dict) and value.get("Effect") == "Allow":
        actions = value["Action"]
        yield from [actions] if isinstance(actions, str) else actions
    elif isinstance(value, dict):
        yield from _actions(list(value.values()))


def samples() -> list[str]:
    """Return the sample events that there are, as `verb/name`."""
    folders = {f"{verb}/" for verb in apps()}
    names = (f"{path.parent.name}/{path.stem}" for path in (ROOT / "events").glob("*/*.json"))
    return sorted(name for name in names if name.startswith(tuple(folders)))


def freeze() -> None:
    """Write what is checked out as the release."""
    for path in RELEASE.glob("*.app.txt"):
        path.unlink()
    uses: dict[str, Taken] = {}
    for verb, source in apps().items():
        (RELEASE / f"{verb}.app.txt").write_text(source)
        uses[verb] = taken(source)
    interface = {
        "release": package.version(),
        "layer": offer(uses.values()),
        "environment": environment(),
        "permissions": permissions(),
        "samples": samples(),
    }
    INTERFACE.write_text(json.dumps(interface, indent=1) + "\n")


if __name__ == "__main__":
    freeze()
