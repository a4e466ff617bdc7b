"""Imports point one way, and each library has one home."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PACKAGE = ROOT / "layers" / "skycore" / "skycore"

# Who may import whom. A package that is not named here may import nothing of ours.
MAY_IMPORT = {
    "catalogue": set(),
    "times": set(),
    "parts": set(),
    "settings": set(),
    "logs": set(),
    "problems": set(),
    "user_agent": set(),
    "tokens": set(),
    "metrics": {"logs"},
    "invocation": {"logs", "metrics", "settings"},
    "api": {"catalogue"},
    "postbacks": {"catalogue"},
    "messages": {"catalogue"},
    "aws": {"times", "logs", "parts", "user_agent"},
    "storage": {
        "catalogue",
        "messages",
        "parts",
        "postbacks",
        "logs",
        "times",
        "tokens",
        "user_agent",
    },
    "web": {"problems", "logs"},
    "flows": {
        "parts",
        "aws",
        "api",
        "catalogue",
        "logs",
        "messages",
        "metrics",
        "postbacks",
        "problems",
        "settings",
        "storage",
        "times",
        "tokens",
    },
}
FUNCTIONS_MAY_IMPORT = {"flows", "web", "aws", "settings", "logs", "invocation"}
HOMES = {
    "requests": {"api"},
    "urllib3": {"api"},
    "defusedxml": {"postbacks", "api"},
    "pynamodb": {"storage"},
    "boto3": set(),  # botocore does what it does for us, and starts a tenth faster
    "botocore.session": {"aws", "user_agent"},
    "phonenumbers": {"api"},
}


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def home(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def ours(names: set[str]) -> set[str]:
    return {name.split(".")[1] for name in names if name.startswith("skycore.")}


FILES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_one_way(path):
    own = home(path)
    known = {
        name
        for name in ours(imported(path))
        if (PACKAGE / name).exists() or (PACKAGE / f"{name}.py").exists()
    }
    assert known - {own} <= MAY_IMPORT[own]


@pytest.mark.parametrize("library", HOMES)
def test_a_library_has_one_home(library):
    users = {
        home(path)
        for path in FILES
        if any(f"{name}.".startswith(f"{library}.") for name in imported(path))
    }
    assert users <= HOMES[library]


@pytest.mark.parametrize(
    "path", sorted((ROOT / "functions").glob("*/app.py")), ids=lambda p: p.parent.name
)
def test_handlers_are_thin(path):
    names = imported(path)
    assert ours(names) <= FUNCTIONS_MAY_IMPORT
    assert not {name.split(".")[0] for name in names} & set(HOMES)
    # Parse, one call into the domain, answer.
    assert len(path.read_text().splitlines()) <= 120


def test_nothing_deployed_knows_the_local_stack_or_the_tests():
    for path in [*FILES, *(ROOT / "functions").glob("*/app.py")]:
        assert not {name.split(".")[0] for name in imported(path)} & {
            "local",
            "tests",
            "ops",
            "bench",
        }
