"""Package the bundle for a release: `make package`.

The package deploys without a checkout and without a build. One commit gives the same bytes.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
import tomllib
import zipfile
from typing import TYPE_CHECKING

from local import sam
from local.paths import ROOT, LocalError

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = ROOT / ".local" / "package"
EXTRA_FILES = ("samconfig.toml", "LICENSE", "CHANGELOG.md")
SUMS = "SHA256SUMS"
EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip can state: of no build


def version() -> str:
    """Return the version of the project, which pyproject.toml alone states."""
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"])


def complete(folder: Path) -> None:
    """Add configuration, licence, SBOM and the checksums of all files."""
    for name in EXTRA_FILES:
        shutil.copyfile(ROOT / name, folder / name)
    shutil.copyfile(folder / "DependenciesLayer" / "sbom.cdx.json", folder / "sbom.cdx.json")
    lines = [f"{_sha256(path)}  {path.relative_to(folder)}\n" for path in _files(folder)]
    (folder / SUMS).write_text("".join(lines))


def compress(folder: Path) -> Path:
    """Return a zip of the folder, beside it."""
    target = folder.with_name(f"{folder.name}.zip")
    with zipfile.ZipFile(target, "w") as archive:
        for path in _files(folder):
            entry = zipfile.ZipInfo(str(path.relative_to(folder.parent)), EPOCH)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, path.read_bytes())
    return target


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main() -> None:
    """Build the package, and print what to do with it."""
    folder = FOLDER / f"skycore-on-aws-{version()}"
    shutil.rmtree(FOLDER, ignore_errors=True)
    sam.build("--no-cached", "--build-dir", str(folder))
    complete(folder)
    package = compress(folder)
    (FOLDER / f"{package.name}.sha256").write_text(f"{_sha256(package)}  {package.name}\n")
    print(f"{package.relative_to(ROOT)}\nsha256 {_sha256(package)}")
    print(f"To deploy it: unzip it, run sha256sum -c {SUMS} in its folder, then sam deploy.")


if __name__ == "__main__":
    try:
        main()
    except LocalError as error:
        sys.exit(str(error))
