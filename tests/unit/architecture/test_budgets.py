"""What each function loads before its first event: no more than bench/budgets.json allows.

`packages` are exactly the heavy ones that it needs, `modules` is the most in all, and `start` the
most CPU, as a multiple of importing botocore alone. The last is no measurement, which `make bench`
is for: it has room for a busy machine, and fails on what no busy machine explains.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
BUDGETS = json.loads((ROOT / "bench" / "budgets.json").read_text())
HEAVY = {
    "aws_lambda_powertools",
    "boto3",
    "botocore",
    "defusedxml",
    "phonenumbers",
    "pynamodb",
    "requests",
    "s3transfer",
}
ROOM = 1.5
TRIES = 3
LOAD = """
import json, sys, time
before, start = set(sys.modules), time.process_time()
import {}
print(json.dumps([time.process_time() - start, sorted(set(sys.modules) - before)]))
"""


def loaded(module: str, verb: str = "ack") -> tuple[float, list[str]]:
    """CPU seconds, and the names of the modules, of an import in a fresh process."""
    folders = (ROOT / "functions" / verb, ROOT / "layers" / "skycore")
    done = subprocess.run(
        [sys.executable, "-c", LOAD.format(module)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, folders))},
        capture_output=True,
        text=True,
        check=True,
    )
    seconds, modules = json.loads(done.stdout)
    return seconds, modules


def test_every_function_has_a_budget() -> None:
    assert set(BUDGETS) == {path.parent.name for path in (ROOT / "functions").glob("*/app.py")}


@pytest.mark.parametrize("verb", BUDGETS)
def test_a_function_loads_what_it_needs(verb: Any) -> None:
    budget = BUDGETS[verb]
    _, modules = loaded("app", verb)
    assert sorted({name.split(".")[0] for name in modules} & HEAVY) == budget["packages"]
    assert len(modules) <= budget["modules"]


@pytest.mark.parametrize("verb", BUDGETS)
def test_a_function_starts_within_its_budget(verb: Any) -> None:
    most = BUDGETS[verb]["start"] * ROOM
    tries = []
    for _ in range(TRIES):
        floor, ours = loaded("botocore.session")[0], loaded("app", verb)[0]
        tries.append(ours / floor)
        if tries[-1] <= most:
            return
    pytest.fail(f"{verb} starts in {tries} times botocore's own start; the budget is {most}")
