"""No test of the deployed stack or the page depends on how fast the machine is."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests import patience
from tests.patience import PATIENCE_SECONDS, until

ROOT = Path(__file__).resolve().parents[3]
FILES = sorted(
    path
    for folder in ("integration", "chaos", "browser", "long")
    for path in (ROOT / "tests" / folder).rglob("*.py")
)


class Clock:
    """The time that passes only in sleep."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.pauses.append(seconds)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(patience, "time", made)
    return made


def test_a_wait_does_not_starve_the_emulators_cold_starts(clock: Clock) -> None:
    assert not until(lambda: False)
    assert clock.pauses == sorted(clock.pauses)
    assert clock.pauses[0] <= 0.05  # what is there already costs nothing
    assert len(clock.pauses) <= PATIENCE_SECONDS  # under one question a second
    assert clock.now >= PATIENCE_SECONDS


def test_a_machine_that_stood_still_is_asked_once_more(clock: Clock) -> None:
    def happened() -> bool:
        if clock.now:
            return True
        clock.now = 2 * PATIENCE_SECONDS
        return False

    assert until(happened)


def short_deadlines(source: str) -> list[int]:
    """Return the lines with `timeout=` or `until(…, …)` and a number below our patience."""
    found = []
    for call in ast.walk(ast.parse(source)):
        if isinstance(call, ast.Call):
            given = [word.value for word in call.keywords if word.arg in {"timeout", "patience"}]
            given += call.args[1:2] if ast.unparse(call.func) == "until" else []
            numbers = [one.value for one in given if isinstance(one, ast.Constant)]
            if any(isinstance(one, int | float) and one < PATIENCE_SECONDS for one in numbers):
                found.append(call.lineno)
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_no_deadline_is_below_our_patience(path: Path) -> None:
    assert short_deadlines(path.read_text()) == []


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("until(came, 20)", [1]),
        ("until(came)\nopen(url, timeout=30)", [2]),
        ("until(came, 900)\nopen(url, timeout=PATIENCE_SECONDS)", []),
    ],
)
def test_a_short_deadline_is_found(source: str, lines: list[int]) -> None:
    assert short_deadlines(source) == lines
