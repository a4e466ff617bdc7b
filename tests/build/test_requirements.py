"""What is installed is what was locked, byte by byte, whichever registry serves it."""

from __future__ import annotations

import re
import shutil
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from tests.build.layers import ROOT, copy_checkout, make

if TYPE_CHECKING:
    from pathlib import Path

LAYER = ROOT / "layers" / "dependencies" / "requirements.txt"
LOCKS = [LAYER, *sorted((ROOT / "requirements").glob("*.txt"))]


def requirements(lock: Path) -> dict[str, str]:
    """Return the lines of each requirement, by its `name==version`."""
    entries = re.split(r"\n(?=\S)", lock.read_text().strip())
    return {entry.split()[0]: entry for entry in entries}


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_requirement_is_pinned_with_its_hashes(lock: Any) -> None:
    assert requirements(lock)
    for pin, lines in requirements(lock).items():
        assert re.fullmatch(r"[a-z0-9-]+==[^=]+", pin)
        assert re.search(r"--hash=sha256:[0-9a-f]{64}$", lines)


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_lock_names_a_registry(lock: Any) -> None:
    assert not re.search(r"://|--(extra-)?index|--find-links", lock.read_text())


def test_the_tests_use_the_versions_that_ship() -> None:
    assert requirements(LAYER).keys() <= requirements(ROOT / "requirements" / "dev.txt").keys()


@pytest.fixture
def six(tmp_path: Path, wheels: Path) -> Path:
    """A folder with the wheel of `six`, alone."""
    (wheel,) = wheels.glob("six-*.whl")
    folder = tmp_path / "wheels"
    folder.mkdir()
    shutil.copy(wheel, folder)
    return folder


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose dependencies layer requires `six` alone."""
    copied = copy_checkout(tmp_path / "checkout")
    (line,) = (line for pin, line in requirements(LAYER).items() if pin.startswith("six=="))
    lock_of(copied).write_text(line + "\n")
    return copied


def lock_of(checkout: Path) -> Path:
    return checkout / "layers" / "dependencies" / "requirements.txt"


def tamper(folder: Path) -> None:
    """Add a line to the wheel's module, as anyone who serves it under the same name could."""
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data + b"\nstolen = True\n" if name == "six.py" else data)


@pytest.mark.parametrize("tampered", [False, True], ids=["as published", "tampered"])
def test_a_tampered_wheel_fails_the_build(
    checkout: Path, six: Path, tmp_path: Path, tampered: bool
) -> None:
    if tampered:
        tamper(six)
    done = make(checkout, "DependenciesLayer", tmp_path / "layer", six)
    # The published wheel is installed; what fails later is trimming botocore, which is left out.
    assert done.returncode != 0
    assert ("DO NOT MATCH THE HASHES" in done.stderr) == tampered
    assert (tmp_path / "layer" / "python" / "six.py").exists() != tampered


def test_a_requirement_without_a_hash_fails_the_build(
    checkout: Path, six: Path, tmp_path: Path
) -> None:
    lock_of(checkout).write_text(lock_of(checkout).read_text().split()[0] + "\n")
    done = make(checkout, "DependenciesLayer", tmp_path / "layer", six)
    assert "Hashes are required in --require-hashes mode" in done.stderr
    assert not (tmp_path / "layer" / "python" / "six.py").exists()
