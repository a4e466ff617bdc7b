"""Every minute: what died in flight is said to be unknown."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from skycore.flows.sweep import sweep
from skycore.settings import load


@dataclass(frozen=True)
class Settings:
    table_name: str


@cache
def settings() -> Settings:
    return load(Settings)


def handler(_event: object, _context: object) -> dict[str, int]:
    settings()
    return {"unknown": sweep()}
