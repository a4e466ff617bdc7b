"""The packages that the stack was deployed from: small, trimmed, with bytecode."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bench.artefact import LAYERS, Artefact
from tests.integration.conftest import LOCAL_DIR, ROOT, Stack

if TYPE_CHECKING:
    from pathlib import Path

LARGEST = 12 * 1024 * 1024  # bytes of all layers, zipped


@pytest.fixture
def build(stack: Stack) -> Path:
    return ROOT / LOCAL_DIR / "build"


def test_the_layers_are_small(build: Path) -> None:
    artefact = Artefact(build)
    assert sum(artefact.zipped(layer) for layer in LAYERS) <= LARGEST


@pytest.mark.parametrize("layer", LAYERS)
def test_every_module_has_its_bytecode(build: Path, layer: Any) -> None:
    for source in (build / layer).rglob("*.py"):
        compiled = source.parent / "__pycache__" / f"{source.stem}.cpython-313.pyc"
        # Flags 1: not checked against the source, whose times unpacking may change (PEP 552).
        assert compiled.read_bytes()[4:8] == b"\x01\0\0\0", source


def test_descriptions_are_short_and_unpacked(build: Path) -> None:
    """tests/build/test_services.py compares the services with those that are called."""
    data = build / "DependenciesLayer" / "python" / "botocore" / "data"
    assert (data / "endpoints.json").stat().st_size < 100_000
    assert not list(data.rglob("*.gz"))


def test_a_function_is_its_handler_alone(build: Path) -> None:
    for folder in build.glob("*Function"):
        assert {path.name for path in folder.iterdir()} == {"app.py"}
