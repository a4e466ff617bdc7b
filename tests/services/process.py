"""Run a server for as long as a test run lasts."""

from __future__ import annotations

import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

READY_SECONDS = 60.0  # a JVM on a busy machine
# The server ends with its standard input: also when this process is killed.
SUPERVISOR = '"$@" </dev/null & server=$!; cat >/dev/null; kill "$server"; wait "$server"'


def free_port() -> int:
    """Return a port of 127.0.0.1 that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def serving(
    name: str, port: int, command: Sequence[str], environment: Mapping[str, str], folder: Path
) -> Iterator[str]:
    """Run `command` in `folder`; yield its URL once it listens on `port`, and stop it at the end.

    Raises RuntimeError with the end of its output if it does not listen in time.
    """
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            ["sh", "-c", SUPERVISOR, "sh", *command],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            if not _listens(port):
                output.seek(0)
                raise RuntimeError(f"{name} did not start: {output.read().decode()[-2000:]}")
            yield f"http://127.0.0.1:{port}"
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(READY_SECONDS)


def _listens(port: int) -> bool:
    end = time.monotonic() + READY_SECONDS
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return True
    return False
