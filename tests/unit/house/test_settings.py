"""The environment is read once, typed, and every fault is told at once."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from skycore.settings import SettingsError, load


@dataclass(frozen=True)
class Example:
    table_name: str
    days: int
    other: str = "default"


def test_values_are_typed():
    assert load(Example, {"TABLE_NAME": "t", "DAYS": "7"}) == Example("t", 7)


def test_every_missing_and_malformed_name_is_told_at_once():
    with pytest.raises(SettingsError) as error:
        load(Example, {"DAYS": "soon"})
    assert "missing: TABLE_NAME" in str(error.value)
    assert "DAYS is not a whole number" in str(error.value)
    with pytest.raises(SettingsError, match="missing: TABLE_NAME, DAYS"):
        load(Example, {})
