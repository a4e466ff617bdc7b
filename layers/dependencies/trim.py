"""Cut what the wheels bring besides code: the layer's build runs it once all wheels are there.

botocore describes every AWS service, at length, and reads those descriptions at every cold start.
Only those of the services that are called stay, without their documentation, and unpacked:
unpacking costs time at each start, and the layer is zipped as a whole anyway.
phonenumbers names every place and carrier; neither is used. Its time zones are.
pip's notes on the installation list what has been cut since, and name the builder's Python.
"""

import gzip
import json
import shutil
import sys
from pathlib import Path
from typing import Any

SERVICES = ("dynamodb", "s3", "secretsmanager", "sns", "sqs")
MODELS = ("service-2", "endpoint-rule-set-1")  # what a client is made from
WORDS = ("documentation", "documentationUrl")  # for people; botocore makes docstrings of them
PLACES = ("geodata", "carrierdata")
NOTES = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json")  # pip's; licences stay
UNUSED = ("bin", "boto3/examples", *(f"phonenumbers/{name}" for name in PLACES))


def trim(packages: Path) -> None:
    """Trim the packages in a folder. Raises FileNotFoundError if botocore's data is not there."""
    for name in UNUSED:
        shutil.rmtree(packages / name, ignore_errors=True)
    for information in packages.glob("*.dist-info"):
        for name in NOTES:
            (information / name).unlink(missing_ok=True)
    data = packages / "botocore" / "data"
    for folder in data.iterdir():
        if folder.is_dir() and folder.name not in SERVICES:
            shutil.rmtree(folder)
    for service in SERVICES:
        _one_version(data / service)
    _write(data / "endpoints.json", _endpoints(json.loads((data / "endpoints.json").read_text())))


def _one_version(service: Path) -> None:
    """Leaves the newest version of a service's description, the one that clients use."""
    *older, newest = sorted(service.iterdir())
    for folder in older:
        shutil.rmtree(folder)
    for path in list(newest.iterdir()):
        name = path.name.removesuffix(".gz").removesuffix(".json")
        if name in MODELS:
            text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
            described = _without_words(json.loads(text))
            for parameter in described.get("clientContextParams", {}).values():
                parameter["documentation"] = ""  # botocore reads it, of S3 at every call
            _write(newest / f"{name}.json", described)
        if name not in MODELS or path.suffix == ".gz":
            path.unlink()


def _without_words(value: Any) -> Any:
    """The same without documentation; a member that has such a name is not text, and stays."""
    if isinstance(value, dict):
        return {
            key: _without_words(held)
            for key, held in value.items()
            if key not in WORDS or not isinstance(held, str)
        }
    return [_without_words(held) for held in value] if isinstance(value, list) else value


def _endpoints(endpoints: dict[str, Any]) -> dict[str, Any]:
    """All partitions and regions, with the services that are called."""
    for partition in endpoints["partitions"]:
        services = partition["services"]
        partition["services"] = {name: services[name] for name in SERVICES if name in services}
    return endpoints


def _write(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, separators=(",", ":")))


if __name__ == "__main__":
    trim(Path(sys.argv[1]))
