"""Compare every locked package with a copy of PyPA's advisory database, without a network.

    git clone --depth 1 https://github.com/pypa/advisory-database
    make audit DATABASE=advisory-database

The copy may have come from elsewhere; what is published after it was made is not found. Without
DATABASE, `make audit` runs pip-audit, which asks PyPI.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from packaging.version import InvalidVersion, Version

from local.paths import ROOT
from ops.terminal import clean

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LOCKS = [ROOT / "layers/dependencies/requirements.txt", *sorted(ROOT.glob("requirements/*.txt"))]
PIN = re.compile(r"^([a-z0-9.-]+)==([^\s;\\]+)", re.MULTILINE)


def pins(lock: Path) -> dict[str, str]:
    """Return the versions that a lock file names, by package."""
    return dict(PIN.findall(lock.read_text()))


def is_affected(version: str, package: Mapping[str, Any]) -> bool:
    """Return whether an advisory (OSV's `affected`) names the version, or a range that holds it."""
    if version in package.get("versions", ()):
        return True
    for row in package.get("ranges", ()):
        if row.get("type") != "ECOSYSTEM":  # else commits
            continue
        affected = False
        for event in row["events"]:  # in their order: introduced, fixed, introduced again
            ((kind, since),) = event.items()
            if since == "0" or Version(since) <= Version(version):
                # A version that is the last affected is still affected; the next one is not.
                affected = kind == "introduced" or (kind == "last_affected" and since == version)
        if affected:
            return True
    return False


def found(database: Path, packages: Mapping[str, str]) -> Iterator[str]:
    """Describe the advisories that concern these versions.

    Raises ValueError if `database` is not a copy of the database.
    """
    vulnerabilities = database / "vulns"
    if not vulnerabilities.is_dir():
        raise ValueError(f"{database} has no folder vulns: it is not PyPA's advisory database")
    for name, version in packages.items():
        for file in sorted((vulnerabilities / name).glob("*.yaml")):
            advisory = yaml.safe_load(file.read_text())
            if advisory.get("withdrawn"):
                continue
            rows = [row for row in advisory["affected"] if row["package"]["name"] == name]
            try:
                affected = any(is_affected(version, row) for row in rows)
            except InvalidVersion:
                affected = True  # a person has to look
            if affected:
                aliases = ", ".join([advisory["id"], *advisory.get("aliases", ())])
                yield f"{name} {version}: {aliases}"


def main(arguments: list[str]) -> int:
    """Print the advisories found; return 1 if there are any, and 2 if nothing can be checked."""
    database, total = Path(arguments[0]), 0
    for lock in LOCKS:
        packages = pins(lock)
        try:
            lines = list(found(database, packages))
        except ValueError as error:
            print(error, file=sys.stderr)
            return 2
        total += len(lines)
        print(f"{lock.relative_to(ROOT)}: {len(packages)} packages, {len(lines)} advisories")
        for line in lines:
            print(f"  {clean(line)}")
    return 1 if total else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
