"""The layer describes the AWS services that the code calls, and no others."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.build.layers import LAYERS

if TYPE_CHECKING:
    from pathlib import Path

# Make every client, and a link of S3, which reads most of its description, on the built layers
# alone: a service whose description was trimmed raises UnknownServiceError here, or KeyError for a
# part of it, as it would in production.
CLIENTS = """
import inspect, json
from pynamodb.connection.base import Connection
from skycore.aws import clients

made = [Connection(region="eu-west-1").client]
for name, function in inspect.getmembers(clients, callable):
    own = getattr(function, "__module__", None) == clients.__name__
    if own and not name.startswith("_") and not inspect.signature(function).parameters:
        made.append(function())
clients.s3().generate_presigned_url("get_object", Params={"Bucket": "b", "Key": "k"})
print(json.dumps([[c.meta.service_model.service_name, c.meta.endpoint_url] for c in made]))
"""
# Without the packages of the virtual environment.
PYTHON = sys._base_executable  # type: ignore[attr-defined]


def test_the_layer_describes_what_is_called_and_nothing_else(build: Path) -> None:
    path = os.pathsep.join(str(build / layer / "python") for layer in LAYERS)
    done = subprocess.run(
        [PYTHON, "-S", "-P", "-c", CLIENTS],
        env={
            **os.environ,
            "PYTHONPATH": path,
            "AWS_DEFAULT_REGION": "eu-west-1",
            "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "secret",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    endpoints = dict(json.loads(done.stdout))
    assert len(endpoints) > 1
    for service, url in endpoints.items():
        assert url == f"https://{service}.eu-west-1.amazonaws.com"
    data = build / "DependenciesLayer" / "python" / "botocore" / "data"
    assert {path.name for path in data.iterdir() if path.is_dir()} == endpoints.keys()
