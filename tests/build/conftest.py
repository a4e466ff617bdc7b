"""Both layers, built twice: in two folders, by builders whose machines differ."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.build.layers import LAYERS, ROOT, copy_checkout, make

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheels that the layer's requirements name."""
    folder = tmp_path_factory.mktemp("wheels")
    lock = ROOT / "layers" / "dependencies" / "requirements.txt"
    command = ["download", "--quiet", "--no-deps", "--require-hashes", "-r", str(lock)]
    pure = ["--only-binary=:all:", "--platform=any", "--implementation=py", "--abi=none"]
    subprocess.run(
        [sys.executable, "-m", "pip", *command, *pure, "--python-version=3.13", "-d", str(folder)],
        check=True,
    )
    return folder


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory, wheels: Path) -> Path:
    """The folder of both built layers."""
    folder = tmp_path_factory.mktemp("one")
    checkout = copy_checkout(folder / "checkout")
    for layer in LAYERS:
        done = make(checkout, layer, folder / "build" / layer, wheels)
        assert done.returncode == 0, done.stderr
    return folder / "build"


@pytest.fixture(scope="session")
def other_build(tmp_path_factory: pytest.TempPathFactory, wheels: Path) -> Path:
    """The same from another folder, whose builder has other habits."""
    folder = tmp_path_factory.mktemp("the other")
    checkout = copy_checkout(folder / "a much longer path" / "checkout")
    package = checkout / "layers" / "skycore" / "skycore"
    (package / "__pycache__").mkdir()
    for name in ("__pycache__/left.cpython-313.pyc", ".DS_Store", ".settings.py.swp", "logs.py~"):
        (package / name).write_text("left behind")
    habits = {
        "TZ": "Asia/Tokyo",
        "PYTHONHASHSEED": "7",
        "PYTHONOPTIMIZE": "1",
        "PYTHONPYCACHEPREFIX": str(folder / "cache"),
    }
    for layer in LAYERS:
        done = make(checkout, layer, folder / "build" / layer, wheels, umask=0o077, **habits)
        assert done.returncode == 0, done.stderr
    return folder / "build"
