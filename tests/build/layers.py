"""Build a layer as `sam build` does: its make target, in a copy of the checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LAYERS = {"DependenciesLayer": "dependencies", "SkycoreLayer": "skycore"}
JUNK = shutil.ignore_patterns("__pycache__", ".*_cache")


def copy_checkout(folder: Path) -> Path:
    """Copy what a build reads into `folder`, and return it."""
    for name in ("layers", "functions"):
        shutil.copytree(ROOT / name, folder / name, ignore=JUNK)
    for name in ("template.yaml", "samconfig.toml", ".python-version"):
        shutil.copy(ROOT / name, folder / name)
    return folder


def make(
    checkout: Path,
    layer: str,
    artifacts: Path,
    wheels: Path,
    umask: int = 0o022,
    **environment: str,
) -> subprocess.CompletedProcess[str]:
    """Run a layer's make target in `checkout`; the layer is then in `artifacts`.

    Packages come from the folder `wheels`, and from no registry.
    """
    return subprocess.run(
        ["make", f"build-{layer}"],
        cwd=checkout / "layers" / LAYERS[layer],
        env={
            **os.environ,
            "PYTHON": sys.executable,
            "ARTIFACTS_DIR": str(artifacts),
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(wheels),
            **environment,
        },
        umask=umask,
        capture_output=True,
        text=True,
        check=False,
    )
