"""Freeze the two halves of every function as they are, because this is what a release ships.

python -m tests.contract.released, on the release's checkout, writes the folder `release`: every
app.py, and in interface.json what the layer offers it and the environment that the template sets.
"""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

from tests.contract.halves import Taken, offer, taken
from tests.template.conftest import Template

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
    own = {
        properties["CodeUri"].rstrip("/").split("/")[-1]: properties.get("Environment", {})
        for properties in template.functions.values()
    }
    return {verb: sorted({*common, *part.get("Variables", {})}) for verb, part in own.items()}


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
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    interface = {
        "release": version,
        "layer": offer(uses.values()),
        "environment": dict(sorted(environment().items())),
        "samples": samples(),
    }
    INTERFACE.write_text(json.dumps(interface, indent=1) + "\n")


if __name__ == "__main__":
    freeze()
