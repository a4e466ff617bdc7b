"""Nothing that a client sends reaches the terminal of the simulator's user as it is."""

import os
import socket
import subprocess
import sys
import unicodedata
import urllib.parse
from pathlib import Path

import pytest

from simulator_harness import PATIENCE_SECONDS

PROJECT = Path(__file__).parents[1]
HOSTILE = "\x1b]0;title\x07 \x9b2J \u202e \u2028\nFAKE line".encode()
QUERY = urllib.parse.urlencode({"action": HOSTILE, "api_key": "k"}).encode()
REQUESTS = {
    "action": b"GET /?" + QUERY + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    "start line": HOSTILE + b"\r\n\r\n",
    "path": b"GET /" + HOSTILE + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "header": b"GET / HTTP/1.1\r\n" + HOSTILE + b"\r\n\r\n",
    "header value": b"GET / HTTP/1.1\r\nHost: " + HOSTILE + b"\r\n\r\n",
    "length": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: \x1b[2J\r\n\r\n",
    "chunk": b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n\x1b[2J\r\n",
    "body": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s"
    % (len(HOSTILE), HOSTILE),
}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """What the command writes while such requests come, and its log file."""
    log = tmp_path_factory.mktemp("log") / "requests.log"
    command = [sys.executable, "-m", "skycore_simulator", "--port", "0", "--log-file", str(log)]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(PROJECT), "PYTHONUNBUFFERED": "1"},
    ) as running:
        assert running.stdout is not None
        first = running.stdout.readline().decode()
        port = int(first.strip().rpartition(":")[2].rstrip("/"))
        for request in REQUESTS.values():
            with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS) as line:
                line.sendall(request)
                line.shutdown(socket.SHUT_WR)
                while line.recv(65_536):
                    pass
        running.terminate()
        out, errors = running.communicate(timeout=PATIENCE_SECONDS)
    return first + out.decode() + errors.decode(), log


def test_its_output_has_no_control_character_and_no_line_of_a_clients(
    written: tuple[str, Path],
) -> None:
    text, log = written
    assert "Error handling request" in text  # so it did write about them
    assert "FAKE" in log.read_text(encoding="utf-8")
    for shown in (text, log.read_text(encoding="utf-8")):
        assert not [line for line in shown.splitlines() if line.startswith("FAKE")]
        unsafe = {char for char in shown if unicodedata.category(char) in {"Cc", "Cf", "Zl", "Zp"}}
        assert unsafe <= {"\n"}


def test_its_log_file_is_for_its_user_alone(written: tuple[str, Path]) -> None:
    assert written[1].stat().st_mode & 0o777 == 0o600
