"""The package stands alone: what it imports, what it declares, and that it installs."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

import botocore
import pytest

import skycore_client
from skycore_client import __version__

PACKAGE = Path(skycore_client.__file__).parent
PROJECT = Path(__file__).parents[1]
MAY_IMPORT = {"skycore_client", "botocore", *sys.stdlib_module_names}
USE = "from skycore_client import Client, Subscriber, parse_event, __version__; print(__version__)"


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.stem)
def test_it_imports_nothing_but_botocore_and_the_standard_library(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        assert {name.split(".")[0] for name in names} <= MAY_IMPORT


def test_botocore_is_the_only_declared_dependency() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert [name.partition(">")[0] for name in project["dependencies"]] == ["botocore"]


def test_it_installs_from_a_checkout(tmp_path: Path) -> None:
    """Needs no network: setuptools and botocore are this environment's."""
    source = tmp_path / "source"
    shutil.copytree(PROJECT, source, ignore=shutil.ignore_patterns("tests", "build", "*.egg-info"))
    venv.create(tmp_path / "environment", symlinks=True)
    python = tmp_path / "environment" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    offline = ["--no-deps", "--no-index"]
    environment = {"PATH": os.environ["PATH"]}  # nothing of this checkout may help
    build = ["wheel", *offline, "--no-build-isolation", "-w", str(tmp_path), str(source)]
    run([*pip, *build], environment)
    (wheel,) = tmp_path.glob("*.whl")
    run([*pip, "--python", str(python), "install", *offline, str(wheel)], environment)
    (packages,) = (tmp_path / "environment" / "lib").glob("*/site-packages")
    assert (packages / "skycore_client" / "py.typed").exists()
    (packages / "botocore.pth").write_text(str(Path(botocore.__file__).parents[1]))
    assert run([str(python), "-c", USE], environment) == f"{__version__}\n"


def run(command: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
