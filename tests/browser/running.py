"""What browser tests and screenshot run: a stack of their own, and the system's Chromium."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import threading
import urllib.request
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.patience import PATIENCE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from http.server import BaseHTTPRequestHandler

    from playwright.sync_api import Browser, Playwright

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".venv" / "bin" / "python"  # the project's; this one knows only the browser
# Apart from the other tests, beside which it may run.
LOCAL_DIR = os.environ.get("TEST_LOCAL_DIR", ".local/test") + "-page"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
QUIET = [  # a browser that calls nobody of its own accord
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
MISSING = (
    "THE PAGE WAS NOT TESTED: there is no Chromium. Install it (Debian, Ubuntu: apt-get install "
    "chromium), or name one: make test-page CHROMIUM=/path/to/chromium"
)


def chromium() -> str | None:
    """The browser's path: $CHROMIUM, or the first that is found."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


def launched(playwright: Playwright) -> Browser:
    """A headless browser with an empty profile."""
    return playwright.chromium.launch(executable_path=chromium(), args=QUIET)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[int]:
    """The port of a local server with this handler."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


@contextlib.contextmanager
def brought_up(parameters: str = "") -> Iterator[dict[str, Any]]:
    """A stack on ports of its own: what its .local/stack.json holds.

    TEST_STACK_FILE names the file of a stack that is up already, and is used as it is.
    """
    if file := os.environ.get("TEST_STACK_FILE"):
        yield json.loads(Path(file).read_text())
        return
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        "EMULATOR_PORT": str(free_port()),
        "SIMULATOR_PORT": str(free_port()),
        "LOCAL_DIR": LOCAL_DIR,
        "PARAMETERS": parameters,
        "SKYCORE_URL": "",
        "PYTHONPATH": str(ROOT),
    }
    environment.pop("TABLE_NAME", None)
    local = [str(PYTHON), "-m", "local"]
    up = subprocess.run(
        [*local, "up"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    try:
        assert up.returncode == 0, up.stdout + up.stderr
        yield json.loads((ROOT / LOCAL_DIR / "stack.json").read_text())
    finally:
        subprocess.run([*local, "down"], cwd=ROOT, env=environment, check=False)


def control(url: str, path: str, body: Any, method: str = "POST") -> Any:
    """Speaks to the simulator's control API at the page's address."""
    request = urllib.request.Request(
        f"{url}_control/{path}",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
        method=method,
    )
    with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
        return json.load(answer)
