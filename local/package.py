"""Package the bundle for a release: `make package`.

The package deploys without a checkout and without a build. One commit gives the same bytes.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

from local.paths import ROOT, LocalError

FOLDER = ROOT / ".local" / "package"
BESIDES = ("samconfig.toml", "LICENSE", "CHANGELOG.md")
SUMS = "SHA256SUMS"
EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip can state: of no build


def version() -> str:
    """Return the version of the project, which pyproject.toml alone states."""
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"])


def build(folder: Path) -> None:
    """Write the built template and what it refers to. Raises LocalError."""
    programs = Path(sys.executable).parent
    environment = {
        **os.environ,
        "PATH": f"{programs}:{os.environ['PATH']}",  # python3.13, for the layers' Makefiles
        "SAM_CLI_TELEMETRY": "0",
        "AWS_DEFAULT_REGION": "us-east-1",  # it asks for one, and calls nobody
    }
    command = [str(programs / "sam"), "build", "--no-cached", "--build-dir", str(folder)]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise LocalError(f"sam build failed:\n{done.stderr}")


def complete(folder: Path) -> None:
    """Add configuration, licence, SBOM and the checksums of all files."""
    for name in BESIDES:
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
    build(folder)
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
