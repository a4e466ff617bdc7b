"""Imports point one way, and each library has one home."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
PACKAGE = ROOT / "layers" / "skycore" / "skycore"

# A package or module may import only those named here.
MAY_IMPORT = {
    "catalogue": set(),
    "timestamps": set(),
    "chunks": set(),
    "settings": set(),
    "logs": set(),
    "problems": {"client"},
    "metrics": {"logs", "problems"},
    "handler": {"logs", "metrics", "problems", "settings"},
    "http": {"handler", "problems"},
    "phone_numbers": set(),
    "client": {"catalogue", "phone_numbers", "postbacks"},
    "postbacks": {"catalogue", "phone_numbers", "timestamps"},
    "aws": {"chunks", "logs", "timestamps"},
    "keyed_hash": {"aws"},
    "table": {
        *("catalogue", "chunks", "keyed_hash", "logs", "phone_numbers", "postbacks", "timestamps"),
    },
    "serializers": {"catalogue", "phone_numbers", "postbacks", "table", "timestamps"},
}
LOWER = {*MAY_IMPORT} - {"handler", "http"}
MAY_IMPORT |= {"sending": LOWER, "receiving": LOWER, "queries": LOWER}
FUNCTIONS_MAY_IMPORT = {
    *("sending", "receiving", "queries"),
    *("aws", "handler", "http", "logs", "settings"),
}
# What functions and tools call. They never import one another: what they share is below them.
ENTRY_POINTS = {
    "sending": {"send", "batch", "dispatch", "sweep"},
    "receiving": {"ack", "store", "publish", "fetch", "republish", "reconcile"},
    "queries": {"messages", "person"},
}
# The settings, clients and results that a function needs for its calls.
SHARED_WITH_FUNCTIONS = {
    f"skycore.sending.{name}" for name in ("delivery", "idempotency", "policy", "validation")
}
SHARED_WITH_TOOLS = SHARED_WITH_FUNCTIONS | {"skycore.sending.rate_limit"}
APPS = sorted((ROOT / "functions").glob("*/app.py"))
TOOLS = sorted((ROOT / "ops").rglob("*.py"))
HOMES = {
    "requests": {"client"},
    "urllib3": {"client"},
    "idna": {"client"},
    "defusedxml": {"postbacks", "client"},
    "pynamodb": {"table"},
    "boto3": {"aws"},
    "botocore.session": set(),  # boto3 makes every client
    "phonenumbers": {"phone_numbers", "sending"},  # sending: time zones of quiet hours
}
MOST_LINES = 350
MOST_MODULES = 72


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def lines(path: Path) -> int:
    return len(path.read_text().splitlines())


def home(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def ours(names: set[str]) -> set[str]:
    return {name.split(".")[1] for name in names if name.startswith("skycore.")}


def entry_points() -> set[str]:
    return {
        f"skycore.{package}.{name}" for package, names in ENTRY_POINTS.items() for name in names
    }


def called(path: Path) -> set[str]:
    """Return the modules of packages with entry points that a file imports."""
    names = {name for name in imported(path) if name.count(".") == 2}
    return {name for name in names if name.split(".")[1] in ENTRY_POINTS}


FILES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_one_way(path: Any) -> None:
    own = home(path)
    known = {
        name
        for name in ours(imported(path))
        if (PACKAGE / name).exists() or (PACKAGE / f"{name}.py").exists()
    }
    assert known - {own} <= MAY_IMPORT[own]


@pytest.mark.parametrize("package", ENTRY_POINTS)
def test_entry_points_never_import_one_another(package: str) -> None:
    names = ENTRY_POINTS[package]
    for path in (PACKAGE / package).glob("*.py"):
        others = {f"skycore.{package}.{name}" for name in names - {path.stem}}
        assert not imported(path) & others, path.name


@pytest.mark.parametrize("path", [*APPS, *TOOLS], ids=lambda path: str(path.relative_to(ROOT)))
def test_only_entry_points_are_called_from_outside(path: Any) -> None:
    shared = SHARED_WITH_FUNCTIONS if path in APPS else SHARED_WITH_TOOLS
    assert called(path) <= entry_points() | shared


def test_every_entry_point_is_called_from_outside() -> None:
    assert entry_points() <= {name for path in [*APPS, *TOOLS] for name in called(path)}


def test_no_file_is_longer_than_a_reader_can_hold() -> None:
    long = {str(p.relative_to(PACKAGE)): n for p in FILES if (n := lines(p)) > MOST_LINES}
    assert long == {}


def test_the_layer_stays_small() -> None:
    """Packages' own `__init__` modules hold a docstring only, and are not counted."""
    modules = [path for path in FILES if path.name != "__init__.py"]
    assert len(modules) <= MOST_MODULES
    for path in PACKAGE.rglob("__init__.py"):
        assert not imported(path), path


@pytest.mark.parametrize("library", HOMES)
def test_a_library_has_one_home(library: str) -> None:
    users = {
        home(path)
        for path in FILES
        if any(f"{name}.".startswith(f"{library}.") for name in imported(path))
    }
    assert users <= HOMES[library]


@pytest.mark.parametrize("path", APPS, ids=lambda path: path.parent.name)
def test_handlers_are_thin(path: Any) -> None:
    names = imported(path)
    assert ours(names) <= FUNCTIONS_MAY_IMPORT
    assert not {name.split(".")[0] for name in names} & set(HOMES)
    # Parse, one call into the domain, answer.
    assert lines(path) <= 120


def test_nothing_deployed_knows_the_local_stack_or_the_tests() -> None:
    for path in [*FILES, *APPS]:
        assert not {name.split(".")[0] for name in imported(path)} & {
            "local",
            "tests",
            "ops",
            "bench",
        }
