"""schemathesis against the running stack: no answer breaks openapi.yaml."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.integration.conftest import LOCAL_DIR, ROOT, Stack

if TYPE_CHECKING:
    from pathlib import Path

HERE = ROOT / "tests" / "integration" / "schemathesis"
PROGRAM = ROOT / ".venv-schemathesis" / "bin" / "schemathesis"
SAME = ["--generation-deterministic"]  # the same requests in every run
ANY_MACHINE = ["--suppress-health-check", "too_slow"]
# Every combination of limits takes minutes; these routes have few.
SMALL = [
    "/messages/batch",
    "/messages/{message_id}",
    "/postbacks/unparsed",
    "/postbacks/{item}",
    "/actions/getPassTemplate",
    "/actions/deleteMMSID",
]


def run(stack: Stack, *arguments: str) -> None:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        "PYTHONPATH": str(HERE),
        "SCHEMATHESIS_HOOKS": "hooks",
        "STACK_FILE": str(ROOT / LOCAL_DIR / "stack.json"),
    }
    command: list[str | Path] = [
        PROGRAM,
        "--no-color",
        "--config-file",
        HERE / "schemathesis.toml",
        "run",
    ]
    command += [ROOT / "openapi.yaml", "--url", stack.description["api_url"]]
    command += [*ANY_MACHINE, *arguments]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr


@pytest.fixture(autouse=True)
def installed() -> None:
    assert PROGRAM.exists(), "make setup makes .venv-schemathesis"


def test_the_examples_and_a_random_request_of_every_route(stack: Stack) -> None:
    run(stack, "--phases", "examples,fuzzing", "--max-examples", "1", *SAME)


@pytest.mark.long
def test_every_limit_of_the_small_routes(stack: Stack) -> None:
    run(stack, "--phases", "coverage", *(f"--include-path={path}" for path in SMALL), *SAME)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_every_limit_of_every_route(stack: Stack) -> None:
    run(stack, "--phases", "coverage,fuzzing", "--max-examples", "100")
