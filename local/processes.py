"""Starting programs that outlive the command, and stopping them reliably."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING

from local.paths import LOGS, STATE, LocalError, open_private

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

STOP_SECONDS = 10.0


def start(
    name: str,
    port: int,
    command: Sequence[str],
    environment: Mapping[str, str],
    ready: Callable[[], bool],
) -> None:
    """Starts `command` as `name`, in a process group of its own, and waits until `ready`.

    `port` is noted with it, so that a later command can tell where it listens.

    Its output goes to .local/logs/<name>.log. Raises LocalError with the log's end if the
    program stops or is not ready within 30 seconds.
    """
    log = LOGS / f"{name}.log"
    with open_private(log) as output:
        process = subprocess.Popen(
            command,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            umask=0o077,  # what it writes is for this user alone
        )
    _pid_file(name).write_text(f"{process.pid} {port} {_born(process.pid)}")
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        if ready():
            return
        time.sleep(0.05)
    stop(name)
    last_lines = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
    raise LocalError(f"the {name} did not start; the end of {log}:\n{last_lines}")


def running(name: str) -> bool:
    """Whether the program that was started as `name` is alive."""
    noted = _noted(name)
    return noted is not None and _alive(noted[0])


def running_on(name: str, port: int) -> bool:
    """Whether it is alive and listens on `port`; raises LocalError if it listens elsewhere."""
    noted = _noted(name)
    if noted is None or not _alive(noted[0]):
        return False
    if noted[1] != port:
        raise LocalError(f"the {name} is already running on port {noted[1]}; make down first")
    return True


def stop(name: str) -> bool:
    """Stops the program started as `name`, its children too; False if there was none."""
    noted = _noted(name)
    _pid_file(name).unlink(missing_ok=True)
    if noted is None or not _alive(noted[0]):
        return False
    pid = noted[0]
    _signal(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while _alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    _signal(pid, signal.SIGKILL)
    return True


def _pid_file(name: str) -> Path:
    STATE.mkdir(parents=True, exist_ok=True)
    return STATE / f"{name}.pid"


def _noted(name: str) -> tuple[int, int] | None:
    """The process id and the port of what was started as `name`."""
    try:
        pid, port, born = _pid_file(name).read_text().split(maxsplit=2)
    except (FileNotFoundError, ValueError):
        return None
    # After a restart of the machine the number may be another program's.
    return (int(pid), int(port)) if born == _born(int(pid)) else None


def _born(pid: int) -> str:
    """When the process started, as ps prints it: with the number, a name that is never reused."""
    told = subprocess.run(
        ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return told.stdout.strip()


def _alive(pid: int) -> bool:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, PermissionError):  # gone, or not ours
        return False
    return True


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, number)
