"""What `make package` builds: complete, with the checksums of all its files, the same each time."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

import pytest

from local import package
from tests.build.layers import LAYERS, ROOT, copy_checkout

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.timeout(600)


def checksums(folder: Path) -> dict[str, str]:
    lines = (folder / package.SUMS).read_text().splitlines()
    return {path: digest for digest, path in (line.split("  ") for line in lines)}


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def folder(build: Path, tmp_path: Path) -> Path:
    made = tmp_path / "skycore-on-aws-1"
    for layer in LAYERS:
        shutil.copytree(build / layer, made / layer)
    shutil.copy(ROOT / "template.yaml", made)
    package.complete(made)
    return made


def test_every_file_has_its_checksum(folder: Path) -> None:
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    known = checksums(folder)
    assert set(known) == files - {package.SUMS}
    assert {path: sha256(folder / path) for path in known} == known


def test_the_log_of_changes_begins_with_this_version(folder: Path) -> None:
    changes = (folder / "CHANGELOG.md").read_text()
    released = re.findall(r"^## \[(\d.*?)\] - \d{4}-\d\d-\d\d$", changes, re.MULTILINE)
    assert released[0] == package.version()


def test_licence_configuration_and_materials_are_in_it(folder: Path) -> None:
    assert {"template.yaml", "samconfig.toml", "LICENSE", "CHANGELOG.md"} <= set(checksums(folder))
    assert sha256(folder / "sbom.cdx.json") == sha256(
        folder / "DependenciesLayer" / "sbom.cdx.json"
    )


def test_the_zip_holds_all_of_it_under_one_folder_and_no_time(folder: Path, tmp_path: Path) -> None:
    first = package.compress(folder).read_bytes()
    for path in folder.rglob("*"):
        os.utime(path, (0, 0))
    archive = package.compress(folder)
    assert archive.read_bytes() == first
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(tmp_path / "elsewhere")
    known = checksums(folder)
    unpacked = tmp_path / "elsewhere" / folder.name
    assert {path: sha256(unpacked / path) for path in known} == known


@pytest.mark.long
def test_two_folders_give_the_same_package(tmp_path: Path) -> None:
    archives: list[Path] = []
    for name in ("one", "the other"):
        checkout = copy_checkout(tmp_path / name)
        (checkout / "local").mkdir()
        for path in ("local/__init__.py", "local/paths.py", "local/sam.py", "local/package.py"):
            shutil.copy(ROOT / path, checkout / path)
        for path in (*package.EXTRA_FILES, "pyproject.toml"):
            shutil.copy(ROOT / path, checkout)
        subprocess.run(
            [sys.executable, "-m", "local.package"],
            cwd=checkout,
            env={**os.environ, "PYTHONPATH": str(checkout)},
            check=True,
        )
        archives += (checkout / ".local" / "package").glob("*.zip")
    one, other = archives
    assert one.read_bytes() == other.read_bytes()
    with zipfile.ZipFile(one) as opened:
        opened.extractall(tmp_path)
    (folder,) = tmp_path.glob("skycore-on-aws-*")
    known = checksums(folder)
    assert {path: sha256(folder / path) for path in known} == known
    named = re.findall(r"(?:Code|Content)Uri: (\S+)", (folder / "template.yaml").read_text())
    assert len(named) > len(LAYERS)
    assert all((folder / name).is_dir() for name in named)
