"""The Makefiles run with what macOS has (make 3.81, bash 3.2, BSD tools), and set up Python."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
MAKEFILES = [ROOT / "Makefile", *sorted((ROOT / "layers").glob("*/Makefile"))]
MAKE_381 = os.environ.get("MAKE381", "")
MAKES = [
    pytest.param("make", id="make"),
    pytest.param(
        MAKE_381 or "make",
        id="make 3.81",
        marks=pytest.mark.skipif(not MAKE_381, reason="MAKE381 does not name a GNU make 3.81"),
    ),
]
GUARD = "$(filter output-sync,$(.FEATURES))"

# What came after make 3.81: a pattern for it, and a line that the pattern must find.
NEWER_MAKE = {
    "--output-sync, -O (4.0)": (r"--output-sync|\bMAKE\)?\s.*\s-O\b", "$(MAKE) --output-sync=line"),
    "--trace (4.0)": (r"--trace\b", "$(MAKE) --trace"),
    "--shuffle (4.4)": (r"--shuffle\b", "$(MAKE) --shuffle"),
    "--jobserver-style (4.4)": (r"--jobserver-style\b", "$(MAKE) --jobserver-style=fifo"),
    "!= (4.0)": (r"^[\w.-]+\s*!=", "FILES != ls"),
    "::= and :::= (4.0, 4.4)": (r"^[\w.-]+\s*:{2,3}=", "BIN ::= .venv/bin"),
    ".ONESHELL (3.82)": (r"^\.ONESHELL\b", ".ONESHELL:"),
    ".SHELLFLAGS (3.82)": (r"\.SHELLFLAGS\b", ".SHELLFLAGS := -ec"),
    ".RECIPEPREFIX (3.82)": (r"\.RECIPEPREFIX\b", ".RECIPEPREFIX = >"),
    ".POSIX (its flags: 3.82)": (r"^\.POSIX\b", ".POSIX:"),
    ".EXTRA_PREREQS (4.3)": (r"\.EXTRA_PREREQS\b", ".EXTRA_PREREQS = x"),
    ".NOTINTERMEDIATE, .WAIT (4.4)": (r"\.NOTINTERMEDIATE|\.WAIT\b", ".NOTINTERMEDIATE:"),
    "$(file ...) (4.0)": (r"\$[({]file\s", "$(file >x,y)"),
    "$(let ...) (4.4)": (r"\$[({]let\s", "$(let a,b,$a)"),
    "$(intcmp ...) (4.4)": (r"\$[({]intcmp\s", "$(intcmp 1,2)"),
    "$(guile ...) (4.0)": (r"\$[({]guile\s", "$(guile 1)"),
    "undefine (3.82)": (r"^\s*(override\s+)?undefine\s", "undefine BIN"),
    "private (3.82)": (r"(^|:\s*)private\s", "run: private BIN = x"),
    "define with = (3.82)": (r"^\s*(override\s+)?define\s+\S+\s*[:?+!]*=", "define x ="),
    "load (4.0)": (r"^-?load\s", "load x.so"),
    "grouped targets (4.3)": (r"^[^\t#=]*&::?(?!=)", "a b &: c"),
    "export define (3.82)": (r"^export\s+define\b", "export define x"),
}  # fmt: skip

# What GNU's tools and bash 4 have, and macOS does not.
NOT_ON_MACOS = {
    r"\t or \n in sed's replacement": (r"\bsed\b[^|]*s(.)[^|]*\1[^|]*\\[tn]", r"sed -E 's/:/\t/'"),
    "sed -i without a suffix": (r"\bsed\s+(-\w+\s+)*-i\s", "sed -i s/a/b/ file"),
    "sed -r": (r"\bsed\s+-r\b", "sed -r s/a/b/"),
    "grep -P": (r"\bgrep\s+-\w*P", "grep -oP x"),
    "expand's long options": (r"\bexpand\s+--", "expand --tabs=8"),
    "xargs -r, -d": (r"\bxargs\s+(-\w+\s+)*-[rd]\b", "xargs -r rm"),
    "readlink -f, realpath": (r"\breadlink\s+-f|[^(]\brealpath\b", "readlink -f x"),
    "date -d, --iso-8601, %N": (r"\bdate\s+(-d|--)|%N", "date -d yesterday"),
    "stat -c": (r"\bstat\s+(-c|--)", "stat -c %s x"),
    "sort -V": (r"\bsort\s+-\w*V", "sort -V"),
    "find -printf, find without a folder": (r"-printf\b|\bfind\s+-", "find . -printf x"),
    "cp --parents, -t": (r"\bcp\s+(-\w*t\b|--)", "cp --parents a b"),
    "mktemp --": (r"\bmktemp\s+--", "mktemp --suffix=.x"),
    "timeout, nproc, tac, sha256sum": (r"\b(timeout|nproc|tac|md5sum|sha\d+sum)\s", "timeout 5 x"),
    "associative arrays, mapfile, coproc": (
        r"\b(declare|local)\s+-A|\b(mapfile|readarray|coproc)\b", "mapfile -t x"),
    "case of ${x,,} and ${x^^}": (r"\$\{\w+(,,|\^\^|,|\^)\}", "echo $${name,,}"),
    "|& and &>>": (r"\|&|&>>", "make |& tee log"),
    "wait -n, globstar": (r"\bwait\s+-n\b|\bglobstar\b", "wait -n"),
}  # fmt: skip


def lines(makefile: Path) -> list[str]:
    return [line.split(" ## ")[0] for line in makefile.read_text().splitlines()]


@pytest.mark.parametrize("makefile", MAKEFILES, ids=lambda path: path.parent.name)
@pytest.mark.parametrize(("pattern", "_sample"), (NEWER_MAKE | NOT_ON_MACOS).values())
def test_a_makefile_uses_only_what_macos_has(makefile: Any, pattern: Any, _sample: Any) -> None:
    found = [line for line in lines(makefile) if re.search(pattern, line) and GUARD not in line]
    assert not [line for line in found if not line.startswith("#")]


@pytest.mark.parametrize(
    ("pattern", "sample"),
    (NEWER_MAKE | NOT_ON_MACOS).values(),
    ids=NEWER_MAKE | NOT_ON_MACOS,
)
def test_each_pattern_finds_its_sample(pattern: Any, sample: Any) -> None:
    assert re.search(pattern, sample)


def test_the_option_that_make_381_lacks_depends_on_its_features() -> None:
    assert any(GUARD in line for line in lines(ROOT / "Makefile"))


def targets() -> list[str]:
    """Every target of the Makefile that a person can name; those of OPERATIONS too."""
    text = (ROOT / "Makefile").read_text()
    named = re.findall(r"^([a-z][a-z-]*):", text, re.MULTILINE)
    (operations,) = re.findall(r"^OPERATIONS := (.*)", text, re.MULTILINE)
    return sorted({*named, *operations.split()})


def make(program: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.run(
        [program, "-C", str(ROOT), *arguments],
        env={**clean, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("program", MAKES)
@pytest.mark.parametrize("target", targets())
def test_every_target_can_be_made(program: Any, target: Any) -> None:
    done = make(program, "-n", target)
    assert done.returncode == 0, done.stderr
    assert not done.stderr


@pytest.mark.parametrize("program", MAKES)
def test_help_lists_first_what_people_type_first(program: Any) -> None:
    done = make(program, "--no-print-directory", "help")
    assert done.returncode == 0, done.stderr
    first, others = done.stdout.removeprefix("Start with:\n").split("Other commands:\n")
    assert [line.split()[0] for line in first.splitlines()] == ["run", "up", "down", "test"]
    described = re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)
    listed = [line.split()[0] for line in (first + others).splitlines()]
    assert sorted(listed) == sorted(described)
    assert re.search(r"^  run {10,}See it work", first, re.MULTILINE)


# A machine without Python 3.13: a folder of programs, in which `python3.13` is missing or old.
@pytest.fixture
def new_clone(tmp_path: Path) -> Any:
    clone, programs = tmp_path / "clone", tmp_path / "bin"
    (clone / "requirements").mkdir(parents=True)
    programs.mkdir()
    for name in (
        "Makefile",
        ".python-version",
        "requirements/dev.txt",
        "requirements/emulator.txt",
    ):
        shutil.copy(ROOT / name, clone / name)
    for name in ("touch", "rm", "mkdir", "cat"):
        (programs / name).symlink_to(shutil.which(name) or name)
    return clone, programs


def program(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/bash\n{script}\n")
    (folder / name).chmod(0o755)


def set_up(clone: Path, programs: Path, make_program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [shutil.which(make_program) or make_program, "setup"],
        cwd=clone,
        env={"PATH": str(programs)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("make_program", MAKES)
@pytest.mark.parametrize("old", [False, True], ids=["none", "python3.13 is another version"])
def test_without_python_the_first_command_says_in_one_line_how_to_get_it(
    new_clone: Any, make_program: Any, old: bool
) -> None:
    clone, programs = new_clone
    if old:
        program(programs, "python3.13", "exit 1")
    done = set_up(clone, programs, make_program)
    assert done.returncode != 0
    said = [line for line in (done.stdout + done.stderr).splitlines() if "***" not in line]
    assert len(said) == 1
    for way in ("Python 3.13 is missing", "uv", "brew install", "pyenv install", "PYTHON=/path"):
        assert way in said[0]


@pytest.mark.parametrize("make_program", MAKES)
def test_without_python_uv_provides_it(new_clone: Any, make_program: Any) -> None:
    clone, programs = new_clone
    pip = 'echo "$0 $*" >>"$PWD/calls"'
    venv = f"mkdir -p $venv/bin; cat >$venv/bin/python <<'END'\n#!/bin/bash\n{pip}\nEND\n"
    program(
        programs,
        "uv",
        f'echo "uv $*" >>calls\nfor venv in "$@"; do :; done\n{venv}/bin/chmod +x $venv/bin/python',
    )
    done = set_up(clone, programs, make_program)
    assert done.returncode == 0, done.stderr
    calls = (clone / "calls").read_text().splitlines()
    for name, folder in (("dev", ".venv"), ("emulator", ".venv-emulator")):
        assert f"uv venv --quiet --seed --python 3.13 {folder}" in calls
        assert any(
            line.startswith(f"{folder}/bin/python -m pip install")
            and line.endswith(f"-r requirements/{name}.txt")
            for line in calls
        )
        assert (clone / folder / ".ready").exists()
