"""Run the SAM CLI of this checkout."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from local.paths import LOGS, REGION, ROOT, STATE, LocalError, open_private

if TYPE_CHECKING:
    from collections.abc import Mapping


def build(*arguments: str) -> None:
    """Run `sam build`, which calls nobody. Raises LocalError."""
    run(
        "build", list(arguments), {"AWS_DEFAULT_REGION": REGION}
    )  # it asks for a region all the same


def run(command: str, arguments: list[str], credentials: Mapping[str, str]) -> None:
    """Run a command and log its output. Raises LocalError with the end of the log if it fails."""
    log = LOGS / f"sam-{command}.log"
    programs = Path(sys.executable).parent
    environment = {
        **os.environ,
        **credentials,
        "PATH": f"{programs}:{os.environ['PATH']}",  # python3.13, for the layers' Makefiles
        "SAM_CLI_TELEMETRY": "0",
        "__SAM_CLI_APP_DIR": str(STATE / "sam"),
    }
    with open_private(log) as output:
        done = subprocess.run(
            [f"{programs}/sam", command, *arguments],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode:
        last_lines = "\n".join(log.read_text(errors="replace").splitlines()[-25:])
        raise LocalError(f"sam {command} failed; the end of {log}:\n{last_lines}")
