"""Write the layer's bill of materials: a CycloneDX 1.6 document of the wheels that were installed.

python sbom.py PACKAGES REPORT DOCUMENT: the folder that pip installed into, the report that it
wrote (pip install --report), and the file to write. The layer's build runs it, so it needs nothing
but the standard library. It writes no time and no random id: the same wheels give the same bytes.
"""

import json
import re
import sys
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

# SPDX expressions of packages whose metadata has another text, or another licence than they ship.
LICENCES = {
    "aws-lambda-powertools": "MIT-0",
    "defusedxml": "PSF-2.0",
    "python-dateutil": "Apache-2.0 OR BSD-3-Clause",
    "s3transfer": "Apache-2.0",
}


def bill_of_materials(packages: Path, report: dict[str, Any]) -> dict[str, Any]:
    """Return the document for the installed packages. Raise KeyError if pip reports another set."""
    hashes = {
        _name(entry["metadata"]["name"]): entry["download_info"]["archive_info"]["hashes"]["sha256"]
        for entry in report["install"]
    }
    components = [
        _component(package, hashes.pop(_name(package.name)))
        for package in distributions(path=[str(packages)])
    ]
    if hashes:
        raise KeyError(f"not installed: {', '.join(hashes)}")
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {"type": "library", "name": "DependenciesLayer"}},
        "components": sorted(components, key=lambda component: str(component["purl"])),
    }


def _component(package: Distribution, sha256: str) -> dict[str, Any]:
    name, metadata = _name(package.name), package.metadata
    purl = f"pkg:pypi/{name}@{package.version}"
    licence = LICENCES.get(name) or metadata.get("License-Expression") or metadata["License"]
    return {
        "type": "library",
        "bom-ref": purl,
        "name": name,
        "version": package.version,
        "hashes": [{"alg": "SHA-256", "content": sha256}],  # of the wheel
        "licenses": [{"expression": licence}],
        "purl": purl,
    }


def _name(name: str) -> str:
    """Return the name as requirements.txt and PyPI's package URLs have it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    packages, report, document = map(Path, sys.argv[1:])
    bill = bill_of_materials(packages, json.loads(report.read_text()))
    document.write_text(json.dumps(bill, indent=1) + "\n")
