"""The product, the simulator and the client share no code, so that each checks the others."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PRODUCT = [
    path for folder in ("layers", "functions", "ops") for path in (ROOT / folder).rglob("*.py")
]
SIMULATOR = list((ROOT / "simulator" / "skycore_simulator").rglob("*.py"))
CLIENT = list((ROOT / "clients" / "python" / "src").rglob("*.py"))
OURS = {"skycore", "app", "local", "ops", "bench", "tests"}
APART = {"skycore_simulator", "simulator_harness", "skycore_client", "api_server"}


def imported(path: Path) -> set[str]:
    """Return the top-level packages that a file imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize(
    "files, forbidden",
    [
        (PRODUCT, APART),
        (SIMULATOR, OURS | {"skycore_client"}),
        (CLIENT, OURS | {"skycore_simulator"}),
    ],
    ids=["product", "simulator", "client"],
)
def test_none_imports_another(files: list[Path], forbidden: set[str]) -> None:
    assert files
    assert {path.name: names for path in files if (names := imported(path) & forbidden)} == {}
