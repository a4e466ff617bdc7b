"""The sample Lambda events go through the real handlers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.contract.in_process import TOKEN
from tests.sample_events import EXPECTED, ROOT, SAMPLES, name_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.contract.in_process import InProcess


def test_every_function_has_a_sample() -> None:
    assert sorted(name_of(path) for path in SAMPLES) == sorted(EXPECTED)
    verbs = {path.parent.name for path in (ROOT / "functions").glob("*/app.py")}
    assert {path.parent.name for path in SAMPLES} == verbs


@pytest.mark.parametrize("path", SAMPLES, ids=name_of)
def test_the_handler_takes_it(stack: InProcess, path: Path) -> None:
    event = json.loads(path.read_text().replace('"TOKEN"', f'"{TOKEN}"'))
    answer = stack.handle(path.parent.name, event)
    expected = EXPECTED[name_of(path)]
    if isinstance(expected, int):
        assert answer["statusCode"] == expected, answer
    else:
        assert answer == expected
