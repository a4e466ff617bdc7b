"""The environment is read once, typed, and every fault is told at once."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from skycore.settings import SettingsError, load, read


@dataclass(frozen=True)
class Example:
    table_name: str
    days: int
    other: str = "default"


def test_values_are_typed() -> None:
    assert read(Example, {"TABLE_NAME": "t", "DAYS": "7"}) == Example("t", 7)


def test_every_missing_and_malformed_name_is_told_at_once() -> None:
    with pytest.raises(SettingsError) as error:
        read(Example, {"DAYS": "soon"})
    assert "missing: TABLE_NAME" in str(error.value)
    assert "DAYS is not a whole number" in str(error.value)
    with pytest.raises(SettingsError, match="missing: TABLE_NAME, DAYS"):
        read(Example, {})


def test_the_environment_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAYS", "7")
    first = load(Example)
    monkeypatch.setenv("DAYS", "8")
    assert load(Example) is first
    assert first.days == 7
