"""The Skycore simulator with the page, as a separate process."""

from __future__ import annotations

import json
import os
import sys
import urllib.error
import urllib.request

from local import processes
from local.paths import HOST, ROOT, SIMULATOR_PORT, STACK_FILE, claim_port

NAME = "simulator"
URL = f"http://{HOST}:{SIMULATOR_PORT}/"
API_KEY = "local0simulator0key0000000000000"


def start() -> None:
    """Start the simulator unless it already runs. Raises LocalError if it cannot start."""
    if processes.running_on(NAME, SIMULATOR_PORT):
        return
    claim_port(SIMULATOR_PORT, "SIMULATOR_PORT")
    command = [sys.executable, "-m", "local.page", "--port", str(SIMULATOR_PORT)]
    command += ["--api-port", "0", "--api-key", API_KEY, "--stack-file", str(STACK_FILE)]
    path = os.pathsep.join([str(ROOT), str(ROOT / "layers" / "skycore"), str(ROOT / "simulator")])
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}
    processes.start(NAME, SIMULATOR_PORT, command, environment, _ready)


def stop() -> bool:
    """Stop the simulator; return False if it was not running."""
    return processes.stop(NAME)


def api_url() -> str:
    """Return the address that the functions call; it can be closed while URL stays reachable."""
    with urllib.request.urlopen(f"{URL}_control/line", timeout=10) as answer:
        url: str = json.load(answer)["url"]
    return url


def settings(**changes: object) -> None:
    """Change settings of the running simulator, such as postback_url."""
    request = urllib.request.Request(
        f"{URL}_control/settings",
        data=json.dumps(changes).encode(),
        headers={"Content-Type": "application/json"},
        method="PATCH",
    )
    urllib.request.urlopen(request, timeout=10).close()


def _ready() -> bool:
    try:
        urllib.request.urlopen(f"{URL}_control/settings", timeout=2).close()
    except (urllib.error.URLError, OSError):
        return False
    return True
