"""Where the local stack keeps its things, and the ports that it listens on."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import BinaryIO

ROOT = Path(__file__).resolve().parent.parent
STATE = ROOT / os.environ.get("LOCAL_DIR", ".local")  # the tests keep theirs apart
LOGS = STATE / "logs"
STACK_FILE = STATE / "stack.json"
EMULATOR_PYTHON = ROOT / ".venv-emulator" / "bin" / "python"

HOST = "127.0.0.1"
REGION = "us-east-1"
STACK_NAME = "skycore"
EMULATOR_PORT = int(os.environ.get("EMULATOR_PORT") or 4566)
SIMULATOR_PORT = int(os.environ.get("SIMULATOR_PORT") or 8085)
EMULATOR_URL = f"http://{HOST}:{EMULATOR_PORT}"


class LocalError(Exception):
    """A fault that the user can fix; its text says how."""


def open_private(path: Path) -> BinaryIO:
    """Open a file anew for writing that no other user of this machine can read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)  # an older file would keep its rights
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def port_is_taken(port: int) -> bool:
    """Whether something already listens on this machine's `port`."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, port)) == 0


def claim_port(port: int, variable: str) -> None:
    """Raises LocalError where `port` is taken; `variable` is the make variable that moves it."""
    if port_is_taken(port):
        raise LocalError(
            f"port {port} is taken by another program; "
            f"choose a free one, such as make run {variable}={port + 1000}"
        )
