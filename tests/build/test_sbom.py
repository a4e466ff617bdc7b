"""The bill of materials in the dependencies layer: valid, complete, and of licences we may ship."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from tests.build.test_requirements import LAYER, requirements

if TYPE_CHECKING:
    from pathlib import Path

# Permissive, or (MPL-2.0: certifi) asking only that the file itself stays open.
ALLOWED = {
    "Apache-2.0",
    "Apache-2.0 OR BSD-3-Clause",
    "BSD-3-Clause",
    "MIT",
    "MIT-0",
    "MPL-2.0",
    "PSF-2.0",
}


@pytest.fixture
def text(build: Path) -> str:
    return (build / "DependenciesLayer" / "sbom.cdx.json").read_text()


@pytest.fixture
def components(text: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(text)["components"]
    return found


def test_it_is_valid_cyclonedx(text: str) -> None:
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None


def test_it_lists_exactly_what_is_pinned(components: list[dict[str, Any]]) -> None:
    pinned = requirements(LAYER)
    assert [row["name"] + "==" + row["version"] for row in components] == sorted(pinned)
    for row in components:
        pin = f"{row['name']}=={row['version']}"
        (wheel,) = row["hashes"]
        assert row["purl"] == "pkg:pypi/" + pin.replace("==", "@")
        assert f"--hash=sha256:{wheel['content']}" in pinned[pin]


def test_it_lists_exactly_what_ships(build: Path, components: list[dict[str, Any]]) -> None:
    folders = (build / "DependenciesLayer" / "python").glob("*.dist-info")
    shipped = [path.name.removesuffix(".dist-info").rsplit("-", 1) for path in folders]
    listed = [[row["name"].replace("-", "_"), row["version"]] for row in components]
    assert sorted(listed) == sorted(shipped)


def test_every_licence_may_be_shipped(components: list[dict[str, Any]]) -> None:
    licences = {row["name"]: row["licenses"][0]["expression"] for row in components}
    assert {name: text for name, text in licences.items() if text not in ALLOWED} == {}


def test_every_package_ships_its_licence(build: Path) -> None:
    for information in (build / "DependenciesLayer" / "python").glob("*.dist-info"):
        names = [path.name.upper() for path in information.rglob("*")]
        assert [name for name in names if name.startswith(("LICEN", "COPYING"))], information.name
