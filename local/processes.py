"""Starting programs that outlive the command, and stopping them for certain."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING

from local.paths import LOGS, STATE, LocalError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

STOP_SECONDS = 10.0


def start(
    name: str, command: Sequence[str], environment: Mapping[str, str], ready: Callable[[], bool]
) -> None:
    """Starts `command` as `name`, in a process group of its own, and waits until `ready`.

    Its output goes to .local/logs/<name>.log. Raises LocalError with the log's end if the
    program stops or is not ready within 30 seconds.
    """
    LOGS.mkdir(parents=True, exist_ok=True)
    log = LOGS / f"{name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    _pid_file(name).write_text(str(process.pid))
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
    pid = _pid(name)
    return pid is not None and _alive(pid)


def stop(name: str) -> bool:
    """Stops the program started as `name`, its children too; False if there was none."""
    pid = _pid(name)
    _pid_file(name).unlink(missing_ok=True)
    if pid is None or not _alive(pid):
        return False
    _signal(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while _alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    _signal(pid, signal.SIGKILL)
    return True


def _pid_file(name: str):  # noqa: ANN202 - a Path, said by the name
    STATE.mkdir(exist_ok=True)
    return STATE / f"{name}.pid"


def _pid(name: str) -> int | None:
    try:
        return int(_pid_file(name).read_text())
    except (FileNotFoundError, ValueError):
        return None


def _alive(pid: int) -> bool:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, number)
