"""Paste a block of commands into an interactive shell, among stand-ins that note their calls."""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
import time
from typing import TYPE_CHECKING, NamedTuple

from tests.terminal import at_terminal

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

# Without start-up files, zsh is as on a new Mac: no INTERACTIVE_COMMENTS, so # begins a word.
SHELLS = {"bash": ["bash", "--norc", "--noprofile", "-i"], "zsh": ["zsh", "-f", "-i"]}
STAND_INS = [
    "aws",
    "curl",
    "git",
    "make",
    "npm",
    "npx",
    "pip",
    "python",
    "sam",
    "skycore-simulator",
    "uv",
]
PATIENCE = 15.0  # seconds for what takes a tenth of one
COMPLAINTS = re.compile(
    r".*(?:command not found|parse error|syntax error|no matches found|event not found"
    r"|bad substitution|bad pattern|[Uu]nmatched|unexpected EOF|No such file or directory).*"
)
# Gives the shell a terminal that it controls, as a terminal's window does.
TAKE_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    "os.execvp(sys.argv[1], sys.argv[1:])"
)
# Notes its name and arguments, and what it is given to run. Where the real program asks a
# question, it reads the answer: what was pasted behind it is lost, as it is in a terminal.
STAND_IN = r"""#!/bin/bash
name=${0##*/}
printf '%s\x1e' "$(IFS=$'\x1f'; echo "$name${1+$IFS}$*")" >>"$CALLS"
case "$name $*" in
  python\ -\ *|python\ -) cat >/dev/null ;;
  *--yes*|*--no-execute-changeset*|*--dry-run*) ;;
  sam\ deploy*|*set-key*|*rotate-token*|*\ replay*|*redrive*|*\ restore\ *) read -r _ ;;
  aws\ *) echo value ;;
esac
"""


class Pasted(NamedTuple):
    """What became of a block: the calls, what the shell said, and whether it was ready again."""

    calls: list[list[str]]
    said: str
    ready: bool

    @property
    def complaints(self) -> list[str]:
        return COMPLAINTS.findall(self.said)


def folder_with_stand_ins(folder: Path) -> dict[str, str]:
    """Fill `folder` with stand-ins and the files that blocks read; the environment to use it."""
    programs = folder / "bin"
    for path in (programs, folder / ".venv" / "bin", folder / ".local", folder / "examples"):
        path.mkdir(parents=True)
    for name in ("examples/subscriber", "examples/order-service", "simulator", "clients/python"):
        (folder / name).mkdir(parents=True)
    for path in (*(programs / name for name in STAND_INS), folder / ".venv" / "bin" / "python"):
        path.write_text(STAND_IN)
        path.chmod(0o755)
    (folder / ".local" / "stack.json").write_text('{\n  "region": "us-east-1",\n}\n')
    (folder / "kept.txt").write_text("AWS::SQS::Queue\tqueue\nAWS::DynamoDB::Table\ttable\n")
    return {
        "PATH": f"{programs}:/usr/bin:/bin",
        "HOME": str(folder),
        "CALLS": str(folder / "calls"),
        "TERM": "dumb",
        "PS1": "READY> ",
        "PS2": "MORE> ",
    }


def calls(folder: Path) -> list[list[str]]:
    noted = folder / "calls"
    text = noted.read_text() if noted.exists() else ""
    return [call.split("\x1f") for call in text.split("\x1e")[:-1]]


def run_as_script(block: str, helpers: str, folder: Path) -> list[list[str]]:
    """The calls of the block as bash runs it from a file: what its author meant."""
    environment = folder_with_stand_ins(folder)
    done = subprocess.run(
        ["bash", "-c", f"{helpers}\n{block}"],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert not COMPLAINTS.search(done.stderr), done.stderr
    return calls(folder)


def paste(
    shell: Sequence[str], block: str, helpers: str, folder: Path, patience: float = PATIENCE
) -> Pasted:
    """Type the block into the shell at once, as a terminal does with what is pasted."""
    environment = folder_with_stand_ins(folder)
    command = [sys.executable, "-c", TAKE_TERMINAL, *shell]
    with at_terminal(command, cwd=folder, environment=environment) as (_, terminal):
        return _typed(terminal, block, helpers, folder, patience)


def _typed(terminal: int, block: str, helpers: str, folder: Path, patience: float) -> Pasted:
    _until(terminal, "READY> ")
    if helpers:
        os.write(terminal, f"{helpers}\necho helped$((40 + 2))\n".encode())
        _until(terminal, "helped42")
    os.write(terminal, block.encode())
    said = _until_quiet(terminal)
    os.write(terminal, b"\n")  # the answer to a question at the end
    said += _until_quiet(terminal)
    os.write(terminal, b"echo done$((40 + 2))\n")
    ready, last = _read(terminal, "done42", patience)
    return Pasted(calls(folder), (said + last).replace("\r", ""), ready)


def _until(terminal: int, wanted: str) -> None:
    found, said = _read(terminal, wanted, PATIENCE)
    assert found, f"no {wanted!r} in {said!r}"


def _until_quiet(terminal: int) -> str:
    return _read(terminal, None, PATIENCE)[1]


def _read(terminal: int, wanted: str | None, patience: float) -> tuple[bool, str]:
    """What is written until `wanted` is, or without it until nothing is for a while."""
    said, deadline = "", time.monotonic() + patience
    while time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.3 if wanted is None else patience)[0]:
            said += os.read(terminal, 65536).decode(errors="replace")
        elif wanted is None:
            return True, said
        if wanted is not None and wanted in said:
            return True, said
    return False, said
