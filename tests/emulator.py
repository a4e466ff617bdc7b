"""Run the local stack's AWS emulator by itself, as `make up` starts it, but empty."""

from __future__ import annotations

import os
import socket
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[1]
PYTHON = ROOT / ".venv" / "bin" / "python"


class Emulator(NamedTuple):
    """`secret` is the session token that opens the built-in key; logs are in `folder`."""

    url: str
    secret: str
    folder: Path


@contextmanager
def running(folder: Path) -> Iterator[Emulator]:
    """Run an emulator that keeps its files in `folder`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        **os.environ,
        "EMULATOR_PORT": str(port),
        "LOCAL_DIR": str(folder),
        "PYTHONPATH": str(ROOT),
    }

    def run(command: str) -> None:
        code = f"from local import emulator; emulator.{command}()"
        subprocess.run([PYTHON, "-c", code], cwd=ROOT, env=environment, check=True)

    run("start")
    try:
        secret = (folder / "emulator.secret").read_text()
        yield Emulator(f"http://127.0.0.1:{port}", secret, folder)
    finally:
        run("stop")
