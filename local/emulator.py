"""The AWS emulator (MiniStack) as a process of its own, with its own Python packages."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import urllib.error
import urllib.request

from local import processes
from local.paths import (
    EMULATOR_PORT,
    EMULATOR_PYTHON,
    EMULATOR_URL,
    HOST,
    REGION,
    ROOT,
    STATE,
    claim_port,
    open_private,
)

NAME = "emulator"
TEMPORARY = STATE / "emulator-tmp"
SECRET_FILE = STATE / "emulator.secret"
# -P keeps the modules of local/ out of the emulator's way.
COMMAND = [str(EMULATOR_PYTHON), "-P", str(ROOT / "local" / "emulator_guard.py")]


def root_environment() -> dict[str, str]:
    """Return the environment of the emulator's root, which sets the stack up and makes its users.

    The emulator does not check this key's signature. The guard takes it only with the session
    token, which is the secret of this run.
    """
    return {
        "AWS_ENDPOINT_URL": EMULATOR_URL,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_SESSION_TOKEN": SECRET_FILE.read_text(),
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
    }


def start() -> None:
    """Starts the emulator, empty, with IAM enforcement on; does nothing if it already runs.

    Raises LocalError if its port is taken or it does not come up.
    """
    if processes.running_on(NAME, EMULATOR_PORT):
        return
    claim_port(EMULATOR_PORT, "EMULATOR_PORT")
    _forget_functions()
    TEMPORARY.mkdir(mode=0o700, parents=True)
    with open_private(SECRET_FILE) as file:
        file.write(secrets.token_hex(32).encode())
    # A clean environment: the emulator's own leaks into the functions that it runs.
    environment = {
        "PATH": f"{EMULATOR_PYTHON.parent}:/usr/local/bin:/usr/bin:/bin",
        "HOME": os.environ.get("HOME", "/"),
        "TMPDIR": str(TEMPORARY),
        "BIND_HOST": HOST,
        "GATEWAY_PORT": str(EMULATOR_PORT),
        "AUTH": "true",
        "PYTHONUNBUFFERED": "1",
    }
    if os.environ.get("CLOUDTRAIL_RECORDING") == "1":
        # For the test that compares roles with calls: who called what, for a whole test run.
        environment |= {"CLOUDTRAIL_RECORDING": "1", "CLOUDTRAIL_MAX_EVENTS": "1000000"}
    processes.start(NAME, EMULATOR_PORT, [*COMMAND, str(SECRET_FILE)], environment, _ready)


def is_running() -> bool:
    """Whether this clone's emulator runs."""
    return processes.running(NAME)


def stop() -> bool:
    """Stops the emulator and deletes the copies of the layers that its workers left."""
    stopped = processes.stop(NAME)
    SECRET_FILE.unlink(missing_ok=True)
    _forget_functions()
    return stopped


def _forget_functions() -> None:
    shutil.rmtree(TEMPORARY, ignore_errors=True)


def _ready() -> bool:
    try:
        with urllib.request.urlopen(f"{EMULATOR_URL}/_ministack/health", timeout=2) as answer:
            return bool(json.load(answer))
    except (urllib.error.URLError, OSError, ValueError):
        return False
