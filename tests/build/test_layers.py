"""One commit gives the same layers wherever it is built, and they suit Lambda."""

from __future__ import annotations

import hashlib
import marshal
import stat
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.build.layers import LAYERS

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.timeout(600)

HEADER = 16  # bytes of a .pyc before its code (PEP 552)


def contents(folder: Path) -> dict[str, tuple[str, str]]:
    """Return the mode and the SHA-256 of every file, by path."""
    return {
        str(path.relative_to(folder)): (
            oct(stat.S_IMODE(path.stat().st_mode)),
            hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder",
        )
        for path in folder.rglob("*")
    }


@pytest.mark.parametrize("layer", LAYERS)
def test_two_folders_give_the_same_layer(build: Path, other_build: Path, layer: Any) -> None:
    one, other = contents(build / layer), contents(other_build / layer)
    assert one
    assert one == other


@pytest.mark.parametrize("layer", LAYERS)
def test_lambda_may_read_everything_and_nobody_else_may_write_it(build: Path, layer: Any) -> None:
    for path, (mode, kind) in contents(build / layer).items():
        assert mode == "0o755" or (mode == "0o644" and kind != "folder"), path


@pytest.mark.parametrize("layer", LAYERS)
def test_a_traceback_names_the_file_as_lambda_has_it(build: Path, layer: Any) -> None:
    compiled = list((build / layer).rglob("*.pyc"))
    assert compiled
    for path in compiled:
        code = marshal.loads(path.read_bytes()[HEADER:])
        source = path.parents[1] / f"{path.name.split('.')[0]}.py"
        assert code.co_filename == f"/opt/{source.relative_to(build / layer)}"


@pytest.mark.parametrize("layer", LAYERS)
def test_the_builder_leaves_no_trace(build: Path, layer: Any) -> None:
    traces = [str(build).encode(), sys.executable.encode()]
    for path in (build / layer).rglob("*"):
        if path.is_file():
            assert not [trace for trace in traces if trace in path.read_bytes()], path
    names = {path.name for path in (build / layer).rglob("*")}
    assert not names & {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "installed.json"}
