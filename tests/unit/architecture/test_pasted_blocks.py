"""What README and docs give to paste works in bash and in zsh as they come, typed as it stands."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.unit.architecture.pasting import SHELLS, folder_with_stand_ins, paste, run_as_script

ROOT = Path(__file__).resolve().parents[3]
PAGES = [
    page
    for folder in (
        ".",
        "docs",
        "simulator",
        "clients/python",
        "examples/order-service",
        "examples/subscriber",
    )
    for page in sorted((ROOT / folder).glob("*.md"))
]
PASTEABLE = {"sh", "bash", "zsh", "shell", "console"}
FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
HELPER = re.compile(r"^\w+\(\) \{.*\}$", re.MULTILINE)
STACK = [".venv/bin/python", "-m", "ops", "--stack", "skycore"]


class Block(NamedTuple):
    where: str
    language: str
    text: str


def blocks() -> list[Block]:
    found = []
    for page in PAGES:
        text = page.read_text()
        for fence in FENCE.finditer(text):
            line = text.count("\n", 0, fence.start()) + 1
            inside = re.sub(f"^{fence[1]}", "", fence[3], flags=re.MULTILINE)
            found.append(Block(f"{page.relative_to(ROOT)}:{line}", fence[2], inside))
    return found


BLOCKS = [block for block in blocks() if block.language in PASTEABLE]
# The functions that a page defines once and other pages use, such as output().
HELPERS = "\n".join(dict.fromkeys(line for block in BLOCKS for line in HELPER.findall(block.text)))
EVERY_SHELL = pytest.mark.parametrize(
    "shell",
    [
        pytest.param(
            SHELLS[name],
            id=name,
            marks=pytest.mark.skipif(
                not shutil.which(name) and not os.environ.get("CI"),
                reason=f"{name} is not installed; with apt-get install {name} this test runs",
            ),
        )
        for name in SHELLS
    ],
)


@EVERY_SHELL
@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.where)
def test_a_pasted_block_does_what_its_author_meant(shell: Any, block: Any, tmp_path: Path) -> None:
    meant = run_as_script(block.text, HELPERS, tmp_path / "script")
    pasted = paste(shell, block.text, HELPERS, tmp_path / "shell")
    assert not pasted.complaints
    assert pasted.ready, f"the shell waits for more:\n{pasted.said}"
    assert sorted(pasted.calls) == sorted(meant)  # in a pipe either may be first
    assert meant or HELPER.search(block.text), "a block without a command"


def test_readme_leads_to_a_deployed_stack_with_its_key() -> None:
    text = (ROOT / "README.md").read_text()
    part = text[text.index("## Deploy to AWS") : text.index("## Subscribe")]
    lines = [line.split() for fence in FENCE.finditer(part) for line in fence[3].splitlines()]
    assert lines[:6] == [
        ["make", "setup"],
        ["export", 'PATH="$PWD/.venv/bin:$PATH"'],
        ["sam", "build", "&&", "sam", "deploy"],
        [*STACK, "set-key"],
        [*STACK, "postback-url"],
        [*STACK, "doctor"],
    ]


def test_what_aws_does_in_the_background_is_waited_for() -> None:
    """AWS answers these calls at once; the next command fails while it still works on them."""
    waits = {
        "dynamodb update-table": "dynamodb wait table-exists",
        "cloudformation delete-stack": "cloudformation wait stack-delete-complete",
        "restore-table-to-point-in-time": "until aws dynamodb wait table-exists",  # it gives up
    }
    for call, wait in waits.items():
        found = [block for block in BLOCKS if call in block.text]
        assert found, call
        for block in found:
            for part in block.text.split(call)[1:]:
                following = part.split("\n", 1)[1].lstrip()
                assert following.removeprefix("aws ").startswith(wait), block.where


CALLS_SAM = [block for block in BLOCKS if re.search(r"(^|&& )sam ", block.text, re.MULTILINE)]


def without(folder: Path, *names: str) -> str:
    """Return the PATH of a machine that has everything but these programs."""
    programs = folder / "programs"
    programs.mkdir()
    for place in ("/bin", "/usr/bin", folder / "bin"):
        for path in Path(place).iterdir():
            if path.name not in names:
                (programs / path.name).unlink(missing_ok=True)
                (programs / path.name).symlink_to(path)
    return str(programs)


@pytest.mark.parametrize("block", CALLS_SAM, ids=lambda block: block.where)
def test_a_block_builds_with_the_sam_and_the_python_of_make_setup(
    block: Any, tmp_path: Path
) -> None:
    """The SAM CLI and both layers' Makefiles look for python3.13 on the PATH; uv leaves none."""
    environment = folder_with_stand_ins(tmp_path)
    environment["PATH"] = without(tmp_path, "sam", "python3.13")
    for name, script in {
        "python3.13": "exit 0",
        "sam": 'echo "$0 $(command -v python3.13)" >>found',
    }.items():
        program = tmp_path / ".venv" / "bin" / name
        program.write_text(f"#!/bin/bash\n{script}\n")
        program.chmod(0o755)
    subprocess.run(
        [shutil.which("bash") or "bash", "-c", f"{HELPERS}\n{block.text}"],
        cwd=tmp_path,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=30,
        check=False,
    )
    (found,) = tmp_path.rglob("found")  # the example's block changes into its folder
    own = tmp_path / ".venv" / "bin"
    assert set(found.read_text().splitlines()) == {f"{own}/sam {own}/python3.13"}


def test_make_setup_makes_the_programs_that_build() -> None:
    for name in ("sam", "python3.13"):
        assert (ROOT / ".venv" / "bin" / name).exists()


def test_no_block_puts_a_secret_on_a_command_line() -> None:
    for block in blocks():
        assert "SetApiKeyCommand" not in block.text, block.where
        assert "--secret-string" not in block.text.replace("--secret-string file:", ""), block.where


def test_a_block_of_commands_says_that_it_is_one() -> None:
    """A block without a language is a transcript, which shows its prompt, or no command at all."""
    command = re.compile(r"(aws|curl|git|make|sam|python|\.venv/bin/python|ops) \S")
    assert not [
        block.where for block in blocks() if not block.language and command.match(block.text)
    ]


# What README once had, and other ways to go wrong.
BEFORE = r"""
sam build && sam deploy                  # shows what it will make, and asks; the parameters' defaults do for a start
output() { aws cloudformation describe-stacks --stack-name skycore --query "Stacks[0].Outputs[?OutputKey=='$1'].OutputValue" --output text; }
eval "$(output SetApiKeyCommand)"        # waits for the Skycore API key: paste it (it is not shown) and press Enter
eval "$(output PostbackUrlCommand)"      # prints the postback URL, which is a secret: paste it into Skycore's API Settings
output ApiUrl
"""  # noqa: E501
WRONG = {
    "README before": ("zsh", BEFORE),
    "a comment behind a command": ("zsh", "make up  # once\n"),
    "a comment with an apostrophe": ("zsh", "make up  # the stack's\n"),
    "a comment with brackets": ("zsh", "make up  # (once)\n"),
    "a comment of its own": ("zsh", "# once\nmake up\n"),
    "a pattern that zsh expands": ("zsh", "curl http://127.0.0.1/messages?to=1\n"),
    "a bang in double quotes": ("bash", 'curl -d "Hi! !there" http://127.0.0.1\n'),
    "a command behind one that asks": ("bash", "sam deploy\nmake status\n"),
    "an open quote": ("bash", "make 'up\n"),
    "a command that does not exist": ("bash", "skycore-deploy\nmake up\n"),
}


@pytest.mark.parametrize(("name", "block"), WRONG.values(), ids=WRONG)
def test_the_check_finds_what_goes_wrong(name: Any, block: Any, tmp_path: Path) -> None:
    if not shutil.which(name) and not os.environ.get("CI"):
        pytest.skip(f"{name} is not installed")
    try:
        meant = run_as_script(block, "", tmp_path / "script")
    except AssertionError:  # bash refuses the block
        meant = [["make", "up"]]
    pasted = paste(SHELLS[name], block, "", tmp_path / "shell", patience=3)
    assert pasted.complaints or not pasted.ready or pasted.calls != meant
