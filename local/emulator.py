"""The AWS emulator (MiniStack) as a process of its own, with its own Python packages."""

from __future__ import annotations

import json
import os
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
    STATE,
    claim_port,
)

NAME = "emulator"
TEMPORARY = STATE / "emulator-tmp"

# The emulator's built-in key is root and its signature is not checked: it only makes the users.
ROOT_ENVIRONMENT = {
    "AWS_ENDPOINT_URL": EMULATOR_URL,
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
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
    TEMPORARY.mkdir(parents=True)
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
    processes.start(
        NAME, EMULATOR_PORT, [str(EMULATOR_PYTHON), "-m", "ministack"], environment, _ready
    )


def is_running() -> bool:
    """Whether this clone's emulator runs."""
    return processes.running(NAME)


def stop() -> bool:
    """Stops the emulator and deletes the copies of the layers that its workers left."""
    stopped = processes.stop(NAME)
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
