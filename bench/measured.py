"""What a run of the bench measured: bench/measured.json is the run that the docs show."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Self

COMMITTED = Path(__file__).parent / "measured.json"


@dataclass(slots=True)
class Measured:
    """The figures of one run, from which all tables are calculated."""

    date: str
    cpu: dict[str, float]  # seconds of an item, by what was measured
    logged: dict[str, float]  # bytes of log for an item
    cold: dict[str, float] = field(default_factory=dict)  # CPU seconds until an event can come
    floors: dict[str, float] = field(default_factory=dict)  # the same of a plain function
    packages: dict[str, int] = field(default_factory=dict)  # bytes of a layer, zipped
    release: float = 0.0  # CPU seconds in which sweep queues 10,000 due messages
    limiter: list[dict[str, float]] = field(default_factory=list)
    drains: list[dict[str, Any]] = field(default_factory=list)
    growth: list[dict[str, Any]] = field(default_factory=list)
    latency: dict[str, Any] = field(default_factory=dict)  # python -m bench.latency

    @classmethod
    def load(cls, path: Path = COMMITTED) -> Self:
        """Read a run. Raises FileNotFoundError."""
        known = json.loads(path.read_text())
        return cls(**{one.name: known[one.name] for one in fields(cls) if one.name in known})

    def save(self, path: Path = COMMITTED) -> None:
        """Write the run."""
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n")
